/* What a relay does to a datagram of a known flow, in C and nothing else: the other side of `python -m bench --only relay`.

       relay_forwarder PUBLIC_PORT HOP_PORT TRANSCEIVER_PORT < TABLE

   Both sockets are on 127.0.0.1. The table is records of 34 bytes: a client's address and port as in a sockaddr_in
   (6 bytes), and the UP header of its path (28 bytes). A client's datagram gets its header in front and goes to the
   transceiver; the transceiver's is found by its DOWN header, loses it and goes to the client.

   One thread; recvmmsg and sendmmsg of 64; one epoll wait for both sockets, as in our relay. */

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

enum { BATCH = 64, HEADER = 28, HEADROOM = 40, LONGEST = 2048, BUFFER = 4 << 20, TOS_EF = 46 << 2 };

struct flow {
    struct sockaddr_in client;
    uint8_t up[HEADER], down[HEADER];
    double authentic;
    struct flow *next_by_source, *next_by_header;
};

static struct flow **by_source, **by_header;
static uint64_t mask;

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

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int open_udp(int port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = BUFFER, tos = TOS_EF;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
    if (bind(fd, (struct sockaddr *)&address, sizeof address)) die("bind");
    return fd;
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
        struct flow **source = &by_source[hash_source(&flow->client) & mask];
        flow->next_by_source = *source, *source = flow;
        struct flow **header = &by_header[hash(flow->down, HEADER) & mask];
        flow->next_by_header = *header, *header = flow;
    }
}

static uint8_t slots[2][BATCH][HEADROOM + LONGEST + 1 + 39];
static struct sockaddr_in sources[2][BATCH];
static struct iovec in_vectors[2][BATCH], out_vectors[BATCH];
static struct mmsghdr in[2][BATCH], out[BATCH];
static unsigned long dropped;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void send_all(int fd, int count) {
    for (int sent = 0; sent < count;) {
        int went = sendmmsg(fd, out + sent, count - sent, MSG_DONTWAIT);
        if (went < 0) dropped++, went = 1;
        sent += went;
    }
}

static int forward_up(int from, int to, struct sockaddr_in *transceiver) {
    int count = recvmmsg(from, in[0], BATCH, MSG_DONTWAIT, NULL), going = 0;
    for (int i = 0; i < count; i++) {
        const struct sockaddr_in *source = &sources[0][i];
        struct flow *flow = by_source[hash_source(source) & mask];
        while (flow && (flow->client.sin_port != source->sin_port || flow->client.sin_addr.s_addr != source->sin_addr.s_addr))
            flow = flow->next_by_source;
        uint8_t *data = in_vectors[0][i].iov_base, first = *data;
        unsigned length = in[0][i].msg_len;
        if (!flow || !length || length > LONGEST || !((first >= 20 && first < 64) || (first >= 128 && first < 192))) {
            dropped++;
            continue;
        }
        memcpy(data - HEADER, flow->up, HEADER);
        out_vectors[going] = (struct iovec){data - HEADER, length + HEADER};
        out[going++].msg_hdr.msg_name = transceiver;
    }
    send_all(to, going);
    return count;
}

static int forward_down(int from, int to, const struct sockaddr_in *transceiver) {
    int count = recvmmsg(from, in[1], BATCH, MSG_DONTWAIT, NULL), going = 0;
    double time = now();
    for (int i = 0; i < count; i++) {
        const struct sockaddr_in *source = &sources[1][i];
        uint8_t *data = in_vectors[1][i].iov_base;
        unsigned length = in[1][i].msg_len;
        struct flow *flow = length < HEADER ? NULL : by_header[hash(data, HEADER) & mask];
        while (flow && memcmp(flow->down, data, HEADER)) flow = flow->next_by_header;
        if (!flow || source->sin_port != transceiver->sin_port || source->sin_addr.s_addr != transceiver->sin_addr.s_addr) {
            dropped++;
            continue;
        }
        flow->authentic = time;
        out_vectors[going] = (struct iovec){data + HEADER, length - HEADER};
        out[going++].msg_hdr.msg_name = &flow->client;
    }
    send_all(to, going);
    return count;
}

int main(int count, char **words) {
    if (count != 4) return 2;
    int public = open_udp(atoi(words[1])), hop = open_udp(atoi(words[2]));
    struct sockaddr_in transceiver = {
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
    for (;;) {
        int ready = epoll_wait(arrived, events, 2, -1);
        for (int i = 0; i < ready; i++)
            events[i].data.fd == public ? forward_up(public, hop, &transceiver) : forward_down(hop, public, &transceiver);
    }
}
