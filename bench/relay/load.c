/* Sends datagrams of many flows from one socket, takes what a relay makes of them at another, and counts.

       load SEND_FD SINK_FD SECONDS RATE COUNT PREFIX CHANNEL SIZES < RECORDS

   A record stands for a flow, and they are sent in turn: the address to send from (4 bytes; zeros for the socket's own),
   the address and port to send to (4 + 2), and PREFIX bytes that begin each datagram: nothing, a header, or all of it.
   Payloads follow the file SIZES, a number a line, in turn. CHANNEL 1: the prefix is TURN's of channel data (RFC 8656
   §12.4), whose last two bytes are the payload's length.

   RATE datagrams a second, 0 for as many as go; it ends after SECONDS, or after COUNT datagrams unless that is 0, and
   waits for what is still on its way. With a RATE each datagram ends in the time at which it left, and what is measured
   is how long it took until the kernel had it at the sink. Prints what was sent and what arrived, and then the delays
   in nanoseconds, from the least to the greatest, in hundredths. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, ROOM = 2304, ADDRESSES = 10, MOST_SIZES = 1 << 16, MOST_DELAYS = 1 << 22, QUIET_MS = 200 };
static const int64_t LONGEST_DELAY = 10000000000;
static const struct timespec nap = {.tv_nsec = 100000};

static uint8_t packets[BATCH][ROOM], came[BATCH][ROOM];
static struct iovec vectors[BATCH], came_vectors[BATCH];
static struct sockaddr_in to[BATCH];
static struct mmsghdr out[BATCH], in[BATCH];
static union {
    char room[CMSG_SPACE(sizeof(struct in_pktinfo))];
    struct cmsghdr align;
} sources[BATCH];
static union {
    char room[CMSG_SPACE(sizeof(struct timespec))];
    struct cmsghdr align;
} arrivals[BATCH];
static int sizes[MOST_SIZES];
static int64_t delays[MOST_DELAYS];
static unsigned long sent, arrived, measured;

static int64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint8_t *read_records(size_t record, size_t *count) {
    size_t room = 1 << 20, size = 0, got;
    uint8_t *bytes = malloc(room);
    while ((got = fread(bytes + size, 1, room - size, stdin)) > 0)
        if ((size += got) == room) bytes = realloc(bytes, room *= 2);
    *count = size / record;
    return bytes;
}

static int read_sizes(const char *path) {
    FILE *file = fopen(path, "r");
    int count = 0;
    if (!file) die(path);
    while (count < MOST_SIZES && fscanf(file, "%d", &sizes[count]) == 1) count++;
    fclose(file);
    return count;
}

static void note_delay(const struct mmsghdr *message, const uint8_t *data) {
    struct cmsghdr *told = CMSG_FIRSTHDR(&message->msg_hdr);
    struct timespec at;
    int64_t left;
    if (!told || told->cmsg_type != SCM_TIMESTAMPNS || message->msg_len < sizeof left || measured == MOST_DELAYS) return;
    memcpy(&at, CMSG_DATA(told), sizeof at);
    memcpy(&left, data + message->msg_len - sizeof left, sizeof left);
    int64_t delay = at.tv_sec * 1000000000 + at.tv_nsec - left;
    if (delay >= 0 && delay < LONGEST_DELAY) delays[measured++] = delay; /* else it is not ours, but the relay's own */
}

static int take(int fd, int is_timed) {
    int total = 0, count;
    do {
        for (int i = 0; is_timed && i < BATCH; i++) in[i].msg_hdr.msg_controllen = sizeof arrivals[i].room;
        count = recvmmsg(fd, in, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; is_timed && i < count; i++) note_delay(&in[i], came[i]);
        total += count > 0 ? count : 0;
    } while (count == BATCH);
    return total;
}

