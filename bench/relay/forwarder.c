/* What a relay does to a datagram of a known flow, in C and nothing else: the other side of `python -m bench --only relay`.

       forwarder PUBLIC_FD HOP_FD TRANSCEIVER_PORT < TABLE

   Both sockets are opened by who starts it, in the way in which our relay opens its own. The table is records of 34
   bytes: a client's address and port as in a sockaddr_in (6 bytes), and the UP header of its path (28 bytes). A client's
   datagram is looked up by its source; it gets its header in front and goes to where its transceiver is. The
   transceiver's is looked up by its DOWN header; if it comes from where the flow's transceiver is, it loses the header,
   the flow counts as alive, and it goes to the client. What has no flow is held against its source, which has a budget
   of failures for a while, as in relay/budgets.py; a known flow is charged nothing, there as here. What goes up and is of
   one length is one message with segments, as in relay/segments.py; it leaves before a flow's next datagram.

   One thread; recvmmsg and sendmmsg of 128; one epoll wait for both sockets, which are looked at every 5 ms when they are
   busy, as in relay/udp.py. Flows that are silent are looked for once a second. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 128, SEGMENTS = 64, HEADER = 28, HEADROOM = 40, LONGEST = 2048, STRIDE = 2176, BUDGETS = 1 << 15, FAILURES = 32, BUSY_COUNT = 15, UDP_SEGMENT = 103, LONGEST_SEGMENT = 1232 };
static const double FAILURE_WINDOW = 10, SILENCE = 10, CHECK_INTERVAL = 1, MODERATION = 0.005, LOAD_WINDOW = 0.01;

struct place { /* where a transceiver is; none while its link is down */
    struct sockaddr_in address;
};

struct flow {
    struct sockaddr_in client;
    uint8_t up[HEADER], down[HEADER];
    struct place *place;
    double authentic;
    unsigned long batch; /* in which it last sent something up */
    int is_quiet;
    struct flow *next_by_source, *next_by_header, *next;
};

struct budget {
    uint32_t host, failures;
    double end;
};

static struct flow **by_source, **by_header, *flows;
static uint64_t mask;
static struct place transceiver;
static struct budget budgets[BUDGETS];
static unsigned long dropped, refused, quiet;

static uint64_t hash(const uint8_t *bytes, int size) { /* FNV-1a, eight bytes at a time */
    uint64_t value = 14695981039346656037u, word;
    for (; size >= 8; bytes += 8, size -= 8) {
        memcpy(&word, bytes, 8);
        value = (value ^ word) * 1099511628211u;
        value ^= value >> 29;
    }
    word = 0;
    memcpy(&word, bytes, size);
    value = (value ^ word) * 1099511628211u;
    return value ^ value >> 32;
}

static uint64_t hash_source(const struct sockaddr_in *source) {
    uint8_t key[6];
    memcpy(key, &source->sin_port, 2);
    memcpy(key + 2, &source->sin_addr, 4);
    return hash(key, 6);
}

static int is_same(const struct sockaddr_in *one, const struct sockaddr_in *other) {
    return one->sin_port == other->sin_port && one->sin_addr.s_addr == other->sin_addr.s_addr;
}

static void read_table(void) {
    static uint8_t record[6 + HEADER];
    size_t capacity = 1 << 17;
    mask = capacity - 1;
    by_source = calloc(capacity, sizeof *by_source);
    by_header = calloc(capacity, sizeof *by_header);
    while (fread(record, sizeof record, 1, stdin) == 1) {
        struct flow *flow = calloc(1, sizeof *flow);
        flow->client.sin_family = AF_INET;
        memcpy(&flow->client.sin_addr, record, 4);
        memcpy(&flow->client.sin_port, record + 4, 2);
        memcpy(flow->up, record + 6, HEADER);
        memcpy(flow->down, flow->up, HEADER);
        flow->down[0] = 0x12;
        flow->down[1] |= 1;
        flow->place = &transceiver;
        struct flow **source = &by_source[hash_source(&flow->client) & mask];
        flow->next_by_source = *source, *source = flow;
        struct flow **header = &by_header[hash(flow->down, HEADER) & mask];
        flow->next_by_header = *header, *header = flow;
        flow->next = flows, flows = flow;
    }
}

static uint8_t slots[2][BATCH][STRIDE];
static struct sockaddr_in sources[2][BATCH];
static struct iovec in_vectors[2][BATCH], out_vectors[BATCH];
static struct mmsghdr in[2][BATCH], out[BATCH];

static struct iovec run_vectors[BATCH];
static struct mmsghdr runs[BATCH];
static union {
    char room[CMSG_SPACE(sizeof(uint16_t))];
    struct cmsghdr align;
} segments[BATCH];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void hold_against(const struct sockaddr_in *source, double time) {
    uint32_t host = source->sin_addr.s_addr;
    struct budget *budget = &budgets[hash((const uint8_t *)&host, sizeof host) & (BUDGETS - 1)];
    if (budget->host != host || time >= budget->end) *budget = (struct budget){.host = host, .end = time + FAILURE_WINDOW};
    if (budget->failures < FAILURES)
        budget->failures++;
    else
        refused++;
    dropped++;
}

static void send_all(int fd, int count) {
    for (int sent = 0; sent < count;) {
        int went = sendmmsg(fd, out + sent, count - sent, MSG_DONTWAIT);
        if (went < 0) dropped++, went = 1;
        sent += went;
    }
}

