"""Between the hop and the sessions: finds the session of a datagram, and the way back of what sessions say.

A datagram costs no task switch and no parsing: its hop header is looked up as it stands, the session takes it inline,
and what all the sessions of a batch have to say leaves together. A call has no task of its own until something slow
belongs to it.

Goal: what arrives here came through a relay of ours; an exception in a session, which is our bug, ends that session,
is reported, and disturbs no other.
"""

import contextlib
import enum
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import attrs

from relay.hop.bundles import parts_of
from relay.hop.header import (
    BUNDLE,
    FLAG_IPV6,
    IPV4_HEADER_SIZE,
    IPV6_HEADER_SIZE,
    SEALED,
    UP,
    Header,
    parse_header,
    with_generation,
)
from relay.hop.links import (
    FlowsAcknowledged,
    FlowsWanted,
    TransceiverIdentity,
    TransceiverLink,
    TransceiverSuspected,
)
from sctp.channel_events import ChannelClosed, ChannelOpened
from stun.events import PathExpired, PathSelected, PathValidated
from transceiver.backend_leg import BackendLeg
from transceiver.flows import Flow, flows_to_announce
from transceiver.registry import Call, CallRegistry
from transceiver.session_events import Established
from wire.core import Address, Closed, Drops, Event, Path

__all__ = ["Departure", "Dispatcher", "DropReason", "Report", "SendBatch"]

Report = Callable[[str, Mapping[str, object]], None]
"""Takes the name of what happened and its facts in JSON types: a line for the log."""

SendBatch = Callable[[list[tuple[bytes, Address]]], None]
"""Sends datagrams to relays, each to its address. What belongs together is sent together, for the relay's sake: each
time it is woken up costs it more than a datagram does."""


_SENT_TOGETHER = 8
"""So many datagrams of a tick leave in one system call. The first of them waits for the others: most of a millisecond,
where each has to be encoded; less than a relay that is busy waits anyway."""

_SEALED, _BUNDLE = bytes((SEALED,)), bytes((BUNDLE,))

_CHANGES = (PathSelected, PathValidated, PathExpired, ChannelOpened, ChannelClosed)
"""What a successor should know soon."""


class Departure(NamedTuple):
    """What is known of a session that has left.

    Attributes:
        owner: who has it now; None when that is not known.
        generation: of its ownership.
    """

    owner: TransceiverIdentity | None
    generation: int


class DropReason(enum.StrEnum):
    """Why a datagram did not get to its session, or from it to the client."""

    NOT_A_RELAY = "not-a-relay"
    """It came from an address at which no relay has proven itself lately, or should have been sealed."""
    MALFORMED_HOP = "malformed-hop"
    """Its header does not parse, or it is a bundle whose parts do not add up."""
    UNKNOWN_SESSION = "unknown-session"
    """Its session has ended, or was never here. The relay is told."""
    NO_WAY_BACK = "no-way-back"
    """A session wants to send to a path that no relay has told us of, or that is forgotten."""


