/* Sends as fast as it can from one socket, takes what a relay makes of it at another, and counts.

       relay_load SEND_FD SINK_FD PORT SECONDS RECORD HEADER PAYLOAD < RECORDS

   Records of RECORD bytes, one a flow, are sent in turn to 127.0.0.1:PORT. With HEADER 0 a record is the source address
   (4 bytes of 127.0.0.0/8, all of which is this machine's) that a datagram of PAYLOAD bytes is sent from; otherwise it
   is the header that is sent in front of the payload. Prints how many arrived. */

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

enum { BATCH = 64, ROOM = 2048 };

static uint8_t packets[BATCH][ROOM], trash[BATCH][64];
static struct iovec vectors[BATCH], trash_vectors[BATCH];
static struct mmsghdr out[BATCH], in[BATCH];
static union {
    char room[CMSG_SPACE(sizeof(struct in_pktinfo))];
    struct cmsghdr align;
} controls[BATCH];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int count, char **words) {
    if (count != 8) return 2;
    int send_fd = atoi(words[1]), sink_fd = atoi(words[2]), record = atoi(words[5]), header = atoi(words[6]);
    int payload = atoi(words[7]);
    double end = now() + atof(words[4]);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(atoi(words[3])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    size_t room = 4 << 20, flows = 0, next = 0;
    uint8_t *records = malloc(room);
    flows = fread(records, record, room / record, stdin);
    for (int i = 0; i < BATCH; i++) {
        memset(packets[i] + header, 0x80, payload);
        vectors[i] = (struct iovec){packets[i], header + payload};
        out[i].msg_hdr =
            (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &vectors[i], .msg_iovlen = 1};
        trash_vectors[i] = (struct iovec){trash[i], sizeof trash[i]};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &trash_vectors[i], .msg_iovlen = 1};
        if (!header) {
            out[i].msg_hdr.msg_control = controls[i].room;
            out[i].msg_hdr.msg_controllen = sizeof controls[i].room;
            controls[i].align = (struct cmsghdr){
                .cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
        }
    }
    unsigned long arrived = 0;
    while (now() < end) {
        for (int i = 0; i < BATCH; i++, next = (next + 1) % flows) {
            if (header)
                memcpy(packets[i], records + next * record, header);
            else
                memcpy(&((struct in_pktinfo *)CMSG_DATA(&controls[i].align))->ipi_spec_dst, records + next * record, 4);
        }
        int came;
        if (sendmmsg(send_fd, out, BATCH, 0) < 0) {
            perror("sendmmsg");
            return 1;
        }
        do {
            came = recvmmsg(sink_fd, in, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
            arrived += came > 0 ? came : 0;
        } while (came == BATCH);
    }
    printf("%lu\n", arrived);
}
