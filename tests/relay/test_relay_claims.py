"""Who wins a client's address: theft, lock-out, budgets, expiry. The attacker knows the victim's address, can send from
it, has calls of his own, and cannot receive there."""

import pytest

from relay.budgets import FAILURES, NEW_ADDRESS_WINDOW, NEW_ADDRESSES, SAMPLE, NewAddressBudget
from relay.drops import DropReason
from relay.flows import ClaimState

VICTIM = ("192.0.2.1", 40000)
RTP = b"\x80\x6f media"
DTLS = b"\x16\xfe\xfd hello"
VICTIMS, ATTACKERS, ATTACKERS2 = 7, 66, 67


def sessions_that_got(transceiver, payload):
    taken = [header.session for header, received in transceiver.received if received == payload]
    transceiver.received.clear()
    return taken


# Theft.


@pytest.mark.parametrize("data", [RTP, DTLS])
def test_a_spoofed_request_of_another_session_steals_no_proven_flow(world, data):
    victims, attackers = world.transceivers
    world.call(victims, VICTIMS, VICTIM)
    for _ in range(50):
        world.client_sends(attackers.request(ATTACKERS), VICTIM)
        world.client_sends(data, VICTIM)
    assert sessions_that_got(victims, data) == [VICTIMS] * 50
    assert sessions_that_got(attackers, data) == []


def test_a_spoofed_request_is_still_routed_by_its_own_token(world):
    victims, attackers = world.transceivers
    world.call(victims, VICTIMS, VICTIM)
    request = attackers.request(ATTACKERS)
    world.client_sends(request, VICTIM)
    assert sessions_that_got(attackers, request) == [ATTACKERS]
    assert victims.received == []


def test_the_victims_requests_go_on_reaching_the_victims_transceiver(world):
    victims, attackers = world.transceivers
    world.call(victims, VICTIMS, VICTIM)
    world.client_sends(attackers.request(ATTACKERS), VICTIM)
    request = victims.request(VICTIMS)
    world.client_sends(request, VICTIM)
    assert sessions_that_got(victims, request) == [VICTIMS]


def test_while_nobody_is_proven_both_get_what_does_not_route_itself(world):
    victims, attackers = world.transceivers
    world.client_sends(attackers.request(ATTACKERS), VICTIM)
    world.client_sends(victims.request(VICTIMS), VICTIM)
    world.client_sends(DTLS, VICTIM)
    assert sessions_that_got(victims, DTLS) == [VICTIMS]
    assert sessions_that_got(attackers, DTLS) == [ATTACKERS]


def test_who_is_proven_takes_all_though_another_came_first(world):
    victims, attackers = world.transceivers
    world.client_sends(attackers.request(ATTACKERS), VICTIM)
    world.client_sends(victims.request(VICTIMS), VICTIM)
    world.transceiver_sends(victims, VICTIMS, VICTIM, b"proof", validated=True)
    world.client_sends(RTP, VICTIM)
    assert sessions_that_got(victims, RTP) == [VICTIMS]
    assert sessions_that_got(attackers, RTP) == []


def test_two_that_are_proven_both_hear_until_the_client_of_one_is_silent(world):
    first, second = world.transceivers
    world.call(first, 1, VICTIM)
    world.now += 1.0
    world.call(second, 2, VICTIM)
    for _ in range(9):
        world.client_sends(second.request(2), VICTIM)
        second.received.clear()
        world.client_sends(RTP, VICTIM)
        assert (sessions_that_got(first, RTP), sessions_that_got(second, RTP)) == ([1], [2])
        world.pass_time(1.0)
    world.client_sends(RTP, VICTIM)
    assert (sessions_that_got(first, RTP), sessions_that_got(second, RTP)) == ([], [2])


def test_who_was_proven_at_an_address_before_takes_nothing_from_who_has_it_now(world):
    """A carrier gave the attacker the address, and later the victim; the attacker goes on with requests in its name."""
    victims, attackers = world.transceivers
    world.call(attackers, ATTACKERS, VICTIM)
    world.pass_time(60.0)
    world.call(attackers, ATTACKERS, VICTIM)
    world.call(victims, VICTIMS, VICTIM)
    for _ in range(60):
        world.pass_time(1.0)
        world.client_sends(attackers.request(ATTACKERS), VICTIM)
        world.transceiver_sends(attackers, ATTACKERS, VICTIM, b"x", validated=True)
        world.client_sends(victims.request(VICTIMS), VICTIM)
        victims.received.clear()
        world.client_sends(RTP, VICTIM)
        assert sessions_that_got(victims, RTP) == [VICTIMS]


