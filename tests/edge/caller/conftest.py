"""A caller and the transceiver's session that it talks to, in a network without sockets or a clock."""

import random
from collections.abc import Callable
from importlib import resources

import attrs
import pytest

from dtls.certificate import Certificate, Fingerprint
from dtls.options import DtlsOptions, Role
from edge.caller.description import parse_answer
from edge.caller.opus_file import Clip, read_clip
from edge.caller.progress import CallerOptions
from edge.caller.session import CallerSession
from transceiver.calls import AnswerIngress
from transceiver.media import MediaDescription
from transceiver.options import SessionOptions
from transceiver.sdp import answer, negotiate, parse_offer
from transceiver.session import RemoteDescription, Session
from wire.core import Event, Path

SERVER = ("192.0.2.1", 3478)
CLIENT = ("198.51.100.7", 50000)
TICK = 0.005
UNIX = 1.7e9


@pytest.fixture(scope="session")
def clip() -> Clip:
    return read_clip(resources.files("edge.caller").joinpath("voice.opus").read_bytes())


@pytest.fixture(scope="session")
def certificates() -> tuple[Certificate, Certificate]:
    return Certificate.generate(unix_time=UNIX), Certificate.generate(unix_time=UNIX)


def make_server(
    offer: str, certificate: Certificate, now: float, ingresses: list[AnswerIngress], fingerprint: str | None = None
) -> tuple[Session, str]:
    """Answer an offer as a transceiver does, without its worker."""
    entropy = random.Random(2).randbytes
    negotiated = negotiate(parse_offer(offer))
    media = MediaDescription.create(negotiated, entropy)
    ufrag, password = "serverUfrag", "serverPassword0123456789"
    session = Session(
        ufrag=ufrag,
        password=password,
        remote=RemoteDescription(
            ufrag=negotiated.offer.ice_ufrag,
            password=negotiated.offer.ice_pwd,
            fingerprints=tuple(Fingerprint.parse(text) for text in negotiated.offer.fingerprints),
        ),
        media=media,
        dtls_role=Role.CLIENT if negotiated.setup == "active" else Role.SERVER,
        certificate=certificate,
        entropy=entropy,
        now=now,
        unix_time=UNIX + now,
        options=SessionOptions(),
        dtls_options=DtlsOptions(),
    )
    text = answer(
        negotiated,
        ice_ufrag=ufrag,
        ice_pwd=password,
        fingerprint=fingerprint or str(certificate.fingerprint()),
        setup=negotiated.setup,
        candidates=ingresses,
        session_id=1,
        ssrc=media.ssrc,
        cname=media.cname,
        msid=media.msid,
    )
    return session, text


@attrs.define
class Weather:
    """A caller, a server, and the seeded network between them; time passes in `run`."""

    caller: CallerSession
    server: Session
    delay: float = 0.02
    loss: float = 0.0
    chance: random.Random = attrs.field(factory=lambda: random.Random(7))
    now: float = 100.0
    events: list[Event] = attrs.field(factory=list)
    server_events: list[Event] = attrs.field(factory=list)
    is_cut: bool = False
    _under_way: list[tuple[float, int, bool, bytes]] = attrs.field(factory=list)
    _count: int = 0

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass: deliver, tick, collect."""
        end = self.now + seconds
        ticks = 0
        self._collect()
        while self.now < end and not until():
            self.now += TICK
            ticks += 1
            while self._under_way and self._under_way[0][0] <= self.now:
                _, _, is_upstream, data = self._under_way.pop(0)
                self._deliver(is_upstream, data)
            if self.caller.media is not None and not ticks % 4:
                for data in self.caller.media.audio_to_send(self.now, self.now):
                    self._send(True, data)
            self.events += self.caller.handle_timeout(self.now)
            self.server_events += self.server.handle_timeout(self.now)
            self._collect()

    def _deliver(self, is_upstream: bool, data: bytes) -> None:
        if is_upstream:
            self.server_events += self.server.receive_datagram(data, Path(CLIENT, 1), self.now)
        else:
            self.events += self.caller.receive_datagram(data, Path(SERVER), self.now)
        self._collect()

    def _collect(self) -> None:
        for data, path in self.caller.datagrams_to_send(self.now):
            assert path.address == SERVER
            self._send(True, data)
        for data, path in self.server.datagrams_to_send(self.now):
            assert path == Path(CLIENT, 1)
            self._send(False, data)

    def _send(self, is_upstream: bool, data: bytes) -> None:
        if self.is_cut or self.chance.random() < self.loss:
            return
        self._count += 1
        self._under_way.append((self.now + self.delay, self._count, is_upstream, data))
        self._under_way.sort()


@pytest.fixture
def weather(clip: Clip, certificates: tuple[Certificate, Certificate]) -> Callable[..., Weather]:
    """Make a caller whose offer was answered, and the server that answered it."""

    def make(
        setup: str = "actpass",
        dtls: DtlsOptions | None = None,
        fingerprint: str | None = None,
        recording: object = None,
        **changes: object,
    ) -> Weather:
        caller = CallerSession(
            certificate=certificates[0],
            options=CallerOptions(
                clip=clip,
                setup=setup,  # type: ignore[arg-type]
                dtls=dtls or DtlsOptions(),
                recording=recording,  # type: ignore[arg-type]
            ),
            unix_time=UNIX + 100,
            entropy=random.Random(1).randbytes,
            now=100.0,
        )
        ingress = AnswerIngress(id=1, host=SERVER[0], port=SERVER[1], priority=2130706431)
        server, text = make_server(caller.offer, certificates[1], 100.0, [ingress], fingerprint)
        caller.accept(parse_answer(text), 100.0)
        return Weather(caller, server, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def server_maker() -> Callable[..., tuple[Session, str]]:
    """The function that answers an offer with a transceiver's session."""
    return make_server
