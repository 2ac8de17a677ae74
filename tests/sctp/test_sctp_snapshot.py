"""Moving an association in the middle of everything: the copy does exactly what the original would have done."""

import contextlib
import random

import pytest

from sctp.association import SctpAssociation
from sctp.options import SctpOptions
from sctp.states import State
from wire.errors import LocalProtocolError, MalformedError

PATIENT = SctpOptions(max_retransmits=1000, rto_maximum=2.0)


def busy(sctp_network, seed, options=PATIENT):
    """A network in the middle of transfers, resets and losses."""
    weather = sctp_network.Weather(loss=0.15, repeat=0.1, delay=(0.005, 0.1))
    network = sctp_network.make(seed=seed, weather=weather, options=options).connect(0, 1)
    dice = random.Random(seed)
    for end in (0, 1):
        for number in range(12):
            limit = {"max_retransmits": 1} if number % 4 == 3 else {"lifetime": 0.3} if number % 4 == 2 else {}
            data = dice.randbytes(dice.randrange(1, 20_000))
            network.ends[end].send(number % 3, 51, data, network.now, ordered=number % 5 != 0, **limit)
        network.ends[end].reset_streams([1], network.now)
        network.ends[end].send(1, 51, b"behind the barrier", network.now)
    return network


def move(network, end, *, now=None):
    """Put a copy in the place of an end."""
    association = network.ends[end]
    network.events[end].extend(association.handle_timeout(network.now) if association._block.events else [])
    data = association.snapshot(network.now)
    return SctpAssociation.restore(
        data,
        options=association._options,
        entropy=random.Random("copy").randbytes,
        now=network.now if now is None else now,
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_copy_of_a_copy_is_the_same_bytes(sctp_network, seed):
    network = busy(sctp_network, seed)
    for _ in range(8):
        network.run(0.07)
        copy = move(network, 0, now=5.0)
        assert copy.snapshot(5.0) == network.ends[0].snapshot(network.now)


@pytest.mark.parametrize("seed", range(8))
def test_the_copy_goes_on_exactly_as_the_original(sctp_network, seed):
    """Two networks with the same dice: in one, both ends are moved again and again."""
    outcomes = []
    for moves in (False, True):
        network = busy(sctp_network, seed, SctpOptions(max_retransmits=1000, rto_maximum=2.0, heartbeat_interval=0))
        for _ in range(40):
            network.run(0.05)
            if moves:
                network.ends = [move(network, end) for end in (0, 1)]
        network.run(60)
        outcomes.append((network.sent, network.events))
    assert outcomes[0] == outcomes[1]


def test_a_clock_of_its_own(sctp_network):
    network = sctp_network.make(options=PATIENT).connect(0)
    network.ends[0].send(1, 51, b"x" * 3000, network.now, lifetime=5.0)
    list(network.ends[0].datagrams_to_send(network.now))
    copy = move(network, 0, now=7.0)
    assert copy.next_timeout() - 7.0 == pytest.approx(network.ends[0].next_timeout() - network.now)


@pytest.mark.parametrize("state", [State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED, State.SHUTDOWN_SENT])
def test_every_state_can_be_moved(sctp_network, state):
    network = sctp_network.make(options=PATIENT)
    if state is not State.CLOSED:
        network.ends[0].connect(network.now)
        network.run(5, until=lambda: network.ends[0].state in (state, State.ESTABLISHED))
    if state is State.SHUTDOWN_SENT:
        network.run(1)
        network.ends[0].shutdown(network.now)
    assert network.ends[0].state is state
    if state is State.CLOSED:
        # Its cookie comes back to the copy.
        network.ends[1].connect(network.now)
        network.run(5, until=lambda: any(who == 0 for _, who, _ in network.sent))
    network.ends[0] = move(network, 0)
    network.run(5)
    assert network.ends[0].state is (State.ENDED if state is State.SHUTDOWN_SENT else State.ESTABLISHED)


def test_what_is_not_fetched_cannot_be_moved(sctp_network):
    network = sctp_network.make().connect(0)
    network.ends[0]._block.report_connected()
    with pytest.raises(LocalProtocolError):
        network.ends[0].snapshot(network.now)
    network.ends[1].abort(network.now)
    with pytest.raises(LocalProtocolError):
        network.ends[1].snapshot(network.now)


@pytest.mark.parametrize("seed", range(4))
def test_other_bytes_are_refused(sctp_network, seed):
    network = busy(sctp_network, seed)
    network.run(0.2)
    data = move(network, 0).snapshot(network.now)
    dice = random.Random(seed)
    restore = lambda data: SctpAssociation.restore(data, options=PATIENT, entropy=dice.randbytes, now=0.0)  # noqa: E731
    for length in range(0, len(data), max(1, len(data) // 200)):
        with pytest.raises(MalformedError):
            restore(data[:length])
    with pytest.raises(MalformedError):
        restore(data + b"x")
    with pytest.raises(MalformedError):
        restore(b"\x02" + data[1:])
    for _ in range(300):
        mutated = bytearray(data)
        mutated[dice.randrange(len(data))] = dice.randrange(256)
        with contextlib.suppress(MalformedError):
            restore(bytes(mutated))