# A new call from the address and port of one that nobody has ended.


def calls_again(world, kit, transceiver, session, *, spoofed=()):
    """Do what a client and its transceiver do, with spoofed requests between all steps; return what took how long."""
    began, check = world.now, b"c%011d" % session

    def steps(data):
        for request in spoofed:
            world.client_sends(request, VICTIM)
        world.now += 0.05
        world.client_sends(data, VICTIM)

    steps(transceiver.request(session))
    world.transceiver_sends(transceiver, session, VICTIM, kit.stun(0x0001, check), validated=False)
    steps(kit.stun(0x0101, check))
    assert sessions_that_got(transceiver, kit.stun(0x0101, check)) == [session]
    world.transceiver_sends(transceiver, session, VICTIM, DTLS, validated=True)
    steps(DTLS)
    return session in sessions_that_got(transceiver, DTLS), world.now - began


def its_transceiver_goes_on(world, transceiver, session):
    """What a transceiver sends to a client that has vanished without a word."""
    for _ in range(3):
        world.transceiver_sends(transceiver, session, VICTIM, RTP, validated=True)


@pytest.mark.parametrize("is_spoofed", [False, True])
def test_a_new_call_from_the_same_address_and_port_gets_its_handshake_through(world, kit, is_spoofed):
    """Three in a row, each while the transceiver of all before still talks to the address."""
    first, attackers = world.transceivers
    spoofed = [attackers.request(ATTACKERS), attackers.request(ATTACKERS2)] if is_spoofed else []
    world.call(first, 1, VICTIM)
    for session in (2, 3, 4):
        for _ in range(2):
            world.pass_time(1.0)
            for before in range(1, session):
                its_transceiver_goes_on(world, first, before)
        got_through, took = calls_again(world, kit, first, session, spoofed=spoofed)
        assert got_through
        assert took < 0.5
        for before in range(1, session):
            its_transceiver_goes_on(world, first, before)
        first.received.clear()
        world.client_sends(RTP, VICTIM)
        assert session in sessions_that_got(first, RTP)


def test_the_call_before_is_not_sent_the_media_of_the_new_one_for_long(world, kit):
    first, _ = world.transceivers
    world.call(first, 1, VICTIM)
    calls_again(world, kit, first, 2)
    for _ in range(10):
        world.pass_time(1.0)
        its_transceiver_goes_on(world, first, 1)
        world.client_sends(first.request(2), VICTIM)
    first.received.clear()
    world.client_sends(RTP, VICTIM)
    assert sessions_that_got(first, RTP) == [2]


def test_a_place_is_not_won_by_the_word_of_a_transceiver_alone(world, kit):
    """Who has lost its place to a third that was proven before our eyes cannot push it, or the second, out again."""
    first, second = world.transceivers
    world.call(first, 1, VICTIM)
    world.pass_time(1.0)
    world.call(first, 2, VICTIM)
    world.pass_time(1.0)
    calls_again(world, kit, second, 3)
    assert world.forwarder.table.claims_of(1) == []
    world.transceiver_sends(first, 1, VICTIM, b"x", validated=True)
    assert world.forwarder.table.claims_of(1) == []
    world.client_sends(RTP, VICTIM)
    assert sessions_that_got(second, RTP) == [3]


@pytest.mark.parametrize("message_type", [0x0111, None])
def test_only_a_success_response_to_its_check_is_a_proof_that_we_witness(world, kit, message_type):
    """An error response is what a victim's browser answers to the check of a stranger's transceiver."""
    first, second = world.transceivers
    world.call(first, 1, VICTIM)
    world.call(first, 2, VICTIM)
    world.client_sends(second.request(3), VICTIM)
    world.transceiver_sends(second, 3, VICTIM, kit.stun(0x0001, b"c" * 12), validated=False)
    if message_type is not None:
        world.client_sends(kit.stun(message_type, b"c" * 12), VICTIM)
    world.transceiver_sends(second, 3, VICTIM, b"x", validated=True)
    assert world.forwarder.table.claims_of(3) == []


