"""A session that another transceiver has taken over leads there at once, and nothing of its earlier owner gets through.

Ann owns session 7 and dies, or is paused and comes back; Ben takes it over. No word of Ann's is needed for it.
"""

import pytest

from relay.drops import DropReason
from relay.flows import ClaimState
from relay.hop.header import UP, answering, pack_header
from relay.hop.messages import Ended, Gone, Moved
from relay.whereabouts import MAX_NOTES, Whereabouts

CLIENT = ("192.0.2.1", 40000)
ELSEWHERE = ("192.0.2.2", 40001)
THIRD = ("2001:db8::3", 40002)
ANN, BEN, CID = (1, 100, 0), (1, 101, 0), (1, 102, 0)


def up(kit, generation, *, session=7, client=CLIENT, ingress=1, tag=None):
    tag = tag or kit.flow_tags.make(ingress, session, client)
    return pack_header(UP, ingress=ingress, client=client, session=session, tag=tag, generation=generation)


def sends(world, transceiver, kit, generation, *, payload=b"\x80media", validated=True, **flow):
    down = answering(up(kit, generation, **flow), validated=validated)
    world.forwarder.receive_from_hop(down + payload, transceiver.address, world.now)
    world.pump()


def announces(world, transceiver, *headers):
    for header in headers:
        transceiver.link.tell.take_over(header, next(iter(transceiver.link.relays)))
    transceiver.outgoing += transceiver.link.datagrams_to_send(world.now)
    world.pump()


def says(world, transceiver, message):
    link = transceiver.link
    for address, relay in link._relays.items():
        link._send(message, relay.number, address)
    transceiver.outgoing += link.datagrams_to_send(world.now)
    world.pump()


@pytest.fixture
def three(make_world):
    world = make_world(transceivers=3)
    world.call(world.transceivers[0], 7, CLIENT)
    return world


def takes_by_datagram(world, ben, kit):
    sends(world, ben, kit, 1)
    world.received_by_clients()


def takes_by_datagram_to_an_unproven_path(world, ben, kit):
    sends(world, ben, kit, 1, validated=False)
    world.received_by_clients()


def takes_by_announcement(world, ben, kit):
    announces(world, ben, up(kit, 1))


@pytest.fixture(params=[takes_by_datagram, takes_by_datagram_to_an_unproven_path, takes_by_announcement])
def taken(request, three, kit):
    request.param(three, three.transceivers[1], kit)
    return three


def test_media_leads_to_the_new_owner_at_once(taken):
    ann, ben, _ = taken.transceivers
    taken.client_sends(b"\x80media", CLIENT)
    assert ann.payloads() == []
    ((header, payload),) = ben.received
    assert (header.generation, payload) == (1, b"\x80media")
    assert taken.forwarder.counts["taken"] == 1


def test_requests_whose_token_names_the_old_owner_lead_to_the_new_one(taken):
    ann, ben, _ = taken.transceivers
    taken.client_sends(ann.request(7), CLIENT)
    taken.client_sends(ann.request(7), ELSEWHERE)
    assert ann.payloads() == []
    assert [(header.generation, header.client) for header, _ in ben.received] == [(1, CLIENT), (1, ELSEWHERE)]


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("client", [CLIENT, ELSEWHERE, THIRD])
def test_nothing_of_the_old_owner_gets_through_wherever_it_sends(taken, kit, client, validated):
    """It still sends from its own address, on a link that is up, with tags that are right."""
    sends(taken, taken.transceivers[0], kit, 0, client=client, validated=validated)
    assert taken.received_by_clients() == []
    assert taken.forwarder.drops == {DropReason.STALE_GENERATION: 1}
    taken.client_sends(b"\x80media", CLIENT)
    assert len(taken.transceivers[1].payloads()) == 1, "and it takes nothing back"


def test_announcements_of_the_old_owner_change_nothing(taken, kit):
    announces(taken, taken.transceivers[0], up(kit, 0), up(kit, 0, client=ELSEWHERE))
    assert taken.forwarder.drops == {DropReason.STALE_GENERATION: 2}
    assert len(taken.forwarder.table) == 1


@pytest.mark.parametrize("message", ["ended", "gone", "moved"])
def test_the_old_owner_cannot_end_or_move_what_it_lost(taken, kit, message):
    ann, ben, cid = taken.transceivers
    moved = Moved(session=7, generation=1, cluster=1, incarnation=102, worker=0)
    gone = Gone(session=7, tag=kit.flow_tags.make(1, 7, CLIENT))
    says(taken, ann, {"ended": Ended(session=7), "gone": gone, "moved": moved}[message])
    taken.client_sends(b"\x80media", CLIENT)
    taken.client_sends(ann.request(7), CLIENT)
    assert len(ben.payloads()) == 2
    assert cid.payloads() == ann.payloads() == []


