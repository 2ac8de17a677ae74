"""A caller and the transceiver's session that it talks to, in a network without sockets or a clock.

Loaded by the fixture `call_network`.
"""

import random
from collections.abc import Callable
from importlib import resources

import attrs

from dtls.certificate import Certificate
from dtls.options import DtlsOptions
from edge.caller.description import parse_answer
from edge.caller.opus_file import Clip, read_clip
from edge.caller.progress import CallerOptions
from edge.caller.session import CallerSession
from stun.credentials import CredentialKey, CredentialKeys
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.call_ids import CallIdKey, CallIdKeys
from transceiver.calls import AnswerIngress
from transceiver.intake import Intake
from transceiver.options import SessionOptions
from transceiver.session import Session
from wire.core import Event, Path
from wire.demux import Kind, kind_of

SERVER = ("192.0.2.1", 3478)
CLIENT = Path(("198.51.100.7", 50000), 1)
TICK = 0.005
START = 100.0
UNIX = 1.7e9
INGRESS = AnswerIngress(id=CLIENT.via, host=SERVER[0], port=SERVER[1], priority=2130706431)
CREDENTIAL_KEYS = CredentialKeys([CredentialKey(key_id=0, token=bytes(range(64)), ice_pwd=b"p" * 32)], 0)
SESSION_OPTIONS = SessionOptions()
CALL_ID_KEYS = CallIdKeys([CallIdKey(key_id=0, token=bytes(range(64, 128)))], 0)


def load_clip() -> Clip:
    """Return the caller's built-in voice."""
    return read_clip(resources.files("edge.caller").joinpath("voice.opus").read_bytes())


def make_caller(certificate: Certificate, options: CallerOptions, now: float = START, seed: int = 1) -> CallerSession:
    """Make a caller that has an offer."""
    entropy = random.Random(seed).randbytes
    return CallerSession(certificate=certificate, options=options, unix_time=UNIX + now, entropy=entropy, now=now)


def make_server(
    offer: str,
    now: float,
    ingresses: list[AnswerIngress],
    fingerprint: str | None = None,
    options: SessionOptions = SESSION_OPTIONS,
    speech: SpeechQueue | None = None,
) -> tuple[Session, str]:
    """Answer an offer as a transceiver does; with another fingerprint than its certificate's if one is given."""
    intake = Intake(
        cluster=1,
        incarnation=2,
        worker=0,
        credential_keys=CREDENTIAL_KEYS,
        call_id_keys=CALL_ID_KEYS,
        entropy=random.Random(2).randbytes,
        unix_time=lambda: UNIX + now,
    )
    accepted = intake.accept(offer, ingresses, options, now, speech=speech)
    lines = accepted.answer.split("\r\n")
    if fingerprint is not None:
        lines = [f"a=fingerprint:{fingerprint}" if line.startswith("a=fingerprint") else line for line in lines]
    return accepted.session, "\r\n".join(lines)


@attrs.define
class Network:
    """A caller, a server, and the seeded network between them; time passes in `run`.

    Attributes:
        delay: one way, in seconds.
        jitter: how much longer a datagram may take, in seconds; more than their distance reorders them.
        loss: share of datagrams that do not arrive.
        duplication: share of datagrams that arrive twice.
        is_cut: nothing arrives any more.
        is_talking: the caller sends audio once it can.
        client: where the caller is, as the server sees it.
        arrives_as: tells as what path the server sees a datagram of the caller's; None loses it.
        upstream: what arrived at the server: when, from where, what.
        downstream: what the server sent: when, to where, what.
    """

    caller: CallerSession
    server: Session
    delay: float = 0.02
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    chance: random.Random = attrs.field(factory=lambda: random.Random(7))
    now: float = START
    is_cut: bool = False
    is_talking: bool = True
    client: Path = CLIENT
    arrives_as: Callable[[bytes], Path | None] | None = None
    events: list[Event] = attrs.field(factory=list)
    server_events: list[Event] = attrs.field(factory=list)
    upstream: list[tuple[float, Path, bytes]] = attrs.field(factory=list)
    downstream: list[tuple[float, Path, bytes]] = attrs.field(factory=list)
    _under_way: list[tuple[float, int, Path | None, bytes]] = attrs.field(factory=list)
    _count: int = 0
    _ticks: int = 0

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass: deliver, tick, collect."""
        end = self.now + seconds
        self.collect()
        while self.now < end and not until():
            self.now += TICK
            self._ticks += 1
            while self._under_way and self._under_way[0][0] <= self.now:
                _, _, source, data = self._under_way.pop(0)
                self._arrive(source, data)
            if self.caller.media is not None and self.is_talking and not self._ticks % 4:
                for data in self.caller.media.audio_to_send(self.now, self.now):
                    self._send_upstream(data)
            self.events += self.caller.handle_timeout(self.now)
            self.server_events += self.server.handle_timeout(self.now)
            self.collect()

    def inject(self, data: bytes, source: Path) -> list[Event]:
        """Have the server receive something at once, from anywhere; return what it says about it."""
        events = list(self.server.receive_datagram(data, source, self.now))
        self.server_events += events
        self.collect()
        return events

    def sent_to(self, path: Path, since: float = 0.0) -> list[bytes]:
        """What the server sent to a path."""
        return [data for when, to, data in self.downstream if to == path and when >= since]

    def kinds_sent_to(self, path: Path, since: float = 0.0) -> set[Kind]:
        """Which protocols the server spoke to a path."""
        return {kind_of(data) for data in self.sent_to(path, since)}

    def _arrive(self, source: Path | None, data: bytes) -> None:
        if source is not None:
            self.upstream.append((self.now, source, data))
            self.server_events += self.server.receive_datagram(data, source, self.now)
        else:
            self.events += self.caller.receive_datagram(data, Path(SERVER), self.now)
        self.collect()

    def collect(self) -> None:
        """Put on the wire what both have to say; what goes to another address than the caller's is lost there."""
        for data, path in self.caller.datagrams_to_send(self.now):
            assert path.address == SERVER
            self._send_upstream(data)
        for data, path in self.server.datagrams_to_send(self.now):
            self.downstream.append((self.now, path, data))
            if path == self.client:
                self._send(None, data)

    def _send_upstream(self, data: bytes) -> None:
        source = self.client if self.arrives_as is None else self.arrives_as(data)
        if source is not None:
            self._send(source, data)

    def _send(self, source: Path | None, data: bytes) -> None:
        if self.is_cut or self.chance.random() < self.loss:
            return
        for _ in range(2 if self.chance.random() < self.duplication else 1):
            self._count += 1
            delay = self.delay + self.jitter * self.chance.random()
            self._under_way.append((self.now + delay, self._count, source, data))
        self._under_way.sort(key=lambda item: item[:2])


def connect(
    certificate: Certificate,
    clip: Clip,
    *,
    setup: str = "actpass",
    dtls: DtlsOptions | None = None,
    fingerprint: str | None = None,
    recording: object = None,
    speech: SpeechQueue | None = None,
    change_offer: Callable[[str], str] = lambda offer: offer,
    options: SessionOptions = SESSION_OPTIONS,
    has_events: bool = False,
    **changes: object,
) -> Network:
    """Make a caller whose offer was answered, and the server that answered it."""
    caller = make_caller(
        certificate,
        CallerOptions(clip=clip, setup=setup, dtls=dtls or DtlsOptions(), recording=recording, has_events=has_events),
    )
    server, answer = make_server(change_offer(caller.offer), START, [INGRESS], fingerprint, options, speech)
    caller.accept(parse_answer(answer), START)
    return Network(caller, server, **changes)