def test_a_witnessed_proof_is_one_for_some_seconds(world, kit):
    first, second = world.transceivers
    world.client_sends(second.request(3), VICTIM)
    world.transceiver_sends(second, 3, VICTIM, kit.stun(0x0001, b"c" * 12), validated=False)
    world.client_sends(kit.stun(0x0101, b"c" * 12), VICTIM)
    world.pass_time(5.0)
    world.call(first, 1, VICTIM)
    world.call(first, 2, VICTIM)
    world.transceiver_sends(second, 3, VICTIM, b"x", validated=True)
    assert world.forwarder.table.claims_of(3) == []


# Lock-out.


def test_a_victim_whose_address_is_full_of_spoofed_claims_still_gets_its_call(world, kit):
    """Request, the transceiver's check and its answer, proof, DTLS: with both places taken, again and again."""
    victims, attackers = world.transceivers
    spoofed = [attackers.request(ATTACKERS), attackers.request(ATTACKERS2)]

    def flood():
        for request in spoofed:
            world.client_sends(request, VICTIM)

    flood()
    request = victims.request(VICTIMS)
    world.client_sends(request, VICTIM)
    assert sessions_that_got(victims, request) == [VICTIMS]
    assert world.forwarder.counts["unclaimed"] == 1
    flood()
    check, answer = kit.stun(0x0001, b"c" * 12), kit.stun(0x0101, b"c" * 12)
    world.received_by_clients()
    world.transceiver_sends(victims, VICTIMS, VICTIM, check, validated=False)
    assert world.received_by_clients() == [(check, VICTIM, 1)]
    flood()
    world.client_sends(answer, VICTIM)
    assert sessions_that_got(victims, answer) == [VICTIMS]
    world.transceiver_sends(victims, VICTIMS, VICTIM, DTLS, validated=True)
    flood()
    attackers.received.clear()
    world.client_sends(DTLS, VICTIM)
    assert sessions_that_got(victims, DTLS) == [VICTIMS]
    assert sessions_that_got(attackers, DTLS) == []


def test_a_victim_is_not_locked_out_by_failures_in_its_name(world, kit):
    """The budget thins a source that fails; a client that asks again gets through."""
    victims, _ = world.transceivers
    forged = kit.binding_request("forged" * 8, "x" * 32)
    for _ in range(500):
        world.client_sends(forged, (VICTIM[0], 1))
    request = victims.request(VICTIMS)
    tries = 0
    while not victims.received:
        world.client_sends(forged, (VICTIM[0], 1))
        world.client_sends(request, VICTIM)
        tries += 1
        assert tries <= 10 * SAMPLE
    assert sessions_that_got(victims, request) == [VICTIMS]


def test_a_call_that_exists_does_not_feel_failures_in_its_name(world, kit):
    victims, _ = world.transceivers
    world.call(victims, VICTIMS, VICTIM)
    forged = kit.binding_request("forged" * 8, "x" * 32)
    for _ in range(200):
        world.client_sends(forged, VICTIM)
    request = victims.request(VICTIMS)
    for _ in range(20):
        world.client_sends(RTP, VICTIM)
        world.client_sends(request, VICTIM)
    assert sessions_that_got(victims, RTP) == [VICTIMS] * 20
    for _ in range(20):
        world.client_sends(request, VICTIM)
    assert sessions_that_got(victims, request) == [VICTIMS] * 20


# Replay.


def test_a_request_replayed_from_another_address_moves_nothing(world):
    victims, _ = world.transceivers
    world.call(victims, VICTIMS, VICTIM)
    attacker = ("203.0.113.66", 6)
    request = victims.request(VICTIMS)
    world.client_sends(request, attacker)
    # Only the transceiver can tell, by its transaction; here it makes a claim that is never proven.
    ((header, _),) = victims.received
    assert header.client == attacker
    victims.received.clear()
    world.client_sends(RTP, VICTIM)
    assert [header.client for header, _ in victims.received] == [VICTIM]
    assert len(world.forwarder.table) == 2
    world.transceiver_sends(victims, VICTIMS, VICTIM, b"x", validated=True)
    world.pass_time(5.0)
    assert len(world.forwarder.table) == 1
    world.client_sends(RTP, attacker)
    assert world.forwarder.drops == {DropReason.NO_FLOW: 1}