def test_all_paths_of_the_session_are_taken_also_those_that_the_new_owner_does_not_know(three, kit):
    ann, ben, _ = three.transceivers
    three.client_sends(ann.request(7), ELSEWHERE)
    three.transceiver_sends(ann, 7, ELSEWHERE, b"\x16proof", validated=True)
    three.client_sends(ann.request(7), THIRD)
    ann.received.clear()
    takes_by_announcement(three, ben, kit)
    assert [claim.state for claim in three.forwarder.table.claims_of(7)] == [ClaimState.PROVEN] * 2
    three.client_sends(b"\x80media", ELSEWHERE)
    ((header, _),) = ben.received
    assert (header.client, header.generation) == (ELSEWHERE, 1)
    ben.received.clear()
    three.client_sends(ann.request(7), THIRD)
    ((header, _),) = ben.received
    assert (header.client, header.generation) == (THIRD, 1)
    assert ann.payloads() == []


def test_a_link_that_is_down_drops_nothing_of_a_session_that_was_taken(three, kit):
    ann, ben, _ = three.transceivers
    world = three
    world.transceivers.remove(ann)  # dead: nothing that is sent to it arrives
    world.pass_time(1.0)
    takes_by_announcement(world, ben, kit)
    world.pass_time(11.0)
    assert world.forwarder.live_transceivers == 2
    world.client_sends(b"\x80media", CLIENT)
    world.client_sends(ann.request(7, minted=world_time(world)), CLIENT)
    world.client_sends(ann.request(7, minted=world_time(world)), ELSEWHERE)
    assert len(ben.payloads()) == 3
    assert not world.forwarder.drops


def world_time(world):
    return int(world.unix_time)


def test_it_may_be_taken_when_the_link_is_down_already(three, kit):
    ann, ben, _ = three.transceivers
    three.transceivers.remove(ann)
    three.pass_time(12.0)
    three.client_sends(b"\x80media", CLIENT)
    assert three.forwarder.drops == {DropReason.LINK_DOWN: 1}
    sends(three, ben, kit, 1)
    three.client_sends(b"\x80media", CLIENT)
    three.client_sends(ann.request(7, minted=world_time(three)), ELSEWHERE)
    assert len(ben.payloads()) == 2


def test_a_session_may_be_taken_again_and_again(three, kit):
    ann, ben, cid = three.transceivers
    sends(three, ben, kit, 1)
    sends(three, cid, kit, 2)
    sends(three, ben, kit, 1)
    assert three.forwarder.drops == {DropReason.STALE_GENERATION: 1}
    sends(three, ann, kit, 3)  # back to the first
    three.client_sends(ann.request(7), ELSEWHERE)
    three.client_sends(b"\x80media", CLIENT)
    assert [header.generation for header, _ in ann.received] == [3, 3]
    assert ben.payloads() == cid.payloads() == []


def test_who_took_it_may_move_it_on(three, kit):
    ann, ben, cid = three.transceivers
    takes_by_datagram(three, ben, kit)
    says(three, ben, Moved(session=7, generation=2, cluster=1, incarnation=102, worker=0))
    three.client_sends(b"\x80media", CLIENT)
    three.client_sends(ann.request(7), ELSEWHERE)
    assert [header.generation for header, _ in cid.received] == [2, 2]
    for former, generation in ((ann, 0), (ben, 1)):
        sends(three, former, kit, generation)
    assert three.received_by_clients() == []
    assert three.forwarder.drops == {DropReason.STALE_GENERATION: 2}


def test_a_drain_flips_the_way_up_and_shuts_the_way_down_with_one_word(three, kit):
    """The old owner says MOVED before the new one has sent anything; what was under way from it is dropped."""
    ann, ben, _ = three.transceivers
    ann.link.tell.session_moved(7, 1, BEN)
    ann.outgoing += ann.link.datagrams_to_send(three.now)
    three.pump()
    sends(three, ann, kit, 0)
    sends(three, ann, kit, 0, client=ELSEWHERE)
    assert three.received_by_clients() == []
    assert three.forwarder.drops == {DropReason.STALE_GENERATION: 2}
    three.client_sends(b"\x80media", CLIENT)
    three.client_sends(ann.request(7), ELSEWHERE)
    assert [header.generation for header, _ in ben.received] == [1, 1]
    sends(three, ben, kit, 1)
    assert [payload for payload, *_ in three.received_by_clients()] == [b"\x80media"]


def test_a_drain_of_which_the_new_owner_speaks_first_is_as_well(three, kit):
    ann, ben, _ = three.transceivers
    sends(three, ben, kit, 1)
    says(three, ann, Moved(session=7, generation=1, cluster=1, incarnation=101, worker=0))
    assert not three.forwarder.drops
    three.client_sends(b"\x80media", CLIENT)
    assert len(ben.payloads()) == 1


