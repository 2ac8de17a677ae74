"""Between hop and sessions: flows, strangers, ends, and a bug in one session; with a real relay's end."""

import gc
import weakref
from collections import Counter

import attrs
import pytest

from edge.caller.progress import Stage
from edge.caller.results import MediaStatistics
from relay.hop.bundles import bundle_front, parts_of
from relay.hop.header import CONTROL, DOWN, parse_header
from stun.attributes import Attribute, AttributeType
from stun.binding import binding_request
from stun.events import PathExpired
from transceiver.dispatcher import DropReason
from transceiver.options import SessionOptions
from transceiver.session import Session, State
from transceiver.ticker import PHASES
from wire.core import Event, Path

STRANGER = ("203.0.113.9", 9)


# -- flows


def test_calls_go_on_beside_each_other(world) -> None:
    clients = [world.add(number, world.RELAYS[number % 2]) for number in range(5)]
    world.run(2)
    for client in clients:
        media = MediaStatistics.of(client.caller)
        assert media.received > 80
        assert media.lost == 0
        assert client.call.session.state is State.ESTABLISHED
    assert world.dispatcher.counts == {"established": 5}
    assert not world.dispatcher.drops
    assert [facts["call"] for facts in world.facts("call-established")] == [c.call.call_id for c in clients]
    # Five calls, five entries for the hot path, spread over the phases of the clock.
    assert len(world.calls.by_header) == 5
    assert sorted(len(world.calls.in_phase(phase)) for phase in range(PHASES)) == [1, 1, 1, 2]


def test_the_relay_hears_whether_a_path_is_proven(world) -> None:
    client = world.add()
    world.run(1)
    validated = [parse_header(header).validated for header in client.down_headers]
    assert validated[0] is False
    assert validated[-1] is True
    assert validated == sorted(validated)
    assert all(parse_header(header).tag == client.tag for header in client.down_headers)


def test_answers_go_to_the_relay_that_was_heard_last(world) -> None:
    client = world.add()
    world.run(1)
    client.relay = world.RELAYS[1]  # another of the group; the tag is the same
    world.run(1)  # `_arrive` checks which relay it comes through
    assert MediaStatistics.of(client.caller).lost == 0
    assert len(world.calls.by_header) == 1


def test_a_new_tag_of_the_relays_replaces_the_old_one(world) -> None:
    client = world.add()
    world.run(1)
    old = client.header
    client.tag = b"new tag!"
    world.run(1)
    assert MediaStatistics.of(client.caller).lost == 0
    assert list(world.calls.by_header) == [client.header]
    assert old not in world.calls.by_header
    assert parse_header(client.down_headers[-1]).tag == b"new tag!"
    assert parse_header(client.down_headers[-1]).validated is True


def test_ipv6_clients_have_longer_headers(world) -> None:
    client = world.add()
    client.path = Path(("2001:db8::7", 50000), 1)
    world.run(1)
    assert MediaStatistics.of(client.caller).received > 30


def test_a_stranger_who_is_refused_leaves_no_trace(world) -> None:
    client = world.add()
    world.run(1)
    stranger = attrs.evolve(client, path=Path(STRANGER, 1))
    for data in (b"\x80\x6f" + bytes(40), b"\x16\xfe\xfd" + bytes(40), b"", b"\x00\x01" + bytes(18)):
        world.receive(stranger.header + data)
    assert list(client.call.flows) == [client.path]
    assert list(world.calls.by_header) == [client.header]
    assert client.call.session.drops["unknown-path"] == 2


def test_a_refusal_finds_its_way_back(world) -> None:
    """A check under a wrong password is answered with an error, to wherever it came from."""
    client = world.add()
    requests = [data for data, _ in client.caller.datagrams_to_send(world.now)]
    world.receive(client.header + requests[0][:-24] + bytes(24))
    assert world.sent == []  # without a fingerprint it is noise
    call = client.call.session
    assert call.state is State.WAITING
    forged = binding_request(b"t" * 12, b"wrong:user", b"password", (Attribute(AttributeType.PRIORITY, bytes(4)),))
    world.receive(client.header + forged)
    ((data, relay),) = world.sent
    header = parse_header(data)
    assert (header.client, relay) == (client.path.address, client.relay)
    assert data[header.size : header.size + 2] == b"\x01\x11"
    assert not client.call.flows
    assert not world.calls.by_header


