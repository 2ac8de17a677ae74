"""Moving the server's session of a call in memory, as two processes would: through bytes, to another clock."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path as FilePath

import pytest

from edge.caller.events import EventsOpened
from sctp.channel_events import ChannelOpened
from transceiver.handover.session_snapshot import SessionSnapshot
from transceiver.intake import _DTLS_OPTIONS
from transceiver.options import SessionOptions
from transceiver.session import Session
from wire.buffer import Reader, Writer


class OtherClock:
    """A session in a process whose monotonic clock shows something else."""

    def __init__(self, session: Session, ahead: float) -> None:
        self.session = session
        self.ahead = ahead

    def __getattr__(self, name: str) -> object:
        return getattr(self.session, name)

    def receive_datagram(self, data, source, now):
        return self.session.receive_datagram(data, source, now + self.ahead)

    def handle_timeout(self, now):
        return self.session.handle_timeout(now + self.ahead)

    def datagrams_to_send(self, now):
        return self.session.datagrams_to_send(now + self.ahead)

    def send_message(self, channel_id, message, now):
        return self.session.send_message(channel_id, message, now + self.ahead)

    def close(self, reason, now):
        return self.session.close(reason, now + self.ahead)

    def snapshot(self, now):
        return self.session.snapshot(now + self.ahead)


def pack(snapshot: SessionSnapshot) -> bytes:
    writer = Writer()
    snapshot.serialize(writer)
    return writer.finish()


def unpack(data: bytes) -> SessionSnapshot:
    return SessionSnapshot.parse(Reader(data))


@pytest.fixture
def packed() -> Callable[[SessionSnapshot], bytes]:
    return pack


@pytest.fixture
def call_with_events(connect):
    """A call with audio and an open channel, half a second in; and the channel's number."""

    def make(**changes):
        network = connect(has_events=True, **changes)
        network.run(20, until=lambda: any(isinstance(event, EventsOpened) for event in network.events))
        network.run(0.5)
        (channel,) = [event.channel for event in network.server_events if isinstance(event, ChannelOpened)]
        return network, channel.id

    return make


@pytest.fixture
def restore(call_network, certificate):
    """Make a session of bytes, on a clock of its own."""
    seeds = iter(range(1000, 2000))

    def make(
        data: bytes, now: float, *, is_exact: bool, ahead: float = 0.0, skew: float = 0.0, **changes
    ) -> OtherClock:
        session = Session.restore(
            unpack(data),
            is_exact=is_exact,
            certificate=certificate,
            entropy=random.Random(next(seeds)).randbytes,
            now=now + ahead,
            unix_time=call_network.UNIX + call_network.START + skew + (now - call_network.START),
            options=SessionOptions(),
            dtls_options=_DTLS_OPTIONS,
            **changes,
        )
        return OtherClock(session, ahead)

    return make


@pytest.fixture
def move(restore):
    """Move the server's session of a network, exactly, to a process whose clock shows another time."""

    def make(network, ahead: float = 5000.0, **changes) -> None:
        network.collect()
        data = pack(network.server.snapshot(network.now))
        network.server.abandon("moved")
        network.server = restore(data, network.now, is_exact=True, ahead=ahead, **changes)
        network.collect()

    return make


@pytest.fixture(scope="session")
def moving_network(load_neighbour):
    """The module of that name."""
    return load_neighbour(FilePath(__file__).with_name("moving_network.py"))


@pytest.fixture
def start_fleet(moving_network, certificate, clip):
    """Run two workers and a relay; for tests that use `autojump_clock`."""
    return partial(moving_network.run_fleet, certificate, clip)


@pytest.fixture(scope="session")
def stepped_fleet(load_neighbour):
    """The module of that name."""
    return load_neighbour(FilePath(__file__).with_name("stepped_fleet.py"))


@pytest.fixture
def start_stepped(stepped_fleet, moving_network, certificate, clip):
    """Run two workers and a relay without sockets; for tests that use `autojump_clock`."""
    return partial(stepped_fleet.run_stepped, certificate, clip, moving_network)


@pytest.fixture
def take_over(restore):
    """Put another process in the place of the server of a network, by an older snapshot; it makes its checkpoint."""

    def make(network, checkpoint: bytes, ahead: float = -50.0, *, is_confirmed: bool = True, **changes) -> bytes:
        network.server = restore(checkpoint, network.now, is_exact=False, ahead=ahead, **changes)
        snapshot = network.server.snapshot(network.now)
        if is_confirmed:
            network.server.raise_ceilings(snapshot)
        return pack(snapshot)

    return make