def test_a_replay_from_many_addresses_takes_eight_places_at_most_and_leaves_the_call(world):
    victims, _ = world.transceivers
    world.call(victims, VICTIMS, VICTIM)
    request = victims.request(VICTIMS)
    for port in range(200):
        world.client_sends(request, ("203.0.113.66", port))
        world.now += 0.02
    assert len(world.forwarder.table) == 8
    victims.received.clear()
    world.client_sends(RTP, VICTIM)
    assert sessions_that_got(victims, RTP) == [VICTIMS]
    # What is proven needs no free place.
    moved = ("203.0.113.7", 7)
    world.transceiver_sends(victims, VICTIMS, moved, b"x", validated=True)
    world.client_sends(RTP, moved)
    assert sessions_that_got(victims, RTP) == [VICTIMS]
    assert len(world.forwarder.table) == 8


# Lives.


def test_an_unproven_claim_lives_five_seconds_however_often_its_requests_come(world):
    first, _ = world.transceivers
    world.client_sends(first.request(1), VICTIM)
    for _ in range(49):
        world.now += 0.1
        world.client_sends(first.request(1), VICTIM)
    assert world.forwarder.counts["claimed"] == 1
    world.now += 0.2
    world.client_sends(RTP, VICTIM)  # the hot path looks at no clock; the timer does
    world.forwarder.handle_timeout(world.now)
    world.client_sends(RTP, VICTIM)
    assert world.forwarder.drops == {DropReason.NO_FLOW: 1}


def test_decisions_do_not_wait_for_the_timer(world):
    victims, attackers = world.transceivers
    world.client_sends(attackers.request(ATTACKERS), VICTIM)
    world.client_sends(attackers.request(ATTACKERS2), VICTIM)
    world.now += 5.0
    world.client_sends(victims.request(VICTIMS), VICTIM)
    assert world.forwarder.counts["unclaimed"] == 0
    assert world.claim(VICTIMS).state is ClaimState.UNPROVEN
    assert len(world.forwarder.table) == 1


def test_what_its_transceiver_sends_keeps_a_claim_but_does_not_let_it_win(world):
    """It goes on for 30 s to a client that has vanished; and a client that sends media and no STUN has no rival."""
    first, second = world.transceivers
    world.call(first, 1, VICTIM)
    for _ in range(20):
        world.pass_time(9.0)
        world.transceiver_sends(first, 1, VICTIM, b"x", validated=True)
    assert world.claim(1).state is ClaimState.QUIET
    world.client_sends(RTP, VICTIM)
    assert sessions_that_got(first, RTP) == [1]
    world.call(second, 2, VICTIM)
    world.client_sends(RTP, VICTIM)
    assert (sessions_that_got(first, RTP), sessions_that_got(second, RTP)) == ([], [2])
    world.pass_time(30.0)
    assert world.forwarder.table.claims_of(1) == []


def test_what_the_client_sends_keeps_no_claim_alive(world):
    first, _ = world.transceivers
    world.call(first, 1, VICTIM)
    for _ in range(31):
        world.pass_time(1.0)
        world.forwarder.receive_from_client(RTP, VICTIM, 1, world.now, world.unix_time)
        world.transceiver_sends(first, 1, VICTIM, b"x", validated=False)
    assert len(world.forwarder.table) == 0
    assert world.forwarder.table.flow_count == 0


def test_verified_requests_keep_a_proven_claim(world):
    first, _ = world.transceivers
    world.call(first, 1, VICTIM)
    for _ in range(20):
        world.pass_time(2.5)
        world.client_sends(first.request(1), VICTIM)
    assert world.claim(1).state is ClaimState.PROVEN


def test_a_silent_claim_yields_after_ten_seconds_and_goes_after_thirty(world):
    first, second = world.transceivers
    world.call(first, 1, VICTIM)
    world.pass_time(9.0)
    world.client_sends(second.request(2), VICTIM)
    world.client_sends(RTP, VICTIM)
    assert sessions_that_got(first, RTP) == [1]
    second.received.clear()
    world.pass_time(1.0)
    world.client_sends(RTP, VICTIM)
    assert (sessions_that_got(first, RTP), sessions_that_got(second, RTP)) == ([1], [2])
    world.transceiver_sends(second, 2, VICTIM, b"proof", validated=True)
    world.client_sends(RTP, VICTIM)
    assert (sessions_that_got(first, RTP), sessions_that_got(second, RTP)) == ([], [2])
    world.pass_time(19.0)
    assert len(world.forwarder.table.claims_of(1)) == 1
    world.pass_time(1.0)
    assert len(world.forwarder.table.claims_of(1)) == 0


