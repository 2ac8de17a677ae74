"""Sessions that have ended and sessions that have moved: what relays do with requests that still name the old place."""

import pytest

from relay import whereabouts
from relay.drops import DropReason
from relay.flows import ClaimState
from relay.hop.drops import HopDropReason
from relay.hop.header import parse_header
from relay.hop.messages import Ended, Moved
from relay.hop.sealing import seal
from relay.whereabouts import ENDED_LIFE, Whereabouts

CLIENT = ("192.0.2.1", 40000)
ELSEWHERE = ("192.0.2.2", 40001)
ANN, BEN, CID = (1, 100, 0), (1, 101, 0), (1, 102, 0)


def says(world, transceiver, message):
    """A transceiver says something to the relay."""
    link = transceiver.link
    for address, relay in link._relays.items():
        link._send(message, relay.number, address)
    transceiver.outgoing += link.datagrams_to_send(world.now)
    world.pump()


def moved(session, generation, owner):
    return Moved(session=session, generation=generation, cluster=owner[0], incarnation=owner[1], worker=owner[2])


@pytest.fixture
def three(make_world):
    return make_world(transceivers=3)


# Ended.


def test_a_request_for_a_session_that_has_ended_is_dropped_for_a_while(world):
    first = world.transceivers[0]
    world.call(first, 7, CLIENT)
    says(world, first, Ended(session=7))
    assert len(world.forwarder.table) == 0
    assert world.forwarder.counts["gone"] == 1
    for _ in range(3):
        world.client_sends(first.request(7), CLIENT)
    world.client_sends(first.request(7), ELSEWHERE)
    assert first.payloads() == []
    assert world.forwarder.drops == {DropReason.SESSION_ENDED: 4}
    world.pass_time(ENDED_LIFE + 1)
    world.client_sends(first.request(7), CLIENT)
    assert len(first.payloads()) == 1


def test_other_sessions_go_on(world):
    first = world.transceivers[0]
    world.call(first, 7, CLIENT)
    says(world, first, Ended(session=8))
    world.client_sends(b"\x80media", CLIENT)
    assert first.payloads() == [b"\x80media"]


def test_another_transceiver_cannot_end_a_session(world):
    first, second = world.transceivers
    world.call(first, 7, CLIENT)
    says(world, second, Ended(session=7))
    world.client_sends(b"\x80media", CLIENT)
    world.client_sends(first.request(7), ELSEWHERE)
    assert len(first.payloads()) == 2
    assert not world.forwarder.drops


def test_a_session_that_its_transceiver_speaks_for_has_not_ended(world):
    """A new owner was asked too early, before it had the session."""
    first = world.transceivers[0]
    says(world, first, Ended(session=7))
    world.transceiver_sends(first, 7, CLIENT, b"\x80down", validated=True)
    world.client_sends(first.request(7), ELSEWHERE)
    assert len(first.payloads()) == 1


# Moved.


def test_a_session_that_moves_takes_its_flow_along_and_leads_its_token_to_the_new_owner(world):
    first, second = world.transceivers
    world.call(first, 7, CLIENT)
    says(world, first, moved(7, 1, BEN))
    world.client_sends(b"\x80media", CLIENT)
    ((header, payload),) = second.received
    assert (payload, header.generation, header.client) == (b"\x80media", 1, CLIENT)
    second.received.clear()
    world.client_sends(first.request(7), ELSEWHERE)
    ((header, _),) = second.received
    assert (header.generation, header.client) == (1, ELSEWHERE)
    assert first.payloads() == []
    assert world.forwarder.counts["moved"] == 1


def test_the_old_owner_is_not_heard_any_more(world):
    first = world.transceivers[0]
    world.call(first, 7, CLIENT)
    says(world, first, moved(7, 1, BEN))
    world.transceiver_sends(first, 7, CLIENT, b"\x80late", validated=True)
    assert world.received_by_clients() == []
    assert world.forwarder.drops == {DropReason.STALE_GENERATION: 1}


def test_what_is_not_proven_goes_to_the_new_owner_with_its_next_request(world):
    first, second = world.transceivers
    world.client_sends(first.request(7), CLIENT)
    first.received.clear()
    says(world, first, moved(7, 1, BEN))
    world.client_sends(first.request(7), CLIENT)
    assert (len(first.received), len(second.received)) == (0, 1)
    assert world.claim(7).state is ClaimState.UNPROVEN


def test_a_session_may_move_on(three):
    ann, ben, cid = three.transceivers
    three.call(ann, 7, CLIENT)
    says(three, ann, moved(7, 1, BEN))
    says(three, ben, moved(7, 2, CID))
    three.client_sends(b"\x80media", CLIENT)
    three.client_sends(ann.request(7), ELSEWHERE)
    assert [header.generation for header, _ in cid.received] == [2, 2]
    assert ann.payloads() == ben.payloads() == []


def test_only_its_owner_can_move_a_session(three):
    ann, ben, cid = three.transceivers
    three.call(ann, 7, CLIENT)
    says(three, ben, moved(7, 9, CID))
    three.client_sends(b"\x80media", CLIENT)
    three.client_sends(ann.request(7), ELSEWHERE)
    assert len(ann.payloads()) == 2
    assert cid.payloads() == []