static void send_runs(int fd, int count, struct sockaddr_in *to) {
    uint8_t is_placed[BATCH] = {0};
    int messages = 0, placed = 0;
    for (int i = 0; i < count; i++) {
        if (is_placed[i]) continue;
        size_t length = out_vectors[i].iov_len;
        int begin = placed;
        for (int j = i; j < count && placed - begin < SEGMENTS && (placed == begin || length <= LONGEST_SEGMENT); j++)
            if (!is_placed[j] && out_vectors[j].iov_len == length && (placed - begin + 1) * length < 65000)
                run_vectors[placed++] = out_vectors[j], is_placed[j] = 1;
        segments[messages].align = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(uint16_t)), .cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT};
        *(uint16_t *)CMSG_DATA(&segments[messages].align) = length;
        runs[messages].msg_hdr = (struct msghdr){.msg_name = to,
                                                   .msg_namelen = sizeof *to,
                                                   .msg_iov = &run_vectors[begin],
                                                   .msg_iovlen = placed - begin,
                                                   .msg_control = placed - begin > 1 ? segments[messages].room : NULL,
                                                   .msg_controllen = placed - begin > 1 ? sizeof segments[0].room : 0};
        messages++;
    }
    for (int sent = 0; sent < messages;) {
        int went = sendmmsg(fd, runs + sent, messages - sent, MSG_DONTWAIT);
        if (went < 0) dropped += runs[sent].msg_hdr.msg_iovlen, went = 1;
        sent += went;
    }
}

static int follows(uint8_t first) { /* RFC 7983 */
    return (first >= 20 && first < 64) || (first >= 128 && first < 192);
}

static int forward_up(int from, int to, double time) {
    static unsigned long batch;
    int count = recvmmsg(from, in[0], BATCH, MSG_DONTWAIT, NULL), going = 0;
    batch++;
    for (int i = 0; i < count; i++) {
        const struct sockaddr_in *source = &sources[0][i];
        struct flow *flow = by_source[hash_source(source) & mask];
        while (flow && !is_same(&flow->client, source)) flow = flow->next_by_source;
        uint8_t *data = in_vectors[0][i].iov_base;
        unsigned length = in[0][i].msg_len;
        if (!flow || !length || length > LONGEST || !follows(*data)) {
            hold_against(source, time);
            continue;
        }
        if (!flow->place->address.sin_port) {
            dropped++;
            continue;
        }
        if (flow->batch == batch) { /* what is from one client stays in order */
            send_runs(to, going, &transceiver.address);
            going = 0, batch++;
        }
        flow->batch = batch;
        memcpy(data - HEADER, flow->up, HEADER);
        out_vectors[going++] = (struct iovec){data - HEADER, length + HEADER};
    }
    send_runs(to, going, &transceiver.address);
    return count > 0 ? count : 0;
}

static int forward_down(int from, int to, double time) {
    int count = recvmmsg(from, in[1], BATCH, MSG_DONTWAIT, NULL), going = 0;
    for (int i = 0; i < count; i++) {
        uint8_t *data = in_vectors[1][i].iov_base;
        unsigned length = in[1][i].msg_len;
        struct flow *flow = length < HEADER || length > LONGEST ? NULL : by_header[hash(data, HEADER) & mask];
        while (flow && memcmp(flow->down, data, HEADER)) flow = flow->next_by_header;
        if (!flow || !is_same(&flow->place->address, &sources[1][i])) {
            dropped++;
            continue;
        }
        flow->authentic = time;
        out_vectors[going] = (struct iovec){data + HEADER, length - HEADER};
        out[going++].msg_hdr.msg_name = &flow->client;
    }
    send_all(to, going);
    return count > 0 ? count : 0;
}

static int is_busy(int came, double time) { /* as relay/udp.py's _Load */
    static double started;
    static int count, was_busy;
    if (time - started >= LOAD_WINDOW) {
        was_busy = count >= BUSY_COUNT && time - started < 2 * LOAD_WINDOW;
        started = time, count = 0;
    }
    count += came;
    return was_busy;
}

static void sleep_until(double time) {
    struct timespec when = {.tv_sec = time, .tv_nsec = (time - (time_t)time) * 1e9};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

static void look_for_silence(double time) { /* nobody takes the place of a flow here, so it is only noted */
    quiet = 0;
    for (struct flow *flow = flows; flow; flow = flow->next)
        quiet += flow->is_quiet = time - flow->authentic >= SILENCE;
}

int main(int count, char **words) {
    if (count != 4) return 2;
    int public = atoi(words[1]), hop = atoi(words[2]);
    transceiver.address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(atoi(words[3])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    read_table();
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < BATCH; i++) {
            in_vectors[side][i] = (struct iovec){slots[side][i] + HEADROOM, LONGEST + 1};
            in[side][i].msg_hdr = (struct msghdr){.msg_name = &sources[side][i], .msg_namelen = sizeof(struct sockaddr_in),
                                                  .msg_iov = &in_vectors[side][i], .msg_iovlen = 1};
            out[i].msg_hdr = (struct msghdr){
                .msg_namelen = sizeof(struct sockaddr_in), .msg_iov = &out_vectors[i], .msg_iovlen = 1};
        }
    int arrived = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = public}, events[2];
    epoll_ctl(arrived, EPOLL_CTL_ADD, public, &event);
    event.data.fd = hop;
    epoll_ctl(arrived, EPOLL_CTL_ADD, hop, &event);
    puts("ready");
    fflush(stdout);
    for (double next_check = 0;;) {
        int ready = epoll_wait(arrived, events, 2, CHECK_INTERVAL * 1000);
        double time = now();
        int total = 0, most = 0;
        for (int i = 0; i < ready; i++) {
            int came = events[i].data.fd == public ? forward_up(public, hop, time) : forward_down(hop, public, time);
            total += came;
            most = came > most ? came : most;
        }
        if (time >= next_check) look_for_silence(time), next_check = time + CHECK_INTERVAL;
        if (is_busy(total, time) && most < BATCH) sleep_until(((long)(time / MODERATION) + 1) * MODERATION);
    }
}
