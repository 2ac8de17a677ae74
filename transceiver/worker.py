"""The loop of a transceiver: one UDP socket towards the relays, many sessions.

A datagram costs no task switch: the loop waits for the socket, drains what is there, feeds each datagram to its session
inline and sends what the sessions have to say. One ticker looks at every call fifty times a second. A call has no task
of its own until something slow belongs to it.

An exception in a session is our bug; it ends that session, is reported, and disturbs no other.
"""

import enum
import hmac
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import urandom
from socket import socket

import attrs
import trio

from dtls.certificate import Certificate, Fingerprint
from dtls.options import DtlsOptions, Role
from relay.hop.header import FLAG_IPV6, IPV4_HEADER_SIZE, IPV6_HEADER_SIZE, UP, parse_header
from relay.hop.keys import HopKeys
from relay.hop.links import TransceiverLink
from relay.udp import address_of, open_udp, receive_batches, send_batch
from stun.credentials import CredentialKeys, Route
from stun.events import PathExpired, PathValidated
from transceiver.call_ids import CallIdKeys
from transceiver.calls import AnswerIngress, CallNotFound, CreatedCall, NotOwner, OfferRefused, Overloaded
from transceiver.describing import describe_session, drops_of
from transceiver.flows import Flow
from transceiver.media import MediaDescription
from transceiver.options import WorkerOptions
from transceiver.sdp import SdpRefused, answer, negotiate, parse_offer
from transceiver.session import Established, RemoteDescription, Session
from transceiver.ticker import PHASES, Lateness, run_ticker
from wire.core import Address, Closed, Drops, Entropy, Event, Path
from wire.errors import RemoteProtocolError

__all__ = ["DropReason", "Report", "Worker"]

_RETRY_SECONDS = 2.0
_DTLS_OPTIONS = DtlsOptions()

Report = Callable[[str, Mapping[str, object]], None]
"""Takes the name of what happened and its facts in JSON types: a line for the log."""


class DropReason(enum.StrEnum):
    """Why the worker dropped a datagram before or behind its session."""

    NOT_A_RELAY = "not-a-relay"
    MALFORMED_HOP = "malformed-hop"
    UNKNOWN_SESSION = "unknown-session"
    NO_WAY_BACK = "no-way-back"


@attrs.define(eq=False)
class _Call:
    """A session and what only the worker needs to know of it."""

    call_id: str
    owner: str
    session_id: int
    session: Session
    phase: int
    flows: dict[Path, Flow] = attrs.field(factory=dict)
    is_touched: bool = False


def _silent(name: str, facts: Mapping[str, object]) -> None:
    """Report to nobody."""