def test_a_word_that_is_older_than_what_is_known_is_refused(three):
    ann = three.transceivers[0]
    three.call(ann, 7, CLIENT)
    says(three, ann, moved(7, 2, CID))
    says(three, ann, moved(7, 1, BEN))
    assert three.forwarder.drops == {DropReason.STALE_GENERATION: 1}
    three.client_sends(ann.request(7), ELSEWHERE)
    assert len(three.transceivers[2].payloads()) == 1


def test_a_session_may_move_to_a_transceiver_that_is_not_linked_yet(world, kit):
    first = world.transceivers[0]
    world.call(first, 7, CLIENT)
    says(world, first, moved(7, 1, (1, 999, 0)))
    world.client_sends(b"\x80media", CLIENT)
    world.client_sends(first.request(7), ELSEWHERE)
    assert world.forwarder.drops == {DropReason.LINK_DOWN: 1, DropReason.UNKNOWN_TRANSCEIVER: 1}


def test_a_flow_that_moves_keeps_its_tag(world):
    first, second = world.transceivers
    world.call(first, 7, CLIENT)
    before = world.claim(7).tag
    says(world, first, moved(7, 1, BEN))
    world.client_sends(b"\x80media", CLIENT)
    assert parse_header(world.claim(7).up_header).tag == before
    assert second.received[0][0].tag == before


def test_links_tell_all_relays_of_a_move(world):
    first = world.transceivers[0]
    world.call(first, 7, CLIENT)
    first.link.tell.session_moved(7, 1, BEN)
    first.outgoing += first.link.datagrams_to_send(world.now)
    world.pump()
    assert world.forwarder.counts["moved"] == 1


def test_who_has_not_heard_it_is_told_again_and_nobody_else(world, kit):
    first = world.transceivers[0]
    first.link.tell.session_moved(7, 1, BEN, relay=("10.9.9.9", 1))
    assert first.link.datagrams_to_send(world.now) == []
    first.link.tell.session_moved(7, 1, BEN, relay=kit.relay_address)
    assert [relay for _, relay in first.link.datagrams_to_send(world.now)] == [kit.relay_address]


# Forged, replayed, reflected.


@pytest.mark.parametrize("message", [Ended(session=7), moved(7, 1, BEN)])
def test_what_is_not_sealed_for_this_relay_by_this_process_changes_nothing(world, kit, message):
    first = world.transceivers[0]
    world.call(first, 7, CLIENT)
    number = first.link._relays[kit.relay_address].number
    stranger = seal(kit.hop_keys, message, sender=9, counter=1, receiver=number)
    elsewhere = seal(kit.hop_keys, message, sender=first.link._number, counter=99, receiver=number + 1)
    for sealed, reason in ((stranger, HopDropReason.UNKNOWN_PEER), (elsewhere, HopDropReason.NOT_AUTHENTIC)):
        world.forwarder.links.drops.clear()
        world.forwarder.receive_from_hop(sealed, first.address, world.now)
        assert world.forwarder.links.drops == {reason: 1}
    world.client_sends(b"\x80media", CLIENT)
    assert first.payloads() == [b"\x80media"]


def test_a_replayed_end_does_not_end_a_later_flow(world, kit):
    first = world.transceivers[0]
    link = first.link
    link._send(Ended(session=7), link._relays[kit.relay_address].number, kit.relay_address)
    ((ended, _),) = link.datagrams_to_send(world.now)
    world.forwarder.receive_from_hop(ended, first.address, world.now)
    world.pass_time(ENDED_LIFE + 1)
    world.call(first, 7, CLIENT)
    world.forwarder.receive_from_hop(ended, first.address, world.now)
    assert world.forwarder.links.drops == {HopDropReason.REPLAYED: 1}
    assert len(world.forwarder.table) == 1


# Bounds.


def test_notes_are_bounded_and_the_oldest_go_first(monkeypatch):
    monkeypatch.setattr(whereabouts, "MAX_NOTES", 3)
    notes = Whereabouts()
    for session in range(10):
        notes.note_ended(session, ANN, 0.0)
        notes.note_moved(session, ANN, BEN, 1)
    assert len(notes) == 6
    assert [session for session in range(10) if notes.has_ended(session, ANN, 1.0)] == [7, 8, 9]
    assert [session for session in range(10) if notes.find(session, ANN) == (BEN, 1)] == [7, 8, 9]


def test_what_has_ended_is_kept_a_minute_and_no_longer():
    notes = Whereabouts()
    for session in range(1000):
        notes.note_ended(session, ANN, float(session))
    assert len(notes) == ENDED_LIFE
    assert not notes.has_ended(1000 - 1 - int(ENDED_LIFE), ANN, 999.0)
    assert notes.has_ended(1000 - int(ENDED_LIFE), ANN, 999.0)


def test_moves_in_a_circle_come_to_an_end():
    notes = Whereabouts()
    for generation in range(1, 30):
        notes.note_moved(7, (ANN, BEN)[generation % 2], (BEN, ANN)[generation % 2], generation)
    owner, generation = notes.find(7, ANN)
    assert (owner in (ANN, BEN), generation > 0) == (True, True)


def test_the_first_move_has_generation_one():
    notes = Whereabouts()
    assert not notes.note_moved(7, ANN, BEN, 0)
    assert len(notes) == 0
    assert notes.find(7, ANN) == (ANN, 0)