def test_a_silent_claim_wins_again_when_its_client_speaks_and_not_when_its_transceiver_does(world):
    first, second = world.transceivers
    world.call(first, 1, VICTIM)
    world.pass_time(10.0)
    world.client_sends(second.request(2), VICTIM)
    world.transceiver_sends(first, 1, VICTIM, b"back", validated=True)
    second.received.clear()
    world.client_sends(RTP, VICTIM)
    assert (sessions_that_got(first, RTP), sessions_that_got(second, RTP)) == ([1], [2])
    world.client_sends(first.request(1), VICTIM)
    first.received.clear()
    world.client_sends(RTP, VICTIM)
    assert (sessions_that_got(first, RTP), sessions_that_got(second, RTP)) == ([1], [])


def test_a_third_session_takes_the_place_of_a_silent_one(world):
    first, second = world.transceivers
    world.call(first, 1, VICTIM)
    world.call(first, 2, VICTIM)
    for _ in range(11):
        world.client_sends(first.request(2), VICTIM)
        world.pass_time(1.0)
    world.client_sends(second.request(3), VICTIM)
    assert world.forwarder.table.claims_of(1) == []
    first.received.clear()
    assert world.claim(3).state is ClaimState.UNPROVEN
    world.client_sends(RTP, VICTIM)
    assert sessions_that_got(first, RTP) == [2]


def test_of_two_that_are_proven_none_yields_to_the_mere_word_for_a_third(world):
    first, second = world.transceivers
    world.call(first, 1, VICTIM)
    world.call(first, 2, VICTIM)
    world.client_sends(second.request(3), VICTIM)
    world.transceiver_sends(second, 3, VICTIM, b"x", validated=True)
    assert world.forwarder.table.claims_of(3) == []
    world.client_sends(RTP, VICTIM)
    assert sessions_that_got(first, RTP) == [1, 2]


# Budgets.


def forge(kit, number):
    return kit.binding_request(f"forged{number}" + "A" * 40, "x" * 32)


def test_a_source_that_fails_is_thinned_and_forgotten(world, kit):
    for number in range(FAILURES + 800):
        world.client_sends(forge(kit, number), ("192.0.2.9", number))
    drops = world.forwarder.drops
    verified = drops[DropReason.FORGED_TOKEN] - FAILURES
    assert 0.5 < verified / (800 / SAMPLE) < 1.5
    assert drops[DropReason.SOURCE_BUDGET] == 800 - verified
    world.now += 10.0
    thinned = drops[DropReason.SOURCE_BUDGET]
    for number in range(FAILURES):
        world.client_sends(forge(kit, number), ("192.0.2.9", 1))
    assert drops[DropReason.SOURCE_BUDGET] == thinned


def test_who_sends_in_step_with_the_victim_cannot_use_up_the_sample(world, kit):
    """Any rhythm of forged requests in front of the victim's leaves it its chance."""
    for rhythm in range(1, 2 * SAMPLE + 1):
        victims, _ = world.transceivers
        client = (f"192.0.2.{rhythm}", 1)
        for number in range(FAILURES):
            world.client_sends(forge(kit, number), client)
        for _ in range(10 * SAMPLE):
            for number in range(rhythm):
                world.client_sends(forge(kit, number), client)
            world.client_sends(victims.request(rhythm), client)
        assert sessions_that_got(victims, victims.request(rhythm))