def test_a_new_owner_that_was_asked_too_early_has_the_session_now(three, kit):
    ann, ben, _ = three.transceivers
    says(three, ben, Ended(session=7))
    takes_by_datagram_to_an_unproven_path(three, ben, kit)
    three.client_sends(ann.request(7), ELSEWHERE)
    assert len(ben.payloads()) == 1


def test_a_session_that_never_moved_needs_no_note(three, kit):
    sends(three, three.transceivers[0], kit, 0, client=ELSEWHERE)
    assert len(three.forwarder.hop.succession._whereabouts) == 0


# Attackers.


def test_nobody_takes_a_session_without_a_tag_of_it(three, kit):
    ann, ben, _ = three.transceivers
    wrong = kit.flow_tags.make(1, 8, CLIENT)
    sends(three, ben, kit, 5, tag=wrong)
    sends(three, ben, kit, 5, client=ELSEWHERE, tag=kit.flow_tags.make(1, 7, CLIENT))
    announces(three, ben, up(kit, 5, tag=wrong))
    assert three.received_by_clients() == []
    assert three.forwarder.drops == {DropReason.FORGED_TAG: 3}
    three.client_sends(b"\x80media", CLIENT)
    three.client_sends(ann.request(7), ELSEWHERE)
    assert len(ann.payloads()) == 2


def test_nobody_takes_a_session_under_the_generation_that_it_has(three, kit):
    _, ben, cid = three.transceivers
    sends(three, ben, kit, 1)
    sends(three, cid, kit, 1)
    assert three.forwarder.drops == {DropReason.FOREIGN_TRANSCEIVER: 1}


def test_who_has_no_link_takes_nothing(three, kit):
    down = answering(up(kit, 1), validated=True)
    three.forwarder.receive_from_hop(down + b"\x80media", ("10.9.9.9", 1), three.now)
    assert three.forwarder.drops == {DropReason.UNKNOWN_PEER: 1}
    assert three.claim(7).generation == 0


def test_the_last_generation_is_the_last(three, kit):
    """16 bits, and no way around."""
    ann, ben, _ = three.transceivers
    sends(three, ben, kit, 0xFFFF)
    for generation in (0, 1, 0xFFFE):
        sends(three, ann, kit, generation)
    assert three.forwarder.drops == {DropReason.STALE_GENERATION: 3}
    three.client_sends(b"\x80media", CLIENT)
    assert ben.received[0][0].generation == 0xFFFF


# What is remembered, and for how long.


def test_what_is_forgotten_is_known_from_the_sessions_claims(three, kit):
    ann, ben, _ = three.transceivers
    sends(three, ben, kit, 1)
    three.forwarder.hop.succession._whereabouts = Whereabouts()
    three.client_sends(ann.request(7), ELSEWHERE)
    assert len(ben.payloads()) == 1
    sends(three, ann, kit, 0, client=THIRD)
    assert three.forwarder.drops == {DropReason.STALE_GENERATION: 1}


def test_what_has_no_claim_any_more_is_known_from_the_notes(three, kit):
    ann, ben, _ = three.transceivers
    sends(three, ben, kit, 1)
    three.forwarder.table.remove(three.claim(7))
    sends(three, ann, kit, 0)
    assert three.forwarder.drops == {DropReason.STALE_GENERATION: 1}
    three.client_sends(ann.request(7), CLIENT)
    ((header, _),) = ben.received
    assert header.generation == 1


def test_notes_are_bounded_and_the_oldest_goes_first():
    notes = Whereabouts()
    for session in range(MAX_NOTES + 10):
        assert notes.note_taken(session, BEN, 1)
    assert len(notes) == MAX_NOTES
    assert notes.find(0, ANN) == (ANN, 0)
    assert notes.find(MAX_NOTES, ANN) == (BEN, 1)


def test_an_older_taking_is_no_news():
    notes = Whereabouts()
    assert notes.note_taken(7, BEN, 2)
    assert not notes.note_taken(7, CID, 2)
    assert not notes.note_taken(7, CID, 1)
    assert notes.find(7, ANN) == (BEN, 2)


def test_words_and_takings_lead_on_in_turn():
    notes = Whereabouts()
    notes.note_moved(7, ANN, BEN, 1)
    notes.note_taken(7, CID, 2)
    assert notes.find(7, ANN) == notes.find(7, BEN) == (CID, 2)
    notes.note_moved(7, CID, ANN, 3)
    assert notes.find(7, BEN) == (ANN, 3)


def test_a_relay_that_starts_anew_hears_it_from_the_new_owner(kit, make_world):
    """Until then it believes whom it hears: that is why indices have ceilings (docs/failover.md)."""
    fresh = make_world(transceivers=2)
    ann, ben = fresh.transceivers
    sends(fresh, ann, kit, 0)
    assert len(fresh.received_by_clients()) == 1
    announces(fresh, ben, up(kit, 1))
    sends(fresh, ann, kit, 0)
    assert fresh.received_by_clients() == []
