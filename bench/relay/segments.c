/* What UDP's segmentation offload would save on the hop: sends batches as a relay does to one transceiver, and takes them.

       segments WAY SECONDS HEADER SIZES

   WAY 0: sendmmsg, a message a datagram. 1: datagrams of one length are sent as one message with UDP_SEGMENT, those of
   each length together (order is kept within a length, not across). 2: the same, and the receiver takes them as one
   (UDP_GRO). 3: as 2, but only neighbours of one length are put together, which keeps all order. Sizes are of payloads,
   a number a line, used in turn; HEADER bytes come on top. One thread does both ends, so its CPU time is that of both.
   Prints CPU nanoseconds a datagram and how many went together. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, ROOM = 2048, MOST_SIZES = 1 << 16, GSO = 103, GRO = 104, BIG = 1 << 16, BUFFER = 4 << 20 };

static uint8_t packets[BATCH][ROOM], came[BATCH][BIG];
static struct iovec vectors[BATCH], ordered[BATCH], came_vectors[BATCH];
static struct mmsghdr out[BATCH], in[BATCH];
static union {
    char room[CMSG_SPACE(sizeof(uint16_t))];
    struct cmsghdr align;
} lengths[BATCH];
static char told[BATCH][CMSG_SPACE(sizeof(int))];
static int sizes[MOST_SIZES];

static double seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static int open_udp(struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0), size = BUFFER;
    socklen_t length = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (bind(fd, (struct sockaddr *)address, length)) perror("bind"), exit(1);
    getsockname(fd, (struct sockaddr *)address, &length);
    return fd;
}

static int group(int way) { /* returns how many messages the batch becomes */
    int messages = 0, placed = 0;
    uint8_t is_placed[BATCH] = {0};
    for (int i = 0; i < BATCH; i++) {
        if (is_placed[i]) continue;
        int begin = placed;
        for (int j = i; j < BATCH; j++) {
            if (!is_placed[j] && vectors[j].iov_len == vectors[i].iov_len)
                ordered[placed++] = vectors[j], is_placed[j] = 1;
            else if (way == 3)
                break;
        }
        struct msghdr *message = &out[messages].msg_hdr;
        message->msg_iov = &ordered[begin];
        message->msg_iovlen = placed - begin;
        message->msg_control = placed - begin > 1 ? lengths[messages].room : NULL;
        message->msg_controllen = placed - begin > 1 ? sizeof lengths[messages].room : 0;
        *(uint16_t *)CMSG_DATA(&lengths[messages].align) = vectors[i].iov_len;
        messages++;
    }
    return messages;
}

int main(int count, char **words) {
    if (count != 5) return 2;
    int way = atoi(words[1]), header = atoi(words[3]), many = 0, next = 0, yes = 1;
    FILE *file = fopen(words[4], "r");
    while (file && many < MOST_SIZES && fscanf(file, "%d", &sizes[many]) == 1) many++;
    if (!many) return 2;
    struct sockaddr_in here, there;
    int from = open_udp(&here), to = open_udp(&there);
    if (way >= 2 && setsockopt(to, IPPROTO_UDP, GRO, &yes, sizeof yes)) perror("UDP_GRO");
    for (int i = 0; i < BATCH; i++) {
        vectors[i].iov_base = packets[i];
        out[i].msg_hdr = (struct msghdr){.msg_name = &there, .msg_namelen = sizeof there, .msg_iov = &vectors[i], .msg_iovlen = 1};
        lengths[i].align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(uint16_t)), .cmsg_level = IPPROTO_UDP, .cmsg_type = GSO};
        came_vectors[i] = (struct iovec){came[i], way >= 2 ? BIG : ROOM};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &came_vectors[i], .msg_iovlen = 1, .msg_control = told[i]};
    }
    unsigned long datagrams = 0, messages = 0;
    double end = seconds(CLOCK_MONOTONIC) + atof(words[2]), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    while (seconds(CLOCK_MONOTONIC) < end) {
        for (int i = 0; i < BATCH; i++, next = (next + 1) % many) vectors[i].iov_len = sizes[next] + header;
        int sending = way ? group(way) : BATCH, taken;
        for (int gone = 0; gone < sending;) {
            int went = sendmmsg(from, out + gone, sending - gone, 0);
            if (went < 0) perror("sendmmsg"), exit(1);
            gone += went;
        }
        datagrams += BATCH, messages += sending;
        do {
            for (int i = 0; i < BATCH; i++) in[i].msg_hdr.msg_controllen = way >= 2 ? sizeof told[i] : 0;
            taken = recvmmsg(to, in, BATCH, MSG_DONTWAIT, NULL);
        } while (taken == BATCH);
    }
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("%.0f ns, %.2f together\n", cpu / datagrams * 1e9, (double)datagrams / messages);
}
