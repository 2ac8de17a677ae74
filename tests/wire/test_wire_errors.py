"""Whose fault it was, and what the message says of it."""

import attrs
import pytest

from wire import errors
from wire.core import Closed, Event, Path


def test_a_peers_faults_and_ours_are_told_apart():
    remote = [
        errors.MalformedError("length", 2, "too long"),
        errors.MisbehavedError("RFC 8446 §4.1.3: a downgrade"),
        errors.IncompatibleError("group"),
        errors.AuthenticationError("Finished"),
        errors.ReplayError(),
        errors.LimitError("paths"),
    ]
    assert all(isinstance(error, errors.RemoteProtocolError) for error in remote)
    assert not issubclass(errors.LocalProtocolError, errors.RemoteProtocolError)
    assert {type(error) for error in remote} | {
        errors.LocalProtocolError,
        errors.CeilingReached,
        errors.RemoteProtocolError,
        errors.ProtocolError,
    } == {getattr(errors, name) for name in errors.__all__}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.MalformedError("length", 2, "too long"), "length at byte 2: too long"),
        (errors.MisbehavedError("RFC 1 §2: no"), "RFC 1 §2: no"),
        (errors.IncompatibleError("group"), "nothing in common: group"),
        (errors.AuthenticationError("Finished"), "does not verify: Finished"),
        (errors.LimitError("paths"), "limit reached: paths"),
    ],
)
def test_errors_read_as_sentences(error, text):
    assert str(error) == text


def test_the_same_address_through_another_ingress_is_another_path():
    assert Path(("192.0.2.1", 1), 1) != Path(("192.0.2.1", 1), 2)
    assert Path(("192.0.2.1", 1)) == Path(("192.0.2.1", 1), 0)


def test_events_are_frozen():
    closed = Closed(reason="close-notify")
    assert isinstance(closed, Event)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        closed.reason = "other"