def test_a_path_that_expires_is_given_back_to_its_relay_at_once(world) -> None:
    client = world.add()
    world.run(1)
    old = client.header
    client.path = Path(("198.51.100.8", 60000), 1)
    client.tag = b"elsewhere"[:8]
    world.run(8)
    assert set(world.calls.by_header) == {old, client.header}
    while old in world.calls.by_header:
        assert world.gone() == []
        world.run(0.02)
    assert list(world.calls.by_header) == [client.header]
    assert world.gone() == [(client.call.session_id, b"flow-tag")]


def test_what_has_no_way_back_is_counted(world) -> None:
    client = world.add()
    world.run(1)
    world.calls.remove_flow(client.call, client.path)
    client.call.session.handle_timeout(world.now + 2)
    client.call.session.close("hang-up", world.now + 2)
    world.dispatcher.end(client.call, "hang-up", world.now + 2)
    assert world.dispatcher.drops[DropReason.NO_WAY_BACK] >= 2


# -- who may speak


def test_datagrams_from_others_than_relays_are_dropped(world) -> None:
    client = world.add()
    world.run(1)
    heard = client.call.session.media.packets_in
    packet = client.caller.media._srtp.protect_rtp(client.caller.media.outbound.next_packet(world.now))
    world.receive(client.header + packet, STRANGER)
    world.receive(client.header + packet, (world.RELAYS[0][0], 4001))
    assert world.dispatcher.drops == {DropReason.NOT_A_RELAY: 2}
    assert client.call.session.media.packets_in == heard
    world.receive(client.header + packet)
    assert client.call.session.media.packets_in == heard + 1


def test_a_relay_that_is_lost_is_not_believed_any_more(world) -> None:
    client = world.add()
    world.run(1)
    data = client.header + b"\x80\x6f" + bytes(40)
    assert not world.dispatcher.drops
    world.clients.clear()
    world.relays.clear()
    world.run(31)
    assert [facts["event"] for facts in world.facts("hop-link")] == ["RelaySeen"] * 2 + ["RelayLost"] * 2
    world.receive(data)
    assert world.dispatcher.drops[DropReason.NOT_A_RELAY] == 1


def test_malformed_datagrams_are_dropped(world) -> None:
    world.receive(b"")
    world.receive(b"\x11")
    world.receive(b"\x11\x00" + bytes(10))  # UP, and cut
    world.receive(b"\x11\x02" + bytes(30))  # IPv6, and cut
    world.receive(b"\x11\x80" + bytes(40))  # a flag that means nothing
    world.receive(b"\x12\x00" + bytes(40))  # DOWN is not for us
    assert world.dispatcher.drops == {DropReason.MALFORMED_HOP: 3}
    assert sum(world.link.drops.values()) == 3


def together(*parts: bytes) -> bytes:
    return bundle_front([len(part) for part in parts]) + b"".join(parts)


def test_each_part_of_a_bundle_gets_to_its_session(world) -> None:
    clients = [world.add(number) for number in range(3)]
    world.run(1)
    heard = [client.call.session.media.packets_in for client in clients]

    def packet(client) -> bytes:
        media = client.caller.media
        return client.header + media._srtp.protect_rtp(media.outbound.next_packet(world.now))

    world.receive(together(*[packet(client) for client in (*clients, clients[0])]))
    assert [client.call.session.media.packets_in for client in clients] == [heard[0] + 2, heard[1] + 1, heard[2] + 1]
    assert not world.dispatcher.drops
    world.dispatcher.flush(world.now)
    leaving = [data for data, _ in world.sent]
    assert len(leaving) == 4
    (bundle,) = world.link.bundle(world.sent)
    assert parts_of(bundle[0]) == leaving


def test_a_bundle_from_others_than_relays_is_dropped_whole(world) -> None:
    client = world.add()
    world.run(1)
    world.receive(together(*[client.header + b"\x80" * 40] * 9), STRANGER)
    assert world.dispatcher.drops == {DropReason.NOT_A_RELAY: 1}