static int by_length(const void *one, const void *other) {
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

int main(int words_count, char **words) {
    if (words_count != 9) return 2;
    int send_fd = atoi(words[1]), sink_fd = atoi(words[2]), prefix = atoi(words[6]), is_channel = atoi(words[7]), yes = 1;
    double rate = atof(words[4]);
    unsigned long most = atol(words[5]);
    int is_timed = rate > 0, size_count = read_sizes(words[8]);
    size_t record = ADDRESSES + prefix, flows, flow = 0, size = 0;
    uint8_t *records = read_records(record, &flows);
    if (!flows || !size_count) return 2;
    if (is_timed && setsockopt(sink_fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes)) die("SO_TIMESTAMPNS");
    for (int i = 0; i < BATCH; i++) {
        memset(packets[i], 0x80, ROOM);
        to[i].sin_family = AF_INET;
        vectors[i].iov_base = packets[i];
        out[i].msg_hdr = (struct msghdr){
            .msg_name = &to[i], .msg_namelen = sizeof to[i], .msg_iov = &vectors[i], .msg_iovlen = 1};
        sources[i].align = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
        came_vectors[i] = (struct iovec){came[i], ROOM};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &came_vectors[i], .msg_iovlen = 1};
        if (is_timed) in[i].msg_hdr.msg_control = arrivals[i].room;
    }
    int64_t begin = now(CLOCK_MONOTONIC), end = begin + (int64_t)(atof(words[3]) * 1e9), time;
    while ((time = now(CLOCK_MONOTONIC)) < end && (!most || sent < most)) {
        unsigned long due = rate > 0 ? (unsigned long)((time - begin) * 1e-9 * rate) - sent : BATCH;
        if (most && due > most - sent) due = most - sent;
        if (due > BATCH) due = BATCH;
        if (!due) {
            arrived += take(sink_fd, is_timed);
            nanosleep(&nap, NULL);
            continue;
        }
        int64_t leaving = now(CLOCK_REALTIME);
        for (unsigned long i = 0; i < due; i++) {
            const uint8_t *from = records + flow * record;
            int payload = sizes[size], length = prefix + payload;
            memcpy(&((struct in_pktinfo *)CMSG_DATA(&sources[i].align))->ipi_spec_dst, from, 4);
            int is_from_elsewhere = memcmp(from, "\0\0\0", 4) != 0;
            out[i].msg_hdr.msg_control = is_from_elsewhere ? sources[i].room : NULL;
            out[i].msg_hdr.msg_controllen = is_from_elsewhere ? sizeof sources[i].room : 0;
            memcpy(&to[i].sin_addr, from + 4, 4);
            memcpy(&to[i].sin_port, from + 8, 2);
            memcpy(packets[i], from + ADDRESSES, prefix);
            if (is_channel) packets[i][prefix - 2] = payload >> 8, packets[i][prefix - 1] = payload;
            if (payload) packets[i][prefix] = 0x80;
            if (is_timed && payload > (int)sizeof leaving) memcpy(packets[i] + length - sizeof leaving, &leaving, sizeof leaving);
            vectors[i].iov_len = length;
            flow = flow + 1 == flows ? 0 : flow + 1;
            size = size + 1 == (size_t)size_count ? 0 : size + 1;
        }
        for (unsigned long gone = 0; gone < due;) {
            int went = sendmmsg(send_fd, out + gone, due - gone, 0);
            if (went < 0 && errno != EAGAIN && errno != ENOBUFS) die("sendmmsg");
            gone += went < 0 ? 1 : went;
        }
        sent += due;
        arrived += take(sink_fd, is_timed);
    }
    struct pollfd waiting = {.fd = sink_fd, .events = POLLIN};
    while (poll(&waiting, 1, QUIET_MS) > 0 && now(CLOCK_MONOTONIC) < end + 2000000000) arrived += take(sink_fd, is_timed);
    yes = 0;
    if (is_timed) setsockopt(sink_fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
    printf("%lu %lu\n", sent, arrived);
    qsort(delays, measured, sizeof *delays, by_length);
    for (int part = 0; measured && part <= 100; part++) printf("%ld\n", (long)delays[(measured - 1) * part / 100]);
}