@pytest.mark.parametrize(
    ("other", "is_same_source"),
    [(("192.0.2.10", 1), False), (("2001:db8:0:1:ffff::2", 1), True), (("2001:db8:0:2::1", 1), False)],
)
def test_a_source_is_an_ipv4_address_or_a_64(world, kit, other, is_same_source):
    one = ("2001:db8:0:1::1", 1) if ":" in other[0] else ("192.0.2.9", 1)
    for number in range(FAILURES):
        world.client_sends(forge(kit, number), one)
    for number in range(FAILURES):
        world.client_sends(forge(kit, number), other)
    assert (world.forwarder.drops[DropReason.SOURCE_BUDGET] > FAILURES // 2) == is_same_source


@pytest.mark.parametrize("kind", ["forged", "expired", "future", "integrity"])
def test_every_kind_of_failure_counts(world, kit, kind):
    first, _ = world.transceivers
    data = {
        "forged": forge(kit, 1),
        "expired": first.request(1, minted=kit.unix_time - 8000),
        "future": first.request(1, minted=kit.unix_time + 1000),
        "integrity": kit.binding_request(first.mint(1), "x" * 32),
    }[kind]
    for _ in range(FAILURES):
        world.client_sends(data, VICTIM)
    assert world.forwarder.drops[DropReason.SOURCE_BUDGET] == 0
    for _ in range(FAILURES):
        world.client_sends(data, VICTIM)
    assert world.forwarder.drops[DropReason.SOURCE_BUDGET] > FAILURES // 2


def test_a_token_that_fails_from_many_sources_is_thinned(world, kit):
    """Each source fails but once; to verify integrity costs most, so the token's session is held to it."""
    first, _ = world.transceivers
    wrong = kit.binding_request(first.mint(7), "x" * 32)
    for number in range(FAILURES + 800):
        world.client_sends(wrong, (f"10.{number >> 8}.{number & 255}.1", 1))
    drops = world.forwarder.drops
    verified = drops[DropReason.BAD_INTEGRITY] - FAILURES
    assert 0.5 < verified / (800 / SAMPLE) < 1.5
    assert drops[DropReason.TOKEN_FAILURES] == 800 - verified
    # Other sessions do not feel it, and it is forgotten.
    world.client_sends(first.request(8), VICTIM)
    assert sessions_that_got(first, first.request(8)) == [8]
    world.now += 10.0
    for number in range(FAILURES):
        world.client_sends(wrong, (f"10.9.{number}.1", 1))
    assert drops[DropReason.TOKEN_FAILURES] == 800 - verified


def test_a_victim_whose_token_somebody_else_fails_with_keeps_its_call_and_gets_to_a_new_address(world, kit):
    victims, _ = world.transceivers
    world.call(victims, VICTIMS, VICTIM)
    wrong, request = kit.binding_request(victims.mint(VICTIMS), "x" * 32), victims.request(VICTIMS)
    for number in range(500):
        world.client_sends(wrong, (f"10.0.{number & 255}.{number >> 8}", 1))
    world.client_sends(RTP, VICTIM)
    world.client_sends(request, VICTIM)
    assert sessions_that_got(victims, RTP) == [VICTIMS]
    moved, tries = ("192.0.2.9", 9), 0
    while not victims.received:
        world.client_sends(wrong, ("203.0.113.66", tries))
        world.client_sends(request, moved)
        tries += 1
        assert tries <= 10 * SAMPLE
    assert sessions_that_got(victims, request) == [VICTIMS]


def test_in_no_second_does_a_session_get_more_than_four_addresses(world):
    """Wherever the second begins: five in a row always take at least one."""
    first, _ = world.transceivers
    request, granted = first.request(7), []
    for port in range(200):
        before = world.forwarder.counts["claimed"]
        world.client_sends(request, ("192.0.2.1", port))
        if world.forwarder.counts["claimed"] > before:
            granted.append(world.now)
        world.now += 0.09
    assert len(granted) > 10
    assert all(later - earlier >= 1.0 for earlier, later in zip(granted, granted[4:], strict=False))


def test_budgets_are_bounded(world, kit, monkeypatch):
    monkeypatch.setattr("relay.budgets.MAX_RECORDS", 10)
    for number in range(50):
        world.client_sends(forge(kit, number), (f"192.0.2.{number}", 1))
    assert len(world.forwarder.admission._failures_by_source._window.counts) == 10
    assert world.forwarder.drops == {DropReason.FORGED_TOKEN: 50}


def test_new_addresses_are_counted_for_few_sessions_and_for_a_second(monkeypatch):
    monkeypatch.setattr("relay.budgets.MAX_RECORDS", 10)
    budget = NewAddressBudget()
    for session in range(50):
        for _ in range(NEW_ADDRESSES):
            budget.spend(session, 1.0)
    assert [budget.is_spent(session, 1.0) for session in range(50)] == [False] * 40 + [True] * 10
    budget.spend(50, 1.0 + NEW_ADDRESS_WINDOW)
    assert not budget.is_spent(49, 1.0 + NEW_ADDRESS_WINDOW)
    assert len(budget._times) == 1


def test_an_address_with_a_zone_has_a_budget_too(world, kit):
    for number in range(2 * FAILURES):
        world.client_sends(forge(kit, number), ("fe80::1%eth0", 1))
    assert world.forwarder.drops[DropReason.SOURCE_BUDGET] > FAILURES // 2
