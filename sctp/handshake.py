"""Setting an association up: INIT, INIT ACK, COOKIE ECHO, COOKIE ACK; here is the side that begins.

    1  A → Z   INIT          A's tag, window, streams, TSN, extensions       A: T1-init
    2  Z → A   INIT ACK      the same of Z, and a cookie; Z forgets it all
    3  A → Z   COOKIE ECHO   the cookie, and DATA already                    A: T1-cookie
    4  Z → A   COOKIE ACK    Z is established with 3, A with 4; DATA already

On a data channel both sides often begin at once. Each answers the other's INIT with the tag and TSN of its own INIT,
so that both handshakes are about one association; the cookies then find it. The side that answers is in `answering`.

Source: RFC 9260 §5.
"""

from sctp.causes.missing_mandatory_parameter import MissingMandatoryParameter
from sctp.causes.unrecognized_parameters import UnrecognizedParameters
from sctp.chunks.abort import Abort
from sctp.chunks.chunk import serialize_chunk
from sctp.chunks.cookie_echo import CookieEcho
from sctp.chunks.init import Init
from sctp.chunks.init_ack import InitAck
from sctp.control_block import ControlBlock, random_number, random_tag
from sctp.drops import DropReason
from sctp.events import Restarted
from sctp.parameters.state_cookie import StateCookie
from sctp.states import State, Trigger
from sctp.terms import OUR_EXTENSIONS, agree, objection_to, read_parameters
from sctp.timers import BackoffTimer
from sctp.tx.sender import COMMON_HEADER_SIZE

__all__ = ["Handshake"]

_RESTART_ECHOES = 2
"""How often the COOKIE ECHO of a restart goes unanswered before it begins anew."""