def test_a_bundle_that_is_none_is_dropped(world) -> None:
    client = world.add()
    world.run(1)
    part = client.header + b"\x80" * 40
    bundle = together(part, part)
    for data in (bundle[:-1], bundle + b"x", bundle[:1], b"\x15\x00", together(part, bundle)):
        world.receive(data)
    assert world.dispatcher.drops == {DropReason.MALFORMED_HOP: 5}


def test_a_part_for_the_other_direction_is_dropped_alone(world) -> None:
    client = world.add()
    world.run(1)
    heard = client.call.session.media.packets_in
    packet = client.caller.media._srtp.protect_rtp(client.caller.media.outbound.next_packet(world.now))
    world.receive(together(b"\x12\x00" + bytes(40), b"\x11\x80" + bytes(40), client.header + packet))
    assert client.call.session.media.packets_in == heard + 1
    assert world.dispatcher.drops == {DropReason.MALFORMED_HOP: 1}
    assert sum(world.link.drops.values()) == 1


def test_an_unknown_session_is_dropped_and_its_relay_told(world) -> None:
    client = world.add()
    ghost = attrs.evolve(client, call=attrs.evolve(client.call, session_id=4711))
    world.receive(ghost.header + b"\x80\x6f" + bytes(40))
    world.pump()
    assert world.dispatcher.drops == {DropReason.UNKNOWN_SESSION: 1}
    assert world.ended() == [4711]


# -- the end


def test_ending_a_call_tells_its_client_and_its_relay(world) -> None:
    client, other = world.add(0), world.add(1)
    world.run(1)
    world.dispatcher.end(client.call, "hang-up", world.now)
    world.pump()
    assert client.caller.stage is Stage.CLOSED
    assert world.ended()[0] == client.call.session_id
    assert len(world.calls) == 1
    assert world.calls.of_call_id(client.call.call_id) is None
    assert world.dispatcher.counts["ended-hang-up"] == 1
    (facts,) = world.facts("call-ended")
    assert (facts["call"], facts["closed"], facts["state"]) == (client.call.call_id, "hang-up", "closed")
    assert facts["dtls"]["version"].startswith("DTLS 1.")
    assert facts["media"]["packets_in"] > 30
    # The client's last words are for nobody; the other call goes on.
    assert world.dispatcher.drops == {DropReason.UNKNOWN_SESSION: 1}
    world.run(1)
    assert MediaStatistics.of(other.caller).lost == 0
    # Ending it once more changes nothing.
    world.dispatcher.end(client.call, "again", world.now)
    assert world.dispatcher.counts["ended-again"] == 0


def test_goodbye_and_what_the_relay_is_told_leave_together(world, monkeypatch: pytest.MonkeyPatch) -> None:
    client = world.add()
    world.run(1)
    batches: list[list[bytes]] = []
    monkeypatch.setattr(world.dispatcher, "_send", lambda datagrams: batches.append([data for data, _ in datagrams]))
    world.dispatcher.end(client.call, "hang-up", world.now)

    (batch,) = batches
    directions = [data[0] for data in batch]
    assert directions == [DOWN] * (len(batch) - 1) + [CONTROL]
    assert len(batch) >= 3  # the goodbyes of RTCP and DTLS, then GONE


def test_a_client_that_hangs_up_frees_its_call(world) -> None:
    client = world.add()
    world.run(1)
    client.caller.hang_up(world.now)
    world.clients[0].caller._ice = None  # it says no more than what is on its way
    world.pump()
    assert len(world.calls) == 0
    assert world.dispatcher.counts["ended-close-notify"] == 1
    assert world.ended() == [client.call.session_id]


def test_calls_whose_time_has_come_are_ended_by_the_clock(make_world) -> None:
    world = make_world(options=SessionOptions(connect_timeout=3, max_call=5))
    world.add()
    silent = world.add(1)
    world.clients.remove(silent)
    world.run(2.9)
    assert len(world.calls) == 2
    world.run(0.2)
    assert world.dispatcher.counts["ended-never-connected"] == 1
    world.run(2)
    assert world.dispatcher.counts["ended-max-call"] == 1
    assert len(world.calls) == 0


