"""What is declared of the C library, and what turns it into `relay.mmsg_abi`: `python -m relay.mmsg_build`.

Parsing C takes longer than all else that `relay.mmsg` does when it is imported, and a relay that starts again has calls
waiting for it. So it is done once, when the declarations change, and a test compares.
"""

from pathlib import Path

from cffi import FFI

__all__ = ["DECLARATIONS", "generate"]

DECLARATIONS = """
    struct iovec { void *iov_base; size_t iov_len; };
    struct msghdr {
        void *msg_name; unsigned int msg_namelen;
        struct iovec *msg_iov; size_t msg_iovlen;
        void *msg_control; size_t msg_controllen;
        int msg_flags;
    };
    struct mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
    int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags, void *timeout);
    int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags);
    int mallopt(int parameter, int value);
    struct timespec { long tv_sec; long tv_nsec; };
    struct itimerspec { struct timespec it_interval; struct timespec it_value; };
    int timerfd_create(int clock, int flags);
    int timerfd_settime(int fd, int flags, const struct itimerspec *wanted, struct itimerspec *before);
"""

_TARGET = Path(__file__).with_name("mmsg_abi.py")


def generate(path: Path) -> None:
    """Write the module that knows the declarations."""
    ffi = FFI()
    ffi.cdef(DECLARATIONS)
    ffi.set_source("relay.mmsg_abi", None)
    ffi.emit_python_code(str(path))


if __name__ == "__main__":
    generate(_TARGET)