class Handshake:
    """Steps 1 and 3, with their timers; and what the answers to them mean.

    Args:
        block: the association.

    Attributes:
        timer: T1-init in COOKIE_WAIT, T1-cookie in COOKIE_ECHOED.
        cookie_echo: the chunk of step 3, serialized; empty when we do not have the peer's cookie, and when it was
            acknowledged.
        is_echo_due: whether it has to be sent now.
        sent_at: when the INIT or COOKIE ECHO was sent for the first time.
        stale_cookies: how often the peer has found our cookie too old, or seems to have.
        replaces: the peer's tag in the association that this takes the place of; None for the first association, 0
            when it is not known.
    """

    __slots__ = ("_block", "_echoed_to", "cookie_echo", "is_echo_due", "replaces", "sent_at", "stale_cookies", "timer")

    def __init__(self, block: ControlBlock) -> None:
        options = block.options
        self._block = block
        self.timer = BackoffTimer(options.t1_timeout, options.t1_maximum, options.max_init_retransmits)
        self.cookie_echo = b""
        self.is_echo_due = False
        self.sent_at = 0.0
        self.stale_cookies = 0
        self.replaces: int | None = None
        self._echoed_to = 0  # the tag of the peer that has given us its cookie; 0 when it is not known

    # Step 1 ----------------------------------------------------------------------------------------------------------

    def connect(self, now: float) -> None:
        """Begin; nothing happens if it has begun already."""
        if self._block.move(Trigger.ASSOCIATE):
            self._start(now)

    def _start(self, now: float) -> None:
        self._send_init()
        self.sent_at = now
        self.timer.begin(now)

    def _send_init(self) -> None:
        block = self._block
        init = Init(
            initiate_tag=block.local_tag,
            a_rwnd=block.options.receive_window,
            outbound_streams=block.options.streams,
            inbound_streams=block.options.streams,
            initial_tsn=block.local_initial_tsn,
            parameters=OUR_EXTENSIONS,
        )
        # §8.5.1 A: the verification tag is 0.
        block.outbox.add_packet(0, init)

    # Step 3 ----------------------------------------------------------------------------------------------------------

    def receive_init_ack(self, ack: InitAck, now: float) -> None:
        """Send the cookie back."""
        block = self._block
        if block.state is not State.COOKIE_WAIT:
            # §5.2.3.
            block.drop(DropReason.UNEXPECTED_CHUNK)
            return
        known, reports = read_parameters(ack, block.drops)
        abort = objection_to(ack)
        cookie = next((item.cookie for item in known if isinstance(item, StateCookie)), None)
        if abort is None and cookie is None:
            abort = Abort(causes=(MissingMandatoryParameter(types=(StateCookie.TYPE,)),))
        echo = b"" if cookie is None else serialize_chunk(CookieEcho(cookie=cookie))
        if abort is None and len(echo) > block.options.mtu - COMMON_HEADER_SIZE:
            abort = Abort()
        if abort is not None or ack.initiate_tag == 0:
            # §3.3.3: the association is destroyed; with tag 0 the T bit and our own tag say whose it was.
            block.drop(DropReason.INVALID_INIT)
            block.close("incompatible", "the peer's INIT ACK is not acceptable")
            self.timer.stop()
            if ack.initiate_tag:
                block.outbox.add_packet(ack.initiate_tag, abort or Abort())
            else:
                block.outbox.add_packet(block.local_tag, Abort(is_tag_reflected=True))
            return
        block.move(Trigger.INIT_ACK)
        self._measure(now)
        block.adopt(agree(block.options, block.local_tag, block.local_initial_tsn, ack, known))
        if ack.initiate_tag == self.replaces and block.receiver is not None:
            # DEVIATES: RFC 9260 §5.2.2 has an INIT in an association answered with a new tag, and §5.2.4 A all numbers
            # begin anew. aiortc 1.14 goes on with both.
            block.receiver.delivery.order.joins = True
        if reports:
            block.report_error(UnrecognizedParameters(parameters=b"".join(item.parameter for item in reports)))
        self.cookie_echo, self._echoed_to = echo, ack.initiate_tag
        self.is_echo_due = True
        self.sent_at = now
        self.timer.begin(now)

    def _measure(self, now: float) -> None:
        # §6.3.1 C5: nothing is measured with what was repeated.
        if not self.timer.expirations:
            self._block.sender.rto.measure(now - self.sent_at)

    # Step 4 ----------------------------------------------------------------------------------------------------------

    def receive_cookie_ack(self, now: float) -> None:
        """The peer has its state: we are established."""
        block = self._block
        is_awaited, self.cookie_echo = bool(self.cookie_echo), b""
        if not block.move(Trigger.COOKIE_ACK):
            # §5.2.5: discarded. When both sides have begun at once, each is established by the other's COOKIE ECHO, and
            # then gets the answer to its own: nothing is wrong with that.
            if not is_awaited:
                block.drop(DropReason.UNEXPECTED_CHUNK)
            elif self._echoed_to not in (0, block.peer_tag):
                # It has begun again since, and we are established with its predecessor, whose COOKIE ECHO came late.
                self.begin_anew(now)
            return
        self._measure(now)
        self.established()

    def peer_transfers(self) -> None:
        """The peer acts on an association that only our COOKIE ECHO can have given it."""
        # DEVIATES: RFC 9260 §6 says that DATA SHOULD be discarded in COOKIE-ECHOED. Its COOKIE ACK was lost or is late:
        # all that the peer sends until T1-cookie expires would have to be sent again.
        if self._block.move(Trigger.COOKIE_ACK):
            self.established()

    def established(self) -> None:
        """Both sides have their state: nothing is left to be asked."""
        self.timer.stop()
        self.is_echo_due = False
        self._block.report_connected()

    def receive_stale_cookie(self, now: float) -> None:
        """Our cookie has come back too late: begin again (§5.2.6 (1)), a limited number of times."""
        block = self._block
        if not block.move(Trigger.STALE_COOKIE):
            block.drop(DropReason.UNEXPECTED_CHUNK)
            return
        self.is_echo_due = False
        self._begin_again(now)

    def _begin_again(self, now: float) -> None:
        block = self._block
        self.stale_cookies += 1
        if self.stale_cookies > block.options.max_init_retransmits:
            self.timer.stop()
            block.close("handshake-timeout", "every cookie is stale")
            return
        block.terms = None
        block.tie_tags = (0, 0)
        block.receiver = None
        self._start(now)

    def begin_anew(self, now: float) -> bool:
        """Begin again in the midst of an association, as the peer has; with a tag that it has not seen yet.

        Returns:
            Whether that can be now.
        """
        block = self._block
        if not block.move(Trigger.BEGIN_ANEW):
            return False
        self.stale_cookies = 0
        self.replaces = self.replaces or 0
        block.outbox.clear()
        block.events.append(Restarted())
        self._restart_again(now)
        return True

    def _restart_again(self, now: float) -> None:
        """Begin the restart anew, with a tag that the peer has not seen yet."""
        block = self._block
        self.cookie_echo = b""
        block.local_tag, block.local_initial_tsn = random_tag(block.entropy), random_number(block.entropy)
        # What went with the COOKIE ECHO may have arrived: it comes once more, in the same order, or not at all.
        block.sender.queue.restart()
        block.sender.start(block.local_initial_tsn)
        self._begin_again(now)

    # Time ------------------------------------------------------------------------------------------------------------

    def handle_timeout(self, now: float) -> None:
        """T1-init and T1-cookie (§5.1)."""
        if not self.timer.is_due(now):
            return
        block = self._block
        if not self.timer.expired(now):
            block.close("handshake-timeout", f"no answer in {block.state.value}")
        elif block.state is State.COOKIE_WAIT:
            self._send_init()
        elif self.replaces is not None and self.timer.expirations >= _RESTART_ECHOES:
            # DEVIATES: RFC 9260 §5.1 has the COOKIE ECHO repeated to the end. If somebody has restarted just before us,
            # and its COOKIE ECHO came behind our INIT, the peer takes ours for a late one (§5.2.4 C), however often.
            block.move(Trigger.STALE_COOKIE)
            self._restart_again(now)
        else:
            self.is_echo_due = True