def test_nothing_of_an_ended_call_stays(world) -> None:
    sessions: weakref.WeakSet[Session] = weakref.WeakSet()
    made = 0
    kept: list[int] = []
    for round_ in range(5):
        for number in range(40):
            client = world.add(number)
            sessions.add(client.call.session)
            made += 1
        world.run(0.4)
        assert all(c.call.session.state is State.ESTABLISHED for c in world.clients)
        for call in world.calls:
            world.dispatcher.end(call, "hang-up", world.now)
        world.pump()
        world.clients.clear()
        world.reports.clear()
        world.relay_events.clear()
        client = call = None
        gc.collect()
        if round_:  # what is made once, is there now
            kept.append(len(gc.get_objects()))
    assert made == 200
    assert len(sessions) == 0
    assert len(world.calls) == 0
    assert not world.calls.by_header
    # Fewer there may be: what other tests have left to the collector.
    assert kept[-1] - kept[0] < 100


# -- a bug in one session


class BugError(Exception):
    """Ours."""


def raising(*_args: object, **_named: object) -> object:
    raise BugError("of ours")


@pytest.mark.parametrize(
    ("method", "says_goodbye"),
    [
        ("receive_datagram", True),
        ("receive_media", True),
        ("handle_timeout", True),
        ("datagrams_to_send", False),
        ("close", False),
        ("knows", True),
    ],
)
def test_a_bug_ends_its_session_and_nothing_else(world, method: str, says_goodbye: bool) -> None:
    client, other = world.add(0), world.add(1)
    world.run(1)
    setattr(client.call.session, method, raising)
    if method == "close":
        world.dispatcher.end(client.call, "hang-up", world.now)
    if method == "knows":
        client.tag = b"new tag!"
    world.run(2)
    assert world.calls.of_call_id(client.call.call_id) is None
    assert world.dispatcher.counts["internal-error"] == 1
    assert world.dispatcher.counts["ended-internal-error"] == 1
    (failed,) = world.facts("internal-error")
    assert failed["call"] == client.call.call_id
    assert isinstance(failed["exception"], BugError)
    (ended,) = world.facts("call-ended")
    assert ended["closed"] == "internal-error"
    assert world.ended()[0] == client.call.session_id
    assert (client.caller.stage is Stage.CLOSED) is says_goodbye
    assert list(world.calls.by_header) == [other.header]
    media = MediaStatistics.of(other.caller)
    assert media.lost == 0
    assert media.sent - media.received <= 1


def test_a_session_that_fails_again_and_again_is_reported_once(world, monkeypatch: pytest.MonkeyPatch) -> None:
    client = world.add()
    world.run(1)
    for method in ("receive_datagram", "handle_timeout", "datagrams_to_send", "close"):
        monkeypatch.setattr(client.call.session, method, raising)
    world.receive(client.header + b"\x80\x6f" + bytes(40))
    world.dispatcher.flush(world.now)
    world.dispatcher.end(client.call, "hang-up", world.now)
    assert len(world.facts("internal-error")) == len(world.facts("call-ended")) == 1
    assert len(world.calls) == 0


def test_a_bug_deep_inside_is_kept_in_its_session_too(world, monkeypatch: pytest.MonkeyPatch) -> None:
    client, other = world.add(0), world.add(1)
    world.run(1)
    monkeypatch.setattr(client.call.session.media, "receive_rtp", raising)
    monkeypatch.setattr(client.call.session.media, "describe", raising)  # so that not even its end can be told
    world.run(1)
    assert len(world.calls) == 1
    assert [type(facts["exception"]) for facts in world.facts("internal-error")] == [BugError, BugError]
    (ended,) = world.facts("call-ended")
    assert ended == {"call": client.call.call_id, "closed": "internal-error", "detail": ""}
    assert MediaStatistics.of(other.caller).lost == 0


def test_what_a_session_has_dropped_stays_counted_when_it_is_gone(world) -> None:
    client = world.add()
    world.run(1)
    world.receive(client.header + b"\x40" + bytes(40))
    assert world.calls.drops() == {"session.unknown-protocol": 1}
    world.dispatcher.end(client.call, "hang-up", world.now)
    assert world.calls.drops() == Counter({"session.unknown-protocol": 1})


def test_events_that_mean_nothing_here_pass(world) -> None:
    client = world.add()
    world.run(1)
    world.dispatcher._follow(client.call, [PathExpired(path=Path(STRANGER, 9)), Event()], world.now)
    world.run(0.1)
    assert world.gone() == []