class Worker:
    """The calls of one transceiver worker; see `Calls` for the commands.

    Args:
        options: where to listen, what to take.
        credential_keys: to mint the ICE credentials that route.
        call_id_keys: to mint call ids.
        hop_keys: to talk with relays.
        incarnation: random number of this process, by which tokens name it.
        report: takes what happened, for the log.
        entropy: source of unpredictable bytes.
        unix_time: wall clock, for the minting time inside tokens.
    """

    def __init__(
        self,
        *,
        options: WorkerOptions,
        credential_keys: CredentialKeys,
        call_id_keys: CallIdKeys,
        hop_keys: HopKeys,
        incarnation: int,
        report: Report = _silent,
        entropy: Entropy = urandom,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self.incarnation = incarnation
        self.lateness = Lateness()
        self.drops: Drops = Counter()
        self._drops_of_ended: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.address: Address | None = None
        self._credential_keys = credential_keys
        self._call_id_keys = call_id_keys
        self._hop_keys = hop_keys
        self._report = report
        self._entropy = entropy
        self._unix_time = unix_time
        self._certificate = Certificate.generate(unix_time=unix_time())
        self._calls: dict[int, _Call] = {}
        self._by_call_id: dict[str, _Call] = {}
        self._by_header: dict[bytes, tuple[_Call, Flow]] = {}
        self._phases: list[dict[int, _Call]] = [{} for _ in range(PHASES)]
        self._touched: list[_Call] = []
        self._socket: socket | None = None
        self._link: TransceiverLink | None = None
        self._is_draining = False

    # -- the loop

    async def run(self, *, task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, then say goodbye to every client. Reports the hop address when it is bound."""
        with open_udp(
            *self.options.hop, on_warning=lambda text: self._report("socket-warning", {"warning": text})
        ) as sock:
            self._socket = sock
            self.address = address_of(sock)
            self._link = TransceiverLink(
                keys=self._hop_keys,
                cluster=self.options.cluster,
                incarnation=self.incarnation,
                worker=self.options.worker,
                entropy=self._entropy,
                now=trio.current_time(),
            )
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(run_ticker, self._tick, self.lateness)
                    nursery.start_soon(receive_batches, sock, self._receive_batch)
                    task_status.started(self.address)
            finally:
                self._end_all("shutdown", trio.current_time())
                self._socket = None

    def _receive_batch(self, batch: list[tuple[bytes, Address]], now: float) -> None:
        for data, source in batch:
            self._receive(data, source, now)
        self._flush(now)

    def _receive(self, data: bytes, source: Address, now: float) -> None:
        """Take one datagram from the hop: the hot path."""
        link = self._link
        if link is None:
            return
        if len(data) < 2 or data[0] != UP:
            self._follow_link(link.receive_control(data, source, now))
            self._send_link(link, now)
            return
        if not link.accepts(source):
            self.drops[DropReason.NOT_A_RELAY] += 1
            return
        size = IPV6_HEADER_SIZE if data[1] & FLAG_IPV6 else IPV4_HEADER_SIZE
        found = self._by_header.get(data[:size])
        if found is None:
            self._receive_new_flow(link, data, source, now)
            return
        call, flow = found
        flow.relay = source
        self._deliver(call, data[size:], flow.path, now)
        if not call.is_touched:
            call.is_touched = True
            self._touched.append(call)

    def _receive_new_flow(self, link: TransceiverLink, data: bytes, source: Address, now: float) -> None:
        """Take a datagram of a flow that is new to us: the flow may stay if the session accepts its path."""
        header = parse_header(data)
        if header is None:
            self.drops[DropReason.MALFORMED_HOP] += 1
            return
        call = self._calls.get(header.session)
        if call is None:
            self.drops[DropReason.UNKNOWN_SESSION] += 1
            link.gone(header.session, header.tag, source)
            self._send_link(link, now)
            return
        path = Path(header.client, header.ingress)
        known = call.flows.get(path)
        flow = call.flows[path] = Flow(path, data[: header.size], header.tag, source)
        self._deliver(call, data[header.size :], path, now)
        self._flush_call(call, now)
        if call.session.knows(path) and call.session_id in self._calls:
            if call.session.is_validated(path):
                flow.mark_validated()
            self._by_header[flow.up_header] = (call, flow)
            self._forget_lost_paths(call)
        elif known is not None:
            call.flows[path] = known
        else:
            call.flows.pop(path, None)

    def _forget_lost_paths(self, call: _Call) -> None:
        for path in [path for path in call.flows if not call.session.knows(path)]:
            self._forget_flow(call, call.flows.pop(path))

    def _forget_flow(self, call: _Call, flow: Flow) -> None:
        self._by_header.pop(flow.up_header, None)
        if self._link is not None:
            self._link.gone(call.session_id, flow.tag, flow.relay)

    def _deliver(self, call: _Call, data: bytes, path: Path, now: float) -> None:
        try:
            events = call.session.receive_datagram(data, path, now)
            if events:
                self._follow(call, events, now)
        except Exception as error:  # noqa: BLE001 - the one place that keeps a session's bug from the others
            self._fail(call, error, now)

    def _tick(self, phase: int, now: float) -> None:
        due = [call for call in self._phases[phase].values() if call.session.due <= now]
        for call in due:
            try:
                self._follow(call, call.session.handle_timeout(now), now)
                self._flush_call(call, now)
            except Exception as error:  # noqa: BLE001 - as in _deliver
                self._fail(call, error, now)
        link = self._link
        if link is not None:
            when = link.next_timeout()
            if when is not None and when <= now:
                self._follow_link(link.handle_timeout(now))
                self._send_link(link, now)

    def _follow(self, call: _Call, events: Iterable[Event], now: float) -> None:
        for event in events:
            match event:
                case PathValidated():
                    flow = call.flows.get(event.path)
                    if flow is not None:
                        flow.mark_validated()
                case PathExpired():
                    self._forget_lost_paths(call)
                case Established():
                    self.counts["established"] += 1
                    self._report("call-established", {"call": call.call_id, **describe_session(call.session)})
                case Closed():
                    self._flush_call(call, now)
                    self._forget(call, event, now)
                case _:
                    pass

    def _follow_link(self, events: Iterable[Event]) -> None:
        for event in events:
            self._report("hop-link", {"event": type(event).__name__, **attrs.asdict(event)})

    # -- sending

    def _flush(self, now: float) -> None:
        """Send what the calls that heard something have to say, in one go."""
        touched = self._touched
        if not touched:
            return
        outgoing: list[tuple[bytes, Address]] = []
        for call in touched:
            call.is_touched = False
            self._collect(call, outgoing, now)
        touched.clear()
        self._send(outgoing)

    def _flush_call(self, call: _Call, now: float) -> None:
        outgoing: list[tuple[bytes, Address]] = []
        self._collect(call, outgoing, now)
        self._send(outgoing)

    def _collect(self, call: _Call, outgoing: list[tuple[bytes, Address]], now: float) -> None:
        flows = call.flows
        for datagram, path in call.session.datagrams_to_send(now):
            flow = flows.get(path)
            if flow is None:
                self.drops[DropReason.NO_WAY_BACK] += 1
            else:
                outgoing.append((flow.header + datagram, flow.relay))

    def _send_link(self, link: TransceiverLink, now: float) -> None:
        self._send(link.datagrams_to_send(now))

    def _send(self, datagrams: Iterable[tuple[bytes, Address]]) -> None:
        if self._socket is not None:
            send_batch(self._socket, datagrams, self.drops)

    # -- commands: what `Calls` promises

    async def create_call(self, offer: str, ingresses: Sequence[AnswerIngress], owner: str) -> CreatedCall:
        """Answer an offer and wait for the client; see `Calls.create_call`."""
        if self._is_draining or len(self._calls) >= self.options.max_calls:
            self.counts["refused-overloaded"] += 1
            raise Overloaded(_RETRY_SECONDS)
        now = trio.current_time()
        try:
            parsed = parse_offer(offer)
            negotiated = negotiate(parsed)
            fingerprints = tuple(Fingerprint.parse(text) for text in negotiated.offer.fingerprints)
        except (SdpRefused, RemoteProtocolError) as error:
            self.counts["refused-offer"] += 1
            raise OfferRefused(str(error)) from error
        session_id = int.from_bytes(self._entropy(8), "big")
        route = Route(
            cluster=self.options.cluster,
            incarnation=self.incarnation,
            worker=self.options.worker,
            session=session_id,
            minted=int(self._unix_time()),
        )
        ufrag = self._credential_keys.mint(route)
        password = self._credential_keys.password(ufrag)
        call_id = self._call_id_keys.mint(route)
        media = MediaDescription.create(negotiated, self._entropy)
        session = Session(
            ufrag=ufrag,
            password=password,
            remote=RemoteDescription(
                ufrag=negotiated.offer.ice_ufrag, password=negotiated.offer.ice_pwd, fingerprints=fingerprints
            ),
            media=media,
            dtls_role=Role.CLIENT if negotiated.setup == "active" else Role.SERVER,
            certificate=self._certificate,
            entropy=self._entropy,
            now=now,
            unix_time=self._unix_time(),
            options=self.options.session,
            dtls_options=attrs.evolve(_DTLS_OPTIONS, srtp_profiles=negotiated.srtp_profiles)
            if negotiated.setup == "active"
            else _DTLS_OPTIONS,
        )
        text = answer(
            negotiated,
            ice_ufrag=ufrag,
            ice_pwd=password,
            fingerprint=str(self._certificate.fingerprint()),
            setup=negotiated.setup,
            candidates=ingresses,
            session_id=session_id >> 1,  # RFC 8866 §5.2: numeric; implementations want it to fit 63 bits
            ssrc=media.ssrc,
            cname=media.cname,
            msid=media.msid,
        )
        phase = min(range(PHASES), key=lambda number: len(self._phases[number]))
        call = _Call(call_id, owner, session_id, session, phase)
        self._calls[session_id] = self._by_call_id[call_id] = self._phases[phase][session_id] = call
        self.counts["created"] += 1
        self._report("call-created", {"call": call_id})
        return CreatedCall(call_id=call_id, answer=text)

    async def end_call(self, call_id: str, owner: str | None) -> None:
        """End a call; see `Calls.end_call`."""
        call = self._find(call_id)
        if owner is not None and not hmac.compare_digest(call.owner.encode(), owner.encode()):
            raise NotOwner(call_id)
        self._end(call, "hang-up", trio.current_time())

    def describe_call(self, call_id: str) -> Mapping[str, object]:
        """Tell a call's state; see `Calls.describe_call`."""
        call = self._find(call_id)
        return {"call": call_id, "owner": call.owner, **describe_session(call.session)}

    def status(self) -> Mapping[str, object]:
        """Tell the worker's state; see `Calls.status`."""
        relays = len(self._link.relays) if self._link is not None else 0
        reason = "draining" if self._is_draining else "" if relays else "no relay has said hello yet"
        return {
            "cluster": self.options.cluster,
            "incarnation": self.incarnation,
            "workers": 1,
            "calls": len(self._calls),
            "max_calls": self.options.max_calls,
            "relays": relays,
            "ready": not reason,
            "reason": reason,
            "tick_lateness_p999_ms": round(self.lateness.quantile(0.999) * 1000, 2),
            "counts": dict(self.counts),
            "drops": dict(self.all_drops()),
        }

    def replace_keys(self, *, credential_keys: CredentialKeys, call_id_keys: CallIdKeys, hop_keys: HopKeys) -> None:
        """Use other keys from now on; calls and links stay."""
        self._credential_keys = credential_keys
        self._call_id_keys = call_id_keys
        self._hop_keys = hop_keys
        if self._link is not None:
            self._link.keys = hop_keys

    def all_drops(self) -> Mapping[str, int]:
        """Count what the worker, its link and all its sessions have dropped, by layer and reason."""
        total = Counter({f"worker.{reason}": count for reason, count in self.drops.items()})
        if self._link is not None:
            total.update({f"hop.{reason}": count for reason, count in self._link.drops.items()})
        total.update(self._drops_of_ended)
        for call in self._calls.values():
            total.update(drops_of(call.session))
        return total

    def start_draining(self) -> None:
        """Take no further call; those that are stay."""
        self._is_draining = True

    # -- the end of calls

    def _find(self, call_id: str) -> _Call:
        call = self._by_call_id.get(call_id)
        if call is None:
            raise CallNotFound(call_id)
        return call

    def _end(self, call: _Call, reason: str, now: float, detail: str = "") -> None:
        call.session.close(reason, now, detail)
        self._flush_call(call, now)
        self._forget(call, call.session.closed or Closed(reason=reason), now)

    def _end_all(self, reason: str, now: float) -> None:
        for call in list(self._calls.values()):
            self._end(call, reason, now)

    def _fail(self, call: _Call, error: Exception, now: float) -> None:
        self.counts["internal-error"] += 1
        self._report("internal-error", {"call": call.call_id, "error": repr(error), "exception": error})
        self._forget(call, Closed(reason="internal-error"), now)

    def _forget(self, call: _Call, closed: Closed, now: float) -> None:
        """Free everything of a call, here and at the relays."""
        if self._calls.pop(call.session_id, None) is None:
            return
        del self._by_call_id[call.call_id]
        del self._phases[call.phase][call.session_id]
        for flow in call.flows.values():
            self._forget_flow(call, flow)
        if self._link is not None:
            self._send_link(self._link, now)
        call.flows.clear()
        self._drops_of_ended.update(drops_of(call.session))
        self.counts[f"ended-{closed.reason}"] += 1
        self._report(
            "call-ended",
            {
                "call": call.call_id,
                **describe_session(call.session),
                "closed": closed.reason,
                "detail": closed.detail,
            },
        )