class Dispatcher:
    """Carries datagrams between relays and sessions.

    Args:
        link: tells relays from others.
        calls: the calls; they end here, but are made elsewhere.
        send: puts datagrams on the wire.
        report: takes what happened, for the log.

    Attributes:
        drops: datagrams dropped here, by `DropReason`.
        counts: what became of calls, by event.
        on_ended: told of each call that has ended here for good, and not moved; None for nobody.
        on_held: told of a held call whose client was heard; None for nobody.
        on_late: offered each datagram of a session that is not here: the session's number, the datagram with its hop
            header, the relay's address, now; returns whether it is not lost. None for nobody.
        on_link_event: told what relays say that is not about their links; None for nobody.
    """

    def __init__(self, *, link: TransceiverLink, calls: CallRegistry, send: SendBatch, report: Report) -> None:
        self.drops: Drops = Counter()
        self.counts: Counter[str] = Counter()
        self._link = link
        self._calls = calls
        self._send = send
        self._report = report
        self.on_ended: Callable[[Call], None] | None = None
        self.on_held: Callable[[Call], None] | None = None
        self.on_late: Callable[[int, bytes, Address, float], bool] | None = None
        self.on_link_event: Callable[[Event, float], None] | None = None
        self._touched: list[Call] = []  # have heard something and may have more to say than a reply
        self._outgoing: list[tuple[bytes, Address]] = []  # waits for `flush`
        self._departed: dict[int, Departure] = {}  # sessions that went elsewhere lately

    # -- inputs

    def receive_datagrams(self, batch: Sequence[tuple[bytes, Address]], now: float) -> None:
        """Take datagrams from the hop: the hot path. What they lead to leaves with the next `flush`."""
        by_header, outgoing, touched = self._calls.by_header, self._outgoing, self._touched
        relay = None  # the source of the last datagram, if it is one that we believe
        for data, source in batch:
            if source is not relay:
                relay = source if self._link.accepts(source) else None
            size = IPV4_HEADER_SIZE
            found = by_header.get(data[:size])
            if found is None or relay is None:
                relay = None  # control messages change who is believed
                resolved = self._resolve(data, source, now)
                if resolved is None:
                    continue
                data, size, found = resolved
            call, flow = found
            session = call.session
            flow.heard = now
            try:
                reply = None
                if flow.relay == source and not call.is_held:
                    reply = session.receive_media(data[size:], flow.path, now)
                if reply is None:
                    self._receive_otherwise(source, call, flow, data[size:], now)
                elif reply:
                    outgoing.append((flow.header + reply, source))
                if (call.leg is not None or reply is None or session.due <= now) and not call.is_touched:
                    call.is_touched = True
                    touched.append(call)
            except Exception as error:  # noqa: BLE001 - see _fail
                self._fail(call, error, now)

    def _resolve(self, data: bytes, source: Address, now: float) -> tuple[bytes, int, tuple[Call, Flow]] | None:
        """Take what is no plain datagram of a known client's with an IPv4 address; return it if it is of a known one.

        Returns:
            The datagram without a seal, the size of its hop header, and whose it is; None when it was seen to.
        """
        if len(data) < 2 or data[0] != UP:
            opened = self._receive_other(data, source, now)
            if opened is None:
                return None
            data = opened
        elif not self._link.accepts(source):
            self.drops[DropReason.NOT_A_RELAY] += 1
            return None
        size = IPV6_HEADER_SIZE if data[1] & FLAG_IPV6 else IPV4_HEADER_SIZE
        found = self._calls.by_header.get(data[:size])
        if found is None:
            self._receive_new_flow(data, source, now)
            return None
        return data, size, found

    def _receive_otherwise(self, relay: Address, call: Call, flow: Flow, datagram: bytes, now: float) -> None:
        """Take what is no media, or came through another relay than the client's last datagram."""
        session, path = call.session, flow.path
        before = session.heard(path)
        if events := session.receive_datagram(datagram, path, now):
            self._follow(call, events, now)
        if flow.relay != relay and session.heard(path) != before:
            # Only who forwards what is authentic gets the answers: to know a header is not enough.
            flow.relay = relay

    def _receive_other(self, data: bytes, source: Address, now: float) -> bytes | None:
        """Take what is not a plain datagram of a client's; return the one that was sealed in it."""
        if data[:1] == _BUNDLE:
            self._receive_bundle(data, source, now)
            return None
        if data[:1] != _SEALED:
            self._follow_link(self._link.receive_control(data, source, now), now)
            return None
        opened = self._link.open_data(data, source)
        if opened is not None and (len(opened) < 2 or opened[0] != UP):
            self.drops[DropReason.MALFORMED_HOP] += 1
            return None
        return opened

    def _receive_bundle(self, data: bytes, source: Address, now: float) -> None:
        """Take the parts of a bundle, none of which is one."""
        if not self._link.knows(source):
            self.drops[DropReason.NOT_A_RELAY] += 1
            return
        parts = parts_of(data)
        if parts is None:
            self.drops[DropReason.MALFORMED_HOP] += 1
            return
        self.receive_datagrams([(part, source) for part in parts], now)

    def flush(self, now: float) -> None:
        """Send what the calls that heard something have to say, in one go."""
        touched, outgoing = self._touched, self._outgoing
        for call in touched:
            call.is_touched = False
            if call.is_held:
                if self.on_held is not None:
                    self.on_held(call)
                continue
            try:
                session = call.session
                if (leg := call.leg) is not None:
                    leg.advance(now)
                    if leg.ended is not None:
                        self.end(call, leg.ended, now)
                elif session.due <= now and (events := session.handle_timeout(now)):
                    self._follow(call, events, now)
                if session.outgoing:
                    self._collect(call, outgoing, now)
            except Exception as error:  # noqa: BLE001 - see _fail
                self._fail(call, error, now)
        touched.clear()
        self._send_collected()

    def tick(self, phase: int, now: float) -> None:
        """Look at every call of a phase, and at the links."""
        due = [
            call
            for call in self._calls.in_phase(phase)
            if (call.session.due <= now or call.leg is not None) and not call.is_held
        ]
        outgoing: list[tuple[bytes, Address]] = []
        for call in due:
            try:
                if events := call.session.handle_timeout(now):
                    self._follow(call, events, now)
                if (leg := call.leg) is not None:
                    leg.tick(now)
                    if leg.ended is not None:
                        self.end(call, leg.ended, now)
                if call.session.outgoing and not call.is_held:
                    self._collect(call, outgoing, now)
            except Exception as error:  # noqa: BLE001 - see _fail
                self._fail(call, error, now)
            if len(outgoing) >= _SENT_TOGETHER:
                self._send(self._link.seal_data(outgoing))
                outgoing = []
        if outgoing:
            self._send(self._link.seal_data(outgoing))
        when = self._link.next_timeout()
        if when is not None and when <= now:
            self._follow_link(self._link.handle_timeout(now), now)

    # -- the backend's leg

    def leg_advanced(self, call: Call, now: float) -> None:
        """Something came to a call's leg that was not a datagram: carry it on, and send what it led to."""
        if call.leg is None or call.is_held or call not in self._calls:
            return
        try:
            self._advance_leg(call, call.leg, now)
        except Exception as error:  # noqa: BLE001 - see _fail
            self._fail(call, error, now)
        self._flush_call(call, now)

    def leg_failed(self, call: Call, error: Exception, now: float) -> None:
        """Something of a call's leg has raised what it should not have; maybe after the end of the call."""
        if call in self._calls:
            self._fail(call, error, now)
        else:
            self._report_failure(call, error)

    def _advance_leg(self, call: Call, leg: BackendLeg, now: float) -> None:
        leg.advance(now)
        if leg.ended is not None:
            self.end(call, leg.ended, now)

    # -- commands

    def say(self, call: Call, say: Callable[[Call], None], now: float) -> None:
        """Have something said in a call, which leaves at once; nothing in one that is held."""
        if call.is_held or call not in self._calls:
            return
        try:
            say(call)
        except Exception as error:  # noqa: BLE001 - see _fail
            self._fail(call, error, now)
        self._flush_call(call, now)

    def end(self, call: Call, reason: str, now: float) -> None:
        """End a call: its client and its relays are told, and everything of it is freed."""
        try:
            call.session.close(reason, now)
        except Exception as error:  # noqa: BLE001 - see _fail
            self._fail(call, error, now)
        self._forget(call, Closed(reason=reason), self._collected(call, now), now)

    # -- sessions

    def _receive_new_flow(self, data: bytes, source: Address, now: float) -> None:
        """Take a datagram of a flow that is new to us."""
        header = parse_header(data)
        if header is None:
            self.drops[DropReason.MALFORMED_HOP] += 1
            return
        call = self._calls.of_session(header.session)
        if call is None:
            self._receive_for_nobody(data, header, source, now)
            return
        if call.kept is not None:
            call.kept.append(data, source)
            if self.on_held is not None:
                self.on_held(call)
            return
        path = Path(header.client, header.ingress)
        # A relay that has not heard yet that the session has moved here learns it from the header of the answer.
        up_header = with_generation(data[: header.size], max(header.generation, call.generation))
        flow = Flow(path, up_header, header.tag, source, now)
        old = call.flows.get(path)
        try:
            before, is_validated = call.session.heard(path), call.session.is_validated(path)
            if is_validated:  # known already; the relay has a new tag for it
                flow.mark_validated()
            # What the session answers has to find its way back, to a stranger too; the flow stays only if the session
            # knows its path then.
            self._calls.add_flow(call, flow)
            self._follow(call, call.session.receive_datagram(data[header.size :], path, now), now)
            if call.leg is not None:
                self._advance_leg(call, call.leg, now)
            self._flush_call(call, now)
            if not call.session.knows(path):
                self._calls.remove_flow(call, path)
            elif old is not None and call.session.heard(path) == before and call in self._calls:
                # Nothing authentic came this way: whoever has made it up does not take the old one away.
                self._calls.add_flow(call, old)
            elif is_validated:
                self._link.tell.announce_to_others(flow.up_header, flow.relay)
                self._send_link(now)
        except Exception as error:  # noqa: BLE001 - see _fail
            self._fail(call, error, now)

    def _follow(self, call: Call, events: Iterable[Event], now: float) -> None:
        leg = call.leg
        for event in events:
            if leg is not None:
                leg.follow(event, now)
            if call.custody is not None and isinstance(event, _CHANGES):
                call.custody.touch(now)
            match event:
                case PathValidated():
                    flow = call.flows.get(event.path)
                    if flow is not None:
                        self._validate(flow, now)
                case PathExpired():
                    self._release(call, event.path)
                    self._send_link(now)
                case Established():
                    self.counts["established"] += 1
                    self._report("call-established", {"call": call.call_id})
                case Closed():
                    self._forget(call, event, self._collected(call, now), now)
                case _:
                    pass

    def _receive_for_nobody(self, data: bytes, header: Header, source: Address, now: float) -> None:
        """Take a datagram of a session that is not here."""
        departure = self._departed.get(header.session)
        if self.on_late is None or not self.on_late(header.session, data, source, now):
            self.drops[DropReason.UNKNOWN_SESSION] += 1
        if departure is None:
            self._link.tell.no_such_session(data[: header.size], source)
        elif departure.owner is not None:
            self._link.tell.session_moved(header.session, departure.generation, departure.owner, relay=source)
        self._send_link(now)

    # -- sending

    def _collect(self, call: Call, outgoing: list[tuple[bytes, Address]], now: float) -> None:
        flows = call.flows
        for datagram, path in call.session.datagrams_to_send(now):
            flow = flows.get(path)
            if flow is None:
                self.drops[DropReason.NO_WAY_BACK] += 1
            else:
                outgoing.append((flow.header + datagram, flow.relay))

    def _collected(self, call: Call, now: float) -> list[tuple[bytes, Address]]:
        outgoing: list[tuple[bytes, Address]] = []
        try:
            self._collect(call, outgoing, now)
        except Exception as error:  # noqa: BLE001 - see _fail
            self._fail(call, error, now)
        return self._link.seal_data(outgoing)

    def _send_collected(self) -> None:
        outgoing = self._outgoing
        if outgoing:
            self._send(self._link.seal_data(outgoing))
            outgoing.clear()

    def _flush_call(self, call: Call, now: float) -> None:
        if call.is_held:
            return
        self._send_collected()  # of which some may be its own, and earlier
        self._send(self._collected(call, now))

    def _send_link(self, now: float) -> None:
        self._send(list(self._link.datagrams_to_send(now)))

    def _validate(self, flow: Flow, now: float) -> None:
        """Tell relays that a path is proven: the one that forwards it by the next header, the others now."""
        flow.mark_validated()
        self._link.tell.announce_to_others(flow.up_header, flow.relay)
        self._send_link(now)

    def _follow_link(self, events: Iterable[Event], now: float) -> None:
        for event in events:
            if isinstance(event, FlowsWanted):
                self._link.tell.announce(event.address, flows_to_announce(self._calls, event, now))
            elif isinstance(event, TransceiverSuspected | FlowsAcknowledged):
                if self.on_link_event is not None:
                    self.on_link_event(event, now)
            else:
                self._report("hop-link", {"event": type(event).__name__, **attrs.asdict(event)})
        self._send_link(now)

    # -- the end of calls

    def _fail(self, call: Call, error: Exception, now: float) -> None:
        """End a call in which our own code has failed; whoever calls a session passes here what it raises."""
        if call not in self._calls:  # a session may be too broken to end without failing again
            return
        self._report_failure(call, error)
        outgoing: list[tuple[bytes, Address]] = []
        with contextlib.suppress(Exception):  # or to say goodbye
            call.session.close("internal-error", now)
            self._collect(call, outgoing, now)
        self._forget(call, Closed(reason="internal-error"), self._link.seal_data(outgoing), now)

    def _report_failure(self, call: Call, error: Exception) -> None:
        self.counts["internal-error"] += 1
        self._report("internal-error", {"call": call.call_id, "error": repr(error), "exception": error})

    def _release(self, call: Call, path: Path) -> None:
        """Forget a path, here and at its relay."""
        flow = self._calls.remove_flow(call, path)
        if flow is not None:
            self._link.tell.release(flow.up_header, flow.relay)

    def _forget(self, call: Call, closed: Closed, outgoing: list[tuple[bytes, Address]], now: float) -> None:
        """Send what is left to be said, and free everything of a call, here and at the relays; but once."""
        self._send_collected()
        if call not in self._calls:
            self._send(outgoing)
            return
        if call.is_held:  # it is not ours alone to end, so nothing is said; its record runs out
            self._remove(call, closed, now)
            return
        self._link.tell.session_ended(call.session_id, [(each.up_header, each.relay) for each in call.flows.values()])
        self._send([*outgoing, *self._link.datagrams_to_send(now)])
        self._remove(call, closed, now)
        if self.on_ended is not None:
            self.on_ended(call)

    def _remove(self, call: Call, closed: Closed, now: float) -> None:
        """Free everything of a call that is here."""
        try:
            drops = call.drops()
            state = call.describe(drops)
        except Exception as error:  # noqa: BLE001 - see _fail
            self._report_failure(call, error)
            drops, state = {}, {}
        self._calls.remove(call, drops)
        # The leg knows its call; let go of it, and an ended call is freed without waiting for the garbage collector.
        leg, call.leg = call.leg, None
        if leg is not None:
            try:
                leg.close(now)
            except Exception as error:  # noqa: BLE001 - see _fail
                self._report_failure(call, error)
        self.counts[f"ended-{closed.reason}"] += 1
        self._report("call-ended", {"call": call.call_id, **state, "closed": closed.reason, "detail": closed.detail})
