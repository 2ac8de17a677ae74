"""What an association can be told from outside: each option with its unit, its reason and what follows from it.

Where Chromium's dcSCTP has another value than RFC 9260 §16, its value is taken: most peers are Chromium, and two ends
that time alike are easier to reason about.
"""

import attrs

__all__ = ["PORT", "SctpOptions"]

PORT = 5000
"""Both ports of every packet. RFC 8831 §6.2 leaves them to signalling; all WebRTC stacks announce 5000."""

_MIN_MTU = 508
"""An INIT ACK with our cookie and the peer's unrecognized parameters has to fit."""


@attrs.frozen(kw_only=True)
class SctpOptions:
    """Options of one association; the defaults suit data channels.

    Attributes:
        mtu: bytes of the largest packet, common header included; a multiple of 4. 1191 rounded down: 1280, the least
            that IPv6 carries, less IPv6, UDP, DTLS and TURN headers. There is no path MTU discovery (RFC 8261 §5).
        streams: streams we offer and accept in each direction, 1 to 65535. RFC 8831 §6.2 wants 65535; a stream that is
            not used costs nothing.
        max_message_size: bytes of the largest message accepted; what `a=max-message-size` announces. A peer that sends
            a larger one is aborted: there is no way to refuse a single message.
        max_send_buffer: bytes of messages that wait to be sent, over all streams; beyond that `send` raises.
        receive_window: bytes held for reassembly and reordering, 1500 or more; announced as `a_rwnd`. It bounds the
            memory that a peer can claim, and the throughput per round trip.
        max_tsn_distance: how far ahead of the cumulative TSN a TSN may be, at most 65535 (gap blocks have 16 bits).
            Bounds the bookkeeping per association whatever the size of chunks is.
        rto_initial: seconds before the first retransmission while no round trip is known.
        rto_minimum: seconds. DEVIATES: RFC 9260 §16 says 1 s; 0.4 s is above any delayed SACK and as Chromium has it.
        rto_maximum: seconds; where doubling ends (RFC 9260 §6.3.1 C7).
        t1_timeout: seconds before INIT and COOKIE ECHO are repeated for the first time; doubles each time.
        t1_maximum: seconds; where that doubling ends. A short end keeps set-up quick when a path appears late.
        t2_timeout: seconds before SHUTDOWN and SHUTDOWN ACK are repeated; doubles each time up to `rto_maximum`.
        shutdown_guard: seconds for a whole graceful shutdown before it becomes an abort. DEVIATES: RFC 9260 §9.2
            recommends 5 times RTO.Max, which is 5 minutes; nobody waits so long for a call to end.
        sack_delay: seconds that an acknowledgement may wait, at most 0.5 (RFC 9260 §6.2).
        heartbeat_interval: seconds of silence before the peer is asked for a sign of life; 0 for never. ICE's consent
            notices a dead path long before; this notices a dead SCTP stack behind a living path.
        max_init_retransmits: how often INIT or COOKIE ECHO is repeated before giving up (RFC 9260 §16: 8).
        max_retransmits: consecutive expirations without any sign of life before giving up (RFC 9260 §16: 10).
        zero_window_limit: seconds for which a peer may keep its window closed while we have something to say. After
            them the association is aborted: our memory is not its buffer.
        initial_window: packets that may be in flight at first. DEVIATES: RFC 9260 §7.2.1 allows 4404 bytes; RFC 6928
            gives TCP ten segments, and so does Chromium.
        max_burst: packets of new data sent in one go (RFC 9260 §6.1 D), so that an opened window does not overflow
            queues on the way.
        cookie_lifetime: seconds for which a state cookie is accepted (RFC 9260 §16: 60).
    """

    mtu: int = attrs.field(default=1188, validator=[attrs.validators.ge(_MIN_MTU), attrs.validators.le(16384)])
    streams: int = attrs.field(default=65535, validator=[attrs.validators.ge(1), attrs.validators.le(65535)])
    max_message_size: int = 262144
    max_send_buffer: int = 2_000_000
    receive_window: int = attrs.field(default=5 * 1024 * 1024, validator=attrs.validators.ge(1500))
    max_tsn_distance: int = attrs.field(default=32768, validator=attrs.validators.le(65535))
    rto_initial: float = 0.5
    rto_minimum: float = 0.4
    rto_maximum: float = 60.0
    t1_timeout: float = 1.0
    t1_maximum: float = 3.0
    t2_timeout: float = 1.0
    shutdown_guard: float = 30.0
    sack_delay: float = attrs.field(default=0.2, validator=attrs.validators.le(0.5))
    heartbeat_interval: float = 30.0
    max_init_retransmits: int = 8
    max_retransmits: int = 10
    zero_window_limit: float = 120.0
    initial_window: int = 10
    max_burst: int = 4
    cookie_lifetime: float = 60.0

    @mtu.validator
    def _check_multiple(self, _attribute: "attrs.Attribute[int]", value: int) -> None:
        if value % 4:
            raise ValueError("mtu must be a multiple of 4, as chunks are")
