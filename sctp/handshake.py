"""Setting an association up: INIT, INIT ACK, COOKIE ECHO, COOKIE ACK.

    1  A → Z   INIT          A's tag, window, streams, TSN, extensions       A: T1-init
    2  Z → A   INIT ACK      the same of Z, and a cookie; Z forgets it all
    3  A → Z   COOKIE ECHO   the cookie, and DATA already                    A: T1-cookie
    4  Z → A   COOKIE ACK    Z is established with 3, A with 4; DATA already

On a data channel both sides often begin at once. Each answers the other's INIT with the tag and TSN of its own INIT,
so that both handshakes are about one association; the cookies then find it (table 12, actions B and D).

Source: RFC 9260 §5.
"""

import attrs

from sctp.causes.cookie_received_while_shutting_down import CookieReceivedWhileShuttingDown
from sctp.causes.invalid_mandatory_parameter import InvalidMandatoryParameter
from sctp.causes.missing_mandatory_parameter import MissingMandatoryParameter
from sctp.causes.stale_cookie import StaleCookie
from sctp.causes.unrecognized_parameters import UnrecognizedParameters
from sctp.causes.unresolvable_address import UnresolvableAddress
from sctp.chunks.abort import Abort
from sctp.chunks.chunk import serialize_chunk
from sctp.chunks.cookie_ack import CookieAck
from sctp.chunks.cookie_echo import CookieEcho
from sctp.chunks.error import Error
from sctp.chunks.init import Init
from sctp.chunks.init_ack import InitAck
from sctp.chunks.initiation import Initiation
from sctp.chunks.shutdown_ack import ShutdownAck
from sctp.control_block import ControlBlock, random_number, random_tag
from sctp.cookie import Cookie, CookieJar
from sctp.drops import DropReason
from sctp.events import Restarted
from sctp.parameters.host_name_address import HostNameAddress
from sctp.parameters.parameter import Parameter, serialize_parameter
from sctp.parameters.state_cookie import StateCookie
from sctp.parameters.unknown import UnknownParameter
from sctp.parameters.unrecognized_parameter import UnrecognizedParameter
from sctp.states import State, Trigger
from sctp.terms import OUR_EXTENSIONS, Terms, agree
from sctp.timers import BackoffTimer
from sctp.tx.sender import COMMON_HEADER_SIZE
from sctp.unrecognized import sift
from wire.errors import AuthenticationError

__all__ = ["Handshake"]

_MIN_WINDOW = 1500
"""RFC 9260 §3.3.2: a_rwnd MUST NOT be smaller."""

_MAX_REPORTED = 128
"""Bytes of unknown parameters that are handed back in an INIT ACK, so that it fits a packet."""


