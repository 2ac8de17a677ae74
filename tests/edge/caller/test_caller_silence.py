"""The caller checks its path when audio that came all the time comes no more."""

import pytest

from edge.caller.progress import Stage
from edge.caller.silence import CHECKS, FIRST, SilenceWatch
from wire.core import Path

BINDING_REQUEST = b"\x00\x01"


def checks_since(network, when: float) -> list[float]:
    return [at for at, _, data in network.upstream if at >= when and data[:2] == BINDING_REQUEST]


def test_silence_is_asked_about_ever_less_often():
    watch, asked = SilenceWatch(), []
    assert watch.next_at(None) is None
    while (when := watch.next_at(5.0)) is not None:
        asked.append(when - 5.0)
        watch.checked()
    assert asked == pytest.approx([0.1, 0.3, 0.7, 1.5, 3.1, 6.3])
    assert len(asked) == CHECKS
    # Another packet, another silence.
    assert watch.next_at(7.0) == pytest.approx(7.0 + FIRST)


def test_a_call_is_heard_again_soon_after_its_nat_has_given_it_another_address(weather):
    network = weather()
    network.run(3, until=lambda: network.caller.media is not None and network.caller.media.heard_at is not None)
    network.run(1)
    inbound = network.caller.media.inbound
    network.client = Path(("198.51.100.99", 61000), network.client.via)
    moved, last = network.now, inbound.heard_at
    network.run(0.06)  # what was under way
    last = inbound.heard_at
    network.run(3, until=lambda: inbound.heard_at != last)
    assert inbound.heard_at - moved < FIRST + 0.15  # a round trip to be proven, one for the audio
    assert len(checks_since(network, moved)) == 1
    network.run(1)
    assert network.server.path == network.client
    assert network.caller.stage is Stage.TALKING


def test_a_server_that_says_nothing_is_left_in_peace(weather):
    network = weather()
    network.run(3, until=lambda: network.caller.media is not None and network.caller.media.heard_at is not None)
    network.is_talking = False  # an echo says nothing then
    network.run(1)
    silent = network.now
    network.run(60)
    # Consent is asked for ten to fifteen times a minute; silence adds a handful, once.
    assert len(checks_since(network, silent)) <= 15 + CHECKS
    assert network.caller.stage is Stage.TALKING


def test_while_audio_comes_no_path_is_doubted(weather):
    network = weather()
    network.run(3, until=lambda: network.caller.media is not None and network.caller.media.heard_at is not None)
    network.run(1)
    talking = network.now
    network.run(30)
    assert len(checks_since(network, talking)) <= 8
