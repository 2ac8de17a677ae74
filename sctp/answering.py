"""Answering a handshake: INIT and COOKIE ECHO of the peer (`handshake` shows the four steps).

Goal: nobody makes us hold anything by asking; only who has got our answer, and sends its cookie back, gets a state.
Attacker: sends INITs from any address, keeps cookies and edits them.
Rules: an INIT changes nothing, in no state; all that its answer promises is in the cookie, under a key of ours; what a
cookie may do to an association that exists depends on the tags in it (table 12).

Source: RFC 9260 §5.1, §5.2.
"""

import math

import attrs

from sctp.causes.cookie_received_while_shutting_down import CookieReceivedWhileShuttingDown
from sctp.causes.stale_cookie import StaleCookie
from sctp.chunks.cookie_ack import CookieAck
from sctp.chunks.cookie_echo import CookieEcho
from sctp.chunks.error import Error
from sctp.chunks.init import Init
from sctp.chunks.init_ack import InitAck
from sctp.chunks.shutdown_ack import ShutdownAck
from sctp.control_block import ControlBlock, random_number, random_tag
from sctp.cookie import Cookie, CookieJar
from sctp.drops import DropReason
from sctp.events import Restarted
from sctp.handshake import Handshake
from sctp.parameters.state_cookie import StateCookie
from sctp.states import State, Trigger
from sctp.terms import OUR_EXTENSIONS, Terms, agree, objection_to, read_parameters
from wire.errors import AuthenticationError

__all__ = ["Answering"]


class Answering:
    """Steps 2 and 4.

    Args:
        block: the association.
        jar: makes and opens cookies.
        handshake: our own, which may be under way at the same time.
    """

    __slots__ = ("_block", "_handshake", "_jar", "_newest")

    def __init__(self, block: ControlBlock, jar: CookieJar, handshake: Handshake) -> None:
        self._block = block
        self._jar = jar
        self._handshake = handshake
        self._newest = -math.inf  # when the cookie was made by which the peer's tag was learned

    # Step 2 ----------------------------------------------------------------------------------------------------------

    def receive_init(self, init: Init, now: float) -> None:
        """Answer an INIT, whatever the state; nothing changes by it."""
        block = self._block
        if init.initiate_tag == 0:
            # §3.3.2: silently discarded.
            block.drop(DropReason.INVALID_INIT)
            return
        if (abort := objection_to(init)) is not None:
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
        known, reports = read_parameters(init, block.drops)
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
            parameters=(StateCookie(cookie=self._jar.seal(cookie)), *OUR_EXTENSIONS, *reports),
        )
        block.outbox.add_packet(init.initiate_tag, ack)

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
            self._newest = cookie.created
            block.begin(terms)
            return self._accept()
        return self._receive_duplicate(cookie, terms, now, is_present=is_present)

    def _receive_duplicate(self, cookie: Cookie, terms: Terms, now: float, *, is_present: bool) -> bool:
        """§5.2.4, table 12: a cookie for an association that exists or is being made."""
        block = self._block
        is_local = block.local_tag == terms.local_tag
        ties = (cookie.local_tie_tag, cookie.peer_tie_tag)
        if is_present:
            # Action D: our COOKIE ACK was lost, or both sides have begun at once.
            return self._accept()
        if is_local:
            return self._receive_crossed(cookie, terms, now)
        if block.peer_tag != terms.peer_tag and ties == block.tie_tags and ties != (0, 0):
            return self._restart(terms)
        # Action C (a cookie of our own that comes late), and everything that is not in the table.
        block.drop(DropReason.LATE_COOKIE)
        return False

    def _receive_crossed(self, cookie: Cookie, terms: Terms, now: float) -> bool:
        """Action B: both sides have begun at once; the peer's tag is that of its INIT."""
        block = self._block
        if cookie.created < self._newest:
            # DEVIATES: RFC 9260 §5.2.4 B goes by any cookie. When the peer has begun twice meanwhile, the first one may
            # come last, and leads back to what is there no more.
            block.drop(DropReason.LATE_COOKIE)
            return False
        self._newest = cookie.created
        if block.terms is None or block.state in (State.COOKIE_WAIT, State.COOKIE_ECHOED):
            block.adopt(terms)
        elif terms.peer_initial_tsn != block.terms.peer_initial_tsn and self._handshake.begin_anew(now):
            # DEVIATES: RFC 9260 §5.2.4 B updates the peer's tag. But we are established, and this peer counts anew: it
            # has begun again since, and got the tag and TSN of our own INIT (§5.2.1), so it waits for what we have sent
            # to the one before it. It finds by another INIT that we begin anew as well.
            return False
        else:
            block.terms = attrs.evolve(block.terms, peer_tag=terms.peer_tag)
        return self._accept()

    def _accept(self) -> bool:
        block = self._block
        if block.move(Trigger.COOKIE_ECHO):
            self._handshake.established()
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
