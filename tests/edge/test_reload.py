"""What a reload may change is applied; what it may not keeps its old value and is named."""

import attrs
import pytest

from edge.config.catalogue import all_keys
from edge.config.embedded import embedded_tree
from edge.config.load import load
from edge.config.model import Config, Role, TransceiverConfig
from edge.reload import RELOADABLE, what_can_change


def config(**changes: object) -> Config:
    tree = embedded_tree("192.0.2.7")
    for dotted, value in changes.items():
        section, _, key = dotted.partition("__")
        tree.setdefault(section, {})[key] = value
    return load(environ={}, options=tree).config


def test_what_is_reloadable_are_keys() -> None:
    assert {key.dotted for key in all_keys()} >= RELOADABLE


def test_nothing_changes_when_nothing_has_changed() -> None:
    assert what_can_change(config(), config()) == (config(), ())


@pytest.mark.parametrize(
    "change",
    [
        {"signal__api_keys": ["sk-one"]},
        {"signal__allowed_origins": ["https://app.example.com"]},
        {"signal__ingresses": ["9=203.0.113.5:3478"]},
        {"signal__location": "1, 2"},
        {"relay__transceivers": ["10.0.0.3:7001"]},
        {"transceiver__max_calls": 3},
        {"log__level": "debug"},
    ],
)
def test_what_applies_at_once(change: dict) -> None:
    assert what_can_change(config(), config(**change)) == (config(**change), ())


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"signal__listen": "127.0.0.1:9"}, "signal.listen"),
        ({"signal__limits": {"connections": 9}}, "signal.limits.connections"),
        ({"relay__hop": "127.0.0.1:9"}, "relay.hop"),
        ({"relay__max_flows": 9}, "relay.max_flows"),
        ({"transceiver__cluster": 9}, "transceiver.cluster"),
    ],
)
def test_what_waits_for_a_restart_keeps_its_value_and_the_rest_applies(change: dict, key: str) -> None:
    applied, waiting = what_can_change(config(), config(**change, transceiver__max_calls=3))
    assert waiting == (key,)
    assert applied == config(transceiver__max_calls=3)


def test_signal_does_not_offer_what_the_relay_beside_it_cannot_bind_yet() -> None:
    new = config(relay__ingresses=["5=203.0.113.9:3478"])
    assert new.signal is not None
    assert new.signal.ingresses[0].id == 5
    applied, waiting = what_can_change(config(), new)
    assert waiting == ("relay.ingresses",)
    assert applied == config()


def test_sections_that_do_not_run_here_are_left_alone() -> None:
    environ = {"TRIO_VOICE_KEYS": "keys"}
    old = load(environ=environ, role=Role.TRANSCEIVER).config
    new = attrs.evolve(old, transceiver=TransceiverConfig(max_call=60, hop=("127.0.0.1", 9)))
    applied, waiting = what_can_change(old, new)
    assert waiting == ("transceiver.hop",)
    assert applied.transceiver == TransceiverConfig(max_call=60)
    assert applied.signal is None