class Handshake:
    """Both sides of the handshake, with their timer.

    Args:
        block: the association.
        jar: makes and opens cookies.

    Attributes:
        timer: T1-init in COOKIE_WAIT, T1-cookie in COOKIE_ECHOED.
        cookie_echo: the chunk of step 3, serialized; empty when we do not have the peer's cookie, and when it was
            acknowledged.
        is_echo_due: whether it has to be sent now.
        sent_at: when the INIT or COOKIE ECHO was sent for the first time.
        stale_cookies: how often the peer has found our cookie too old.
    """

    __slots__ = ("_block", "_jar", "cookie_echo", "is_echo_due", "sent_at", "stale_cookies", "timer")

    def __init__(self, block: ControlBlock, jar: CookieJar) -> None:
        options = block.options
        self._block = block
        self._jar = jar
        self.timer = BackoffTimer(options.t1_timeout, options.t1_maximum, options.max_init_retransmits)
        self.cookie_echo = b""
        self.is_echo_due = False
        self.sent_at = 0.0
        self.stale_cookies = 0

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

    # Step 2 ----------------------------------------------------------------------------------------------------------

    def receive_init(self, init: Init, now: float) -> None:
        """Answer an INIT, whatever the state; nothing changes by it."""
        block = self._block
        if init.initiate_tag == 0:
            # §3.3.2: silently discarded.
            block.drop(DropReason.INVALID_INIT)
            return
        if (abort := self._objection(init)) is not None:
            block.drop(DropReason.INVALID_INIT)
            block.outbox.add_packet(init.initiate_tag, abort)
            return
        if block.state is State.SHUTDOWN_ACK_SENT:
            # §9.2: our SHUTDOWN COMPLETE has not come; the INIT will be repeated.
            block.drop(DropReason.UNEXPECTED_CHUNK)
            block.outbox.add_control(ShutdownAck())
            return
        if block.state in (State.COOKIE_WAIT, State.COOKIE_ECHOED):
            # §5.2.1: the tag and the TSN of our own INIT.
            local_tag, initial_tsn = block.local_tag, block.local_initial_tsn
        else:
            # §5.1, §5.2.2: a new tag; what exists is not touched.
            local_tag, initial_tsn = random_tag(block.entropy), random_number(block.entropy)
        known, reported = sift(init.parameters, UnknownParameter)
        self._count_unknown(init.parameters)
        cookie = Cookie(
            terms=agree(block.options, local_tag, initial_tsn, init, known),
            local_tie_tag=block.tie_tags[0],
            peer_tie_tag=block.tie_tags[1],
            created=now,
        )
        ack = InitAck(
            initiate_tag=local_tag,
            a_rwnd=block.options.receive_window,
            outbound_streams=cookie.terms.outbound_streams,
            inbound_streams=block.options.streams,
            initial_tsn=initial_tsn,
            parameters=(StateCookie(cookie=self._jar.seal(cookie)), *OUR_EXTENSIONS, *_reports(reported)),
        )
        block.outbox.add_packet(init.initiate_tag, ack)

    def _objection(self, chunk: Initiation) -> Abort | None:
        """Return the answer to an INIT or INIT ACK that no association can come of."""
        if any(isinstance(item, HostNameAddress) for item in chunk.parameters):
            # §3.3.2 note 3.
            return Abort(causes=(UnresolvableAddress(),))
        if chunk.a_rwnd < _MIN_WINDOW or not chunk.outbound_streams or not chunk.inbound_streams:
            return Abort(causes=(InvalidMandatoryParameter(),))
        return None

    def _count_unknown(self, parameters: tuple[Parameter, ...]) -> None:
        for item in parameters:
            if isinstance(item, UnknownParameter):
                self._block.drop(DropReason.UNKNOWN_PARAMETER)

    # Step 3 ----------------------------------------------------------------------------------------------------------

    def receive_init_ack(self, ack: InitAck, now: float) -> None:
        """Send the cookie back."""
        block = self._block
        if block.state is not State.COOKIE_WAIT:
            # §5.2.3.
            block.drop(DropReason.UNEXPECTED_CHUNK)
            return
        known, reported = sift(ack.parameters, UnknownParameter)
        self._count_unknown(ack.parameters)
        abort = self._objection(ack)
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
        if reported:
            block.report_error(
                UnrecognizedParameters(parameters=b"".join(item.parameter for item in _reports(reported)))
            )
        self.cookie_echo = echo
        self.is_echo_due = True
        self.sent_at = now
        self.timer.begin(now)

    def _measure(self, now: float) -> None:
        # §6.3.1 C5: nothing is measured with what was repeated.
        if not self.timer.expirations:
            self._block.sender.rto.measure(now - self.sent_at)

    # Step 4 ----------------------------------------------------------------------------------------------------------

    def receive_cookie_echo(self, echo: CookieEcho, verification_tag: int, now: float) -> bool:
        """Check a cookie, and do what it stands for.

        Returns:
            Whether the rest of the packet may be read.
        """
        block = self._block
        try:
            cookie = self._jar.open(echo.cookie)
        except AuthenticationError:
            # §5.1.5: silently discarded, with all that follows it.
            block.drop(DropReason.COOKIE)
            return False
        terms = cookie.terms
        if verification_tag != terms.local_tag:
            block.drop(DropReason.VERIFICATION_TAG)
            return False
        is_present = block.terms is not None and (block.local_tag, block.peer_tag) == (terms.local_tag, terms.peer_tag)
        age = now - cookie.created
        if age > block.options.cookie_lifetime and not is_present:
            # §5.1.5 (4), §5.2.4 (3).
            block.drop(DropReason.STALE_COOKIE)
            staleness = min(int((age - block.options.cookie_lifetime) * 1e6), 0xFFFF_FFFF)
            block.outbox.add_packet(terms.peer_tag, Error(causes=(StaleCookie(staleness_us=staleness),)))
            return False
        if block.state is State.CLOSED:
            block.begin(terms)
            return self._accept()
        return self._receive_duplicate(cookie, terms, is_present=is_present)

    def _receive_duplicate(self, cookie: Cookie, terms: Terms, *, is_present: bool) -> bool:
        """§5.2.4, table 12: a cookie for an association that exists or is being made."""
        block = self._block
        is_local = block.local_tag == terms.local_tag
        ties = (cookie.local_tie_tag, cookie.peer_tie_tag)
        if is_present:
            # Action D: our COOKIE ACK was lost, or both sides have begun at once.
            return self._accept()
        if is_local:
            # Action B: both sides have begun at once; the peer's tag is that of its INIT.
            if block.state in (State.COOKIE_WAIT, State.COOKIE_ECHOED):
                block.adopt(terms)
            elif block.terms is not None:
                block.terms = attrs.evolve(block.terms, peer_tag=terms.peer_tag)
            return self._accept()
        if block.peer_tag != terms.peer_tag and ties == block.tie_tags and ties != (0, 0):
            return self._restart(terms)
        # Action C (a cookie of our own that comes late), and everything that is not in the table.
        block.drop(DropReason.LATE_COOKIE)
        return False

    def _accept(self) -> bool:
        block = self._block
        if block.move(Trigger.COOKIE_ECHO):
            self.timer.stop()
            self.is_echo_due = False
            block.report_connected()
        block.outbox.put_first(CookieAck())
        return True

    def _restart(self, terms: Terms) -> bool:
        """Action A: the peer has lost its state."""
        block = self._block
        if not block.move(Trigger.RESTART):
            # In SHUTDOWN_ACK_SENT no new association is made.
            block.outbox.add_control(ShutdownAck())
            block.report_error(CookieReceivedWhileShuttingDown())
            return False
        block.sender.queue.restart()
        block.begin(terms)
        block.heard()
        block.events.append(Restarted())
        block.outbox.put_first(CookieAck())
        return True

    def receive_cookie_ack(self, now: float) -> None:
        """The peer has its state: we are established."""
        block = self._block
        is_awaited, self.cookie_echo = bool(self.cookie_echo), b""
        if not block.move(Trigger.COOKIE_ACK):
            # §5.2.5: discarded. When both sides have begun at once, each is established by the other's COOKIE ECHO, and
            # then gets the answer to its own: nothing is wrong with that.
            if not is_awaited:
                block.drop(DropReason.UNEXPECTED_CHUNK)
            return
        self._measure(now)
        self._echo_accepted()

    def peer_transfers(self) -> None:
        """The peer acts on an association that only our COOKIE ECHO can have given it."""
        # DEVIATES: RFC 9260 §6 says that DATA SHOULD be discarded in COOKIE-ECHOED. Its COOKIE ACK was lost or is late:
        # all that the peer sends until T1-cookie expires would have to be sent again.
        if self._block.move(Trigger.COOKIE_ACK):
            self._echo_accepted()

    def _echo_accepted(self) -> None:
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
        self.stale_cookies += 1
        if self.stale_cookies > block.options.max_init_retransmits:
            self.timer.stop()
            block.close("handshake-timeout", "every cookie is stale")
            return
        block.terms = None
        block.tie_tags = (0, 0)
        block.receiver = None
        self._start(now)

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
        else:
            self.is_echo_due = True


def _reports(unknown: tuple[UnknownParameter, ...]) -> list[UnrecognizedParameter]:
    """What is handed back of the unknown parameters that want to be reported, as far as there is room."""
    room = _MAX_REPORTED
    reports = []
    for item in unknown:
        parameter = serialize_parameter(item)
        room -= len(parameter)
        if room < 0:
            break
        reports.append(UnrecognizedParameter(parameter=parameter))
    return reports
