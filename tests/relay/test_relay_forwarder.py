"""The forwarder: what is forwarded, what is dropped, and every reason."""

import pytest

from relay.drops import DropReason
from relay.flows import TICK, ClaimState
from relay.hop.header import UP, pack_header
from relay.hop.keys import HopKeys
from relay.hop.links import TransceiverLink
from relay.tags import FlowTags
from relay.transactions import LIFE as TRANSACTION_LIFE
from relay.udp import MAX_DATAGRAM
from stun.credentials import CredentialKey, CredentialKeys, Route
from wire.errors import LocalProtocolError

CLIENT = ("192.0.2.1", 40000)
CLIENT6 = ("2001:db8::1", 40000)
STRANGER = ("198.51.100.9", 666)
RTP = b"\x80\x6f media"
DTLS = b"\x16\xfe\xfd hello"
BINDING_RESPONSE, BINDING_ERROR, BINDING_INDICATION = 0x0101, 0x0111, 0x0011


def only_drop(world, reason):
    """The one thing that was dropped, and that nothing was forwarded."""
    assert world.forwarder.drops == {reason: 1}
    assert world.forwarder.to_transceivers == []
    assert all(transceiver.received == [] for transceiver in world.transceivers)
    assert world.received_by_clients() == []


# Routing.


@pytest.mark.parametrize("client", [CLIENT, CLIENT6], ids=["ipv4", "ipv6"])
def test_a_request_goes_where_its_token_says_with_the_true_address(world, client):
    first, second = world.transceivers
    request = second.request(session=7)
    world.client_sends(request, client, ingress=2)
    assert first.received == []
    ((header, payload),) = second.received
    assert payload == request
    assert (header.client, header.ingress, header.session, header.generation) == (client, 2, 7, 0)
    assert header.direction == UP
    assert not world.forwarder.drops


@pytest.mark.parametrize("data", [RTP, DTLS, b"\x80", b"\xbf\xc8rtcp"], ids=["rtp", "dtls", "one-byte", "rtcp"])
@pytest.mark.parametrize("client", [CLIENT, CLIENT6], ids=["ipv4", "ipv6"])
def test_everything_else_follows_the_claim(world, data, client):
    first, _ = world.transceivers
    world.client_sends(first.request(7), client)
    first.received.clear()
    world.client_sends(data, client)
    assert first.payloads() == [data]


@pytest.mark.parametrize("message_type", [BINDING_RESPONSE, BINDING_ERROR, BINDING_INDICATION])
def test_stun_that_is_no_request_follows_the_claim(world, kit, message_type):
    first, _ = world.transceivers
    world.client_sends(first.request(7), CLIENT)
    first.received.clear()
    message = kit.stun(message_type, b"i" * 12)
    world.client_sends(message, CLIENT)
    assert first.payloads() == [message]


@pytest.mark.parametrize("client", [CLIENT, CLIENT6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("validated", [False, True])
def test_the_way_back_leads_to_the_client_from_the_ingress_it_asked(world, client, validated):
    first, _ = world.transceivers
    world.client_sends(first.request(7), client, ingress=2)
    world.transceiver_sends(first, 7, client, b"answer", validated=validated, ingress=2)
    world.transceiver_sends(first, 7, client, b"", validated=validated, ingress=2)
    assert world.received_by_clients() == [(b"answer", client, 2), (b"", client, 2)]


def test_the_same_client_at_two_ingresses_is_two_flows(world):
    first, _ = world.transceivers
    world.client_sends(first.request(7), CLIENT, ingress=1)
    world.client_sends(first.request(8), CLIENT, ingress=2)
    first.received.clear()
    world.client_sends(RTP, CLIENT, ingress=2)
    assert [header.session for header, _ in first.received] == [8]
    assert world.forwarder.table.flow_count == 2


def test_a_client_that_changes_its_address_needs_one_request(world):
    first, _ = world.transceivers
    world.call(first, 7, CLIENT)
    moved = ("203.0.113.5", 9999)
    world.client_sends(RTP, moved)
    assert first.payloads() == []
    request = first.request(7)
    world.client_sends(request, moved)
    world.client_sends(RTP, moved)
    assert first.payloads() == [request, RTP]


# Drops: clients.


@pytest.mark.parametrize("data", [RTP, DTLS, b"\x80", b"\x16"], ids=["rtp", "dtls", "one-byte", "one-byte-dtls"])
def test_media_from_an_unknown_address_is_dropped(world, data):
    world.client_sends(data, STRANGER)
    only_drop(world, DropReason.NO_FLOW)


@pytest.mark.parametrize("message_type", [BINDING_RESPONSE, BINDING_INDICATION])
def test_stun_responses_from_an_unknown_address_are_dropped(world, kit, message_type):
    world.client_sends(kit.stun(message_type, b"i" * 12), STRANGER)
    only_drop(world, DropReason.NO_FLOW)


def test_a_flow_at_one_ingress_is_none_at_another(world):
    world.call(world.transceivers[0], 7, CLIENT)
    world.client_sends(RTP, CLIENT, ingress=2)
    only_drop(world, DropReason.NO_FLOW)


def test_an_empty_datagram_is_dropped(world):
    world.call(world.transceivers[0], 7, CLIENT)
    world.client_sends(b"", CLIENT)
    only_drop(world, DropReason.EMPTY)


@pytest.mark.parametrize("size", [MAX_DATAGRAM + 1, 65_507])
def test_a_datagram_too_long_is_dropped_before_it_is_looked_at(world, size):
    world.call(world.transceivers[0], 7, CLIENT)
    world.client_sends(b"\x80" * size, CLIENT)
    only_drop(world, DropReason.TOO_LONG)


def test_the_longest_datagram_passes(world):
    first, _ = world.transceivers
    world.call(first, 7, CLIENT)
    world.client_sends(b"\x80" * MAX_DATAGRAM, CLIENT)
    assert first.payloads() == [b"\x80" * MAX_DATAGRAM]


@pytest.mark.parametrize("first_byte", [4, 15, 19, 64, 127, 192, 255])
def test_other_protocols_are_dropped_also_from_a_known_address(world, first_byte):
    world.call(world.transceivers[0], 7, CLIENT)
    world.client_sends(bytes((first_byte,)) * 20, CLIENT)
    only_drop(world, DropReason.NOT_OURS)


@pytest.mark.parametrize("message_type", [0x0003, 0x0200, 0x0103, 0x0113, 0x0016])
def test_stun_that_ice_has_no_use_for_is_dropped(world, kit, message_type):
    world.call(world.transceivers[0], 7, CLIENT)
    world.client_sends(kit.stun(message_type, b"i" * 12), CLIENT)
    only_drop(world, DropReason.NOT_OURS)


def test_a_single_byte_of_stun_is_dropped(world):
    world.client_sends(b"\x00", CLIENT)
    only_drop(world, DropReason.NOT_OURS)


def test_a_request_without_a_username_is_dropped(world, kit):
    world.client_sends(kit.stun(0x0001, b"i" * 12), CLIENT)
    only_drop(world, DropReason.NO_USERNAME)


def test_a_truncated_request_is_dropped(world):
    world.client_sends(world.transceivers[0].request(7)[:40], CLIENT)
    only_drop(world, DropReason.NO_USERNAME)


def foreign(kit, world):
    keys = CredentialKeys([CredentialKey(key_id=0, token=b"x" * 64, ice_pwd=b"p" * 32)], 0)
    ufrag = keys.mint(Route(cluster=1, incarnation=100, worker=0, session=7, minted=kit.unix_time))
    return ufrag, keys.password(ufrag)


def retired(kit, world):
    keys = CredentialKeys([CredentialKey(key_id=9, token=bytes(range(64)), ice_pwd=b"p" * 32)], 9)
    ufrag = keys.mint(Route(cluster=1, incarnation=100, worker=0, session=7, minted=kit.unix_time))
    return ufrag, keys.password(ufrag)


def forged(kit, world):
    ufrag = world.transceivers[0].mint(7)
    ufrag = ufrag[:20] + ("A" if ufrag[20] != "A" else "B") + ufrag[21:]
    return ufrag, kit.credentials.password(ufrag)


def truncated(kit, world):
    ufrag = world.transceivers[0].mint(7)[:-1]
    return ufrag, kit.credentials.password(ufrag)


@pytest.mark.parametrize("make", [foreign, retired, forged, truncated])
def test_a_token_that_no_key_of_ours_has_made_is_refused(world, kit, make):
    world.client_sends(kit.binding_request(*make(kit, world)), CLIENT)
    only_drop(world, DropReason.FORGED_TOKEN)
    assert len(world.forwarder.table) == 0


@pytest.mark.parametrize(
    ("age", "reason"),
    [(7200, None), (7201, DropReason.EXPIRED_TOKEN), (-120, None), (-121, DropReason.FUTURE_TOKEN)],
)
def test_a_token_has_an_age(world, kit, age, reason):
    first, _ = world.transceivers
    world.client_sends(first.request(7, minted=kit.unix_time - age), CLIENT)
    if reason is None:
        assert len(first.received) == 1
    else:
        only_drop(world, reason)


def test_a_known_token_expires_too(world, kit):
    first, _ = world.transceivers
    request = first.request(7, minted=kit.unix_time - 7199)
    world.client_sends(request, CLIENT)
    world.client_sends(request, CLIENT)
    assert first.payloads() == [request] * 2
    world.now += 2.0
    world.client_sends(request, CLIENT)
    only_drop(world, DropReason.EXPIRED_TOKEN)


def test_a_request_with_another_password_is_refused_and_makes_nothing(world, kit):
    ufrag = world.transceivers[0].mint(7)
    world.client_sends(kit.binding_request(ufrag, "x" * 32), CLIENT)
    only_drop(world, DropReason.BAD_INTEGRITY)
    assert len(world.forwarder.table) == 0
    world.client_sends(RTP, CLIENT)
    assert world.forwarder.drops[DropReason.NO_FLOW] == 1


def test_integrity_is_verified_for_every_new_address_and_ingress(world, kit):
    first, _ = world.transceivers
    world.call(first, 7, CLIENT)
    wrong = kit.binding_request(first.mint(7), "x" * 32)
    for client, ingress in ((("192.0.2.1", 40001), 1), (("192.0.2.2", 40000), 1), (CLIENT, 2)):
        world.client_sends(wrong, client, ingress)
    assert world.forwarder.drops == {DropReason.BAD_INTEGRITY: 3}
    assert first.received == []


def test_a_known_pair_is_verified_again_after_silence(world, kit):
    first, _ = world.transceivers
    world.call(first, 7, CLIENT)
    wrong = kit.binding_request(first.mint(7), "x" * 32)
    world.client_sends(wrong, CLIENT)  # for the transceiver to refuse
    assert first.payloads() == [wrong]
    world.now += 6.0
    world.client_sends(wrong, CLIENT)
    only_drop(world, DropReason.BAD_INTEGRITY)
    world.client_sends(first.request(7), CLIENT)
    assert first.payloads() == [first.request(7)]
    assert world.claim(7).heard * TICK == world.now


def test_a_known_pair_whose_key_has_retired_is_refused(world):
    first, _ = world.transceivers
    world.call(first, 7, CLIENT)
    world.forwarder.admission.credentials = CredentialKeys(
        [CredentialKey(key_id=1, token=b"y" * 64, ice_pwd=b"q" * 32)], 1
    )
    world.client_sends(first.request(7), CLIENT)
    only_drop(world, DropReason.FORGED_TOKEN)


def test_two_key_ids_are_valid_at_a_time_and_a_retired_one_is_not(world, kit):
    """A relay reads with a new key before anyone writes with it, and with the old one while its tokens live."""
    first, _ = world.transceivers
    old = CredentialKey(key_id=0, token=bytes(range(64)), ice_pwd=b"p" * 32)
    new = CredentialKey(key_id=1, token=b"y" * 64, ice_pwd=b"q" * 32)
    minter = CredentialKeys([old, new], 1)
    ufrag = minter.mint(Route(cluster=1, incarnation=100, worker=0, session=8, minted=kit.unix_time))
    with_new = kit.binding_request(ufrag, minter.password(ufrag))
    world.forwarder.admission.credentials = CredentialKeys([old, new], 0)
    for request in (first.request(7), with_new):
        world.client_sends(request, CLIENT)
        assert first.payloads() == [request]
    world.forwarder.admission.credentials = CredentialKeys([new], 1)
    world.client_sends(first.request(7), ("192.0.2.1", 2))
    only_drop(world, DropReason.FORGED_TOKEN)
    world.client_sends(with_new, ("192.0.2.1", 2))
    assert first.payloads() == [with_new]


def test_a_transceiver_that_is_not_linked_is_unknown(world, kit):
    ufrag = kit.credentials.mint(Route(cluster=1, incarnation=999, worker=0, session=7, minted=kit.unix_time))
    world.client_sends(kit.binding_request(ufrag, kit.credentials.password(ufrag)), CLIENT)
    only_drop(world, DropReason.UNKNOWN_TRANSCEIVER)


def test_an_address_with_a_zone_cannot_be_forwarded(world):
    world.client_sends(world.transceivers[0].request(7), ("fe80::1%eth0", 40000))
    only_drop(world, DropReason.UNSUPPORTED_SOURCE)


def test_a_session_may_show_up_at_four_new_addresses_a_second(world):
    first, _ = world.transceivers
    for port in range(5):
        world.client_sends(first.request(7), ("192.0.2.1", port))
    assert len(first.received) == 4
    assert world.forwarder.drops == {DropReason.TOKEN_RATE: 1}
    world.now += 1.0
    world.client_sends(first.request(7), ("192.0.2.1", 4))
    assert len(first.received) == 5


def test_a_session_may_claim_eight_addresses(world):
    first, _ = world.transceivers
    for port in range(9):
        world.client_sends(first.request(7), ("192.0.2.1", port))
        world.now += 0.5
    assert len(first.received) == 8
    assert world.forwarder.drops == {DropReason.TOKEN_ADDRESSES: 1}
    world.now += 2.0  # the first ones have run out
    world.client_sends(first.request(7), ("192.0.2.1", 8))
    assert len(first.received) == 9


def test_wrong_integrity_uses_up_no_session_of_others(world, kit):
    first, _ = world.transceivers
    wrong = kit.binding_request(first.mint(7), "x" * 32)
    for port in range(20):
        world.client_sends(wrong, (f"203.0.113.{port}", port))
    request = first.request(7)
    world.client_sends(request, CLIENT)
    assert first.payloads() == [request]


def test_a_full_table_sheds_what_is_new(make_world):
    world = make_world(max_claims=2)
    first, _ = world.transceivers
    world.call(first, 1, ("192.0.2.1", 1))
    world.call(first, 2, ("192.0.2.1", 2))
    world.client_sends(first.request(3), CLIENT)
    only_drop(world, DropReason.TABLE_FULL)
    for client in (("192.0.2.1", 1), ("192.0.2.1", 2)):
        world.client_sends(RTP, client)
    assert first.payloads() == [RTP, RTP]
    world.transceiver_sends(first, 3, CLIENT, b"proof", validated=True)
    assert len(world.forwarder.table) == 2
    assert world.received_by_clients() == [(b"proof", CLIENT, 1)]


def test_a_table_full_of_unproven_claims_keeps_no_call_out(make_world):
    world = make_world(max_claims=3)
    first, _ = world.transceivers
    for spoofed in range(3):
        world.client_sends(first.request(100 + spoofed), ("203.0.113.1", spoofed))
    first.received.clear()
    world.client_sends(first.request(3), CLIENT)
    assert len(first.received) == 1
    assert world.forwarder.counts["unclaimed"] == 1
    world.transceiver_sends(first, 3, CLIENT, b"proof", validated=True)
    assert len(world.forwarder.table) == 3
    first.received.clear()
    world.client_sends(RTP, CLIENT)
    assert first.payloads() == [RTP]
    world.client_sends(RTP, ("203.0.113.1", 0))  # the oldest of the unproven has stayed
    assert first.payloads() == [RTP]


# Drops: links that are down.


def test_flows_wait_for_a_link_that_is_down_and_go_on_when_it_is_back(world, kit):
    first, _ = world.transceivers
    world.call(first, 7, CLIENT)
    world.now += 10.0  # nobody has answered a HELLO
    world.forwarder.handle_timeout(world.now)
    assert world.forwarder.live_transceivers == 0
    for data, client in (
        (RTP, CLIENT),
        (kit.stun(BINDING_INDICATION, b"i" * 12), CLIENT),
        (first.request(8), ("192.0.2.1", 5)),
    ):
        world.forwarder.receive_from_client(data, client, 1, world.now, world.unix_time)
    assert world.forwarder.drops == {DropReason.LINK_DOWN: 2, DropReason.UNKNOWN_TRANSCEIVER: 1}
    world.pump()
    assert world.forwarder.live_transceivers == 2
    world.client_sends(RTP, CLIENT)
    assert first.payloads() == [RTP]


def test_a_restarted_transceiver_does_not_inherit_flows(world):
    first, _ = world.transceivers
    world.call(first, 7, CLIENT)
    first.incarnation = 555
    first.__attrs_post_init__()
    world.pass_time(2.0)
    world.client_sends(RTP, CLIENT)
    only_drop(world, DropReason.LINK_DOWN)
    world.transceiver_sends(first, 7, CLIENT, b"x", validated=True)
    assert world.forwarder.drops[DropReason.FOREIGN_TRANSCEIVER] == 1


def test_a_removed_transceiver_is_not_forwarded_to(world):
    first, second = world.transceivers
    world.call(first, 7, CLIENT)
    world.forwarder.set_peers([second.address], {}, world.now)
    world.client_sends(RTP, CLIENT)
    only_drop(world, DropReason.LINK_DOWN)
    world.transceiver_sends(first, 7, CLIENT, b"x", validated=True)
    assert world.forwarder.drops[DropReason.UNKNOWN_PEER] == 1


# Drops: the hop.


def test_a_stranger_on_the_hop_is_not_heard(world, kit):
    header = kit.down_header(7, CLIENT, validated=True)
    world.forwarder.receive_from_hop(header + b"x", STRANGER, world.now)
    only_drop(world, DropReason.UNKNOWN_PEER)


def test_a_stranger_is_not_heard_on_a_proven_flow_either(world, kit):
    world.call(world.transceivers[0], 7, CLIENT)
    header = kit.down_header(7, CLIENT, validated=True)
    world.forwarder.receive_from_hop(header + b"x", STRANGER, world.now)
    only_drop(world, DropReason.UNKNOWN_PEER)


@pytest.mark.parametrize("client", [CLIENT, CLIENT6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("validated", [False, True])
def test_a_transceiver_cannot_pick_an_address(world, kit, client, validated):
    """Neither with a made-up tag, nor with that of another address, port, session or ingress."""
    first, _ = world.transceivers
    world.call(first, 7, client)
    tag = kit.flow_tags.make(1, 7, client)
    attempts = [
        kit.down_header(7, client, validated=validated, tag=bytes(8)),
        kit.down_header(7, client, validated=validated, tag=tag[:7] + bytes((tag[7] ^ 1,))),
        kit.down_header(7, (client[0], client[1] + 1), validated=validated, tag=tag),
        kit.down_header(7, ("203.0.113.9", client[1]), validated=validated, tag=tag),
        kit.down_header(7, ("2001:db8::99", client[1]), validated=validated, tag=tag),
        kit.down_header(8, client, validated=validated, tag=tag),
        kit.down_header(7, client, validated=validated, tag=tag, ingress=2),
    ]
    for header in attempts:
        world.forwarder.receive_from_hop(header + b"x", first.address, world.now)
    world.pump()
    assert world.forwarder.drops == {DropReason.FORGED_TAG: len(attempts)}
    assert world.received_by_clients() == []
    assert len(world.forwarder.table) == 1


def test_an_ingress_that_we_do_not_have_is_refused(world, kit):
    header = kit.down_header(7, CLIENT, validated=True, ingress=3)
    world.forwarder.receive_from_hop(header + b"x", world.transceivers[0].address, world.now)
    only_drop(world, DropReason.UNKNOWN_INGRESS)


@pytest.mark.parametrize("noise", [b"", b"\x12", b"\x80" * 60, b"\x12\x02" + bytes(30)])
def test_noise_from_a_transceiver_is_refused(world, noise):
    world.forwarder.receive_from_hop(noise, world.transceivers[0].address, world.now)
    only_drop(world, DropReason.BAD_HEADER)


def test_an_up_header_from_a_transceiver_is_refused(world, kit):
    tag = kit.flow_tags.make(1, 7, CLIENT)
    header = pack_header(UP, ingress=1, client=CLIENT, session=7, tag=tag)
    world.forwarder.receive_from_hop(header + b"x", world.transceivers[0].address, world.now)
    only_drop(world, DropReason.BAD_HEADER)


def test_noise_that_looks_like_control_is_counted_by_the_links(world):
    world.forwarder.receive_from_hop(b"\x13" + bytes(60), world.transceivers[0].address, world.now)
    assert not world.forwarder.drops
    assert sum(world.forwarder.links.drops.values()) == 1


def test_another_transceiver_cannot_speak_for_a_session(world):
    first, second = world.transceivers
    world.call(first, 7, CLIENT)
    world.transceiver_sends(second, 7, CLIENT, b"x", validated=True)
    only_drop(world, DropReason.FOREIGN_TRANSCEIVER)
    world.client_sends(RTP, CLIENT)
    assert first.payloads() == [RTP]


def test_an_owner_of_before_is_not_heard(world, kit):
    first, second = world.transceivers
    world.call(first, 7, CLIENT)
    moved = kit.down_header(7, CLIENT, validated=True, generation=1)
    world.forwarder.receive_from_hop(moved + b"new", second.address, world.now)
    world.pump()
    assert world.received_by_clients() == [(b"new", CLIENT, 1)]
    world.client_sends(RTP, CLIENT)
    ((header, _),) = second.received
    assert header.generation == 1
    second.received.clear()
    world.transceiver_sends(first, 7, CLIENT, b"old", validated=True)
    only_drop(world, DropReason.STALE_GENERATION)


# A relay that has forgotten.


@pytest.mark.parametrize("client", [CLIENT, CLIENT6], ids=["ipv4", "ipv6"])
def test_a_relay_that_knows_nothing_answers_the_client_and_relearns_the_flow(make_world, client):
    world = make_world()
    first, _ = world.transceivers
    world.transceiver_sends(first, 7, client, b"media", validated=True)
    assert world.received_by_clients() == [(b"media", client, 1)]
    world.client_sends(RTP, client)
    ((header, payload),) = first.received
    assert (payload, header.session, header.client, header.ingress) == (RTP, 7, client, 1)


def test_an_unproven_path_is_answered_but_not_relearned(world):
    first, _ = world.transceivers
    world.transceiver_sends(first, 7, CLIENT, b"answer", validated=False)
    assert world.received_by_clients() == [(b"answer", CLIENT, 1)]
    world.client_sends(RTP, CLIENT)
    only_drop(world, DropReason.NO_FLOW)


def test_a_relearned_claim_still_verifies_the_first_request(world, kit):
    first, _ = world.transceivers
    world.transceiver_sends(first, 7, CLIENT, b"media", validated=True)
    world.client_sends(kit.binding_request(first.mint(7), "x" * 32), CLIENT)
    assert first.received == []
    assert world.forwarder.drops == {DropReason.BAD_INTEGRITY: 1}
    world.client_sends(first.request(7), CLIENT)
    assert first.payloads() == [first.request(7)]
    world.client_sends(kit.binding_request(first.mint(7), "x" * 32), CLIENT)  # for the transceiver to refuse
    assert len(first.payloads()) == 1
    assert len(world.forwarder.table) == 1


def test_a_verified_request_with_another_fragment_is_authentic_traffic(world, kit):
    first, _ = world.transceivers
    world.call(first, 7, CLIENT)
    for age in range(1, 20):
        world.pass_time(2.0)
        world.client_sends(first.request(7, minted=kit.unix_time - age), CLIENT)
    assert world.claim(7).state is ClaimState.PROVEN


def test_a_verified_request_does_not_prolong_an_unproven_claim(world, kit):
    first, _ = world.transceivers
    for age in range(5):
        world.client_sends(first.request(7, minted=kit.unix_time - age), CLIENT)
        world.pass_time(1.0)
    assert len(world.forwarder.table) == 0


def test_tags_of_another_relay_of_the_group_are_good(world, kit):
    """The key is the group's; each relay makes the same tag of the same flow."""
    first, _ = world.transceivers
    world.client_sends(first.request(7), CLIENT)
    ((header, _),) = first.received
    assert header.tag == FlowTags([b"f" * 32]).make(1, 7, CLIENT)


def test_tags_survive_a_new_key_while_the_old_one_is_kept(world):
    first, _ = world.transceivers
    world.forwarder.flow_tags = FlowTags([b"n" * 32, b"f" * 32])
    world.transceiver_sends(first, 7, CLIENT, b"media", validated=True)
    assert world.received_by_clients() == [(b"media", CLIENT, 1)]
    world.forwarder.flow_tags = FlowTags([b"n" * 32])
    world.transceiver_sends(first, 8, CLIENT, b"media", validated=True)
    only_drop(world, DropReason.FORGED_TAG)


def test_a_claim_follows_its_transceiver_to_a_tag_under_a_new_key(world, kit, monkeypatch):
    """Another relay of the group has the new key already, and has made the tag that the transceiver echoes now."""
    first, _ = world.transceivers
    world.call(first, 7, CLIENT)
    tags = world.forwarder.flow_tags = FlowTags([b"n" * 32, b"f" * 32])
    tag = tags.make(1, 7, CLIENT)
    assert world.claim(7).tag != tag
    renewed = kit.down_header(7, CLIENT, validated=True, tag=tag)
    world.forwarder.receive_from_hop(renewed + b"one", first.address, world.now)
    assert world.claim(7).tag == tag
    monkeypatch.setattr(world.forwarder.hop, "receive", None)  # from here on its datagrams are on a known path
    world.forwarder.receive_from_hop(renewed + b"two", first.address, world.now)
    world.client_sends(b"\x80three", CLIENT)
    assert world.received_by_clients() == [(b"one", CLIENT, 1), (b"two", CLIENT, 1)]
    assert [(header.tag, data) for header, data in first.received] == [(tag, b"\x80three")]
    assert len(world.forwarder.table.by_path) == 1


@pytest.mark.parametrize("keys", [[], [b"f" * 31], [b"f" * 32, b""]])
def test_flow_tags_need_real_keys(keys):
    with pytest.raises(LocalProtocolError):
        FlowTags(keys)


# GONE.


def test_gone_ends_the_claim_and_only_that(world):
    first, _ = world.transceivers
    world.call(first, 7, CLIENT)
    world.call(first, 8, ("192.0.2.1", 5))
    first.link.tell.gone(7, world.claim(7).tag, ("10.0.0.1", 4001))
    first.outgoing += first.link.datagrams_to_send(world.now)
    world.pump()
    assert world.forwarder.counts["gone"] == 1
    world.client_sends(RTP, CLIENT)
    only_drop(world, DropReason.NO_FLOW)
    world.client_sends(RTP, ("192.0.2.1", 5))
    assert first.payloads() == [RTP]


def test_gone_with_another_tag_or_from_another_transceiver_does_nothing(world):
    first, second = world.transceivers
    world.call(first, 7, CLIENT)
    relay = ("10.0.0.1", 4001)
    first.link.tell.gone(7, bytes(8), relay)
    second.link.tell.gone(7, world.claim(7).tag, relay)
    for transceiver in (first, second):
        transceiver.outgoing += transceiver.link.datagrams_to_send(world.now)
    world.pump()
    world.client_sends(RTP, CLIENT)
    assert first.payloads() == [RTP]
    assert world.forwarder.counts["gone"] == 0


# Links.


def test_links_of_other_fleets_do_not_come_up(world, kit):
    address = ("10.0.1.9", 5000)
    world.forwarder.set_peers([address], {}, world.now)
    stranger = TransceiverLink(
        keys=HopKeys.derive({1: b"x" * 32}, 1), cluster=1, incarnation=9, worker=0, entropy=kit.seeded(1), now=0.0
    )
    world.forwarder.handle_timeout(world.now)
    for data, _ in world.forwarder.to_transceivers:
        stranger.receive_control(data, kit.relay_address, world.now)
    assert list(stranger.datagrams_to_send(world.now)) == []
    assert world.forwarder.live_transceivers == 0


def test_time_is_asked_for_when_something_is_due(world):
    first, _ = world.transceivers
    world.client_sends(first.request(7), CLIENT)
    assert world.forwarder.next_timeout() == world.now + 1.0  # HELLO
    assert world.forwarder.table.next_timeout() == world.now + 5.0  # the claim
    world.pass_time(5.0)
    assert world.forwarder.table.next_timeout() is None


# Answers to the transceiver's own checks.


def test_an_answer_reaches_the_transceiver_that_asked_though_others_hold_the_claims(world, kit):
    first, second = world.transceivers
    world.call(first, 7, CLIENT)
    world.client_sends(second.request(8), CLIENT)
    request, answer = kit.stun(0x0001, b"i" * 12), kit.stun(BINDING_RESPONSE, b"i" * 12)
    world.transceiver_sends(second, 8, CLIENT, request, validated=False)
    first.received.clear(), second.received.clear()
    world.client_sends(answer, CLIENT)
    assert second.payloads() == [answer]
    assert first.payloads() == []


@pytest.mark.parametrize("change", ["transaction", "client", "ingress", "late"])
def test_an_answer_that_nobody_asked_for_follows_the_claim(world, kit, change):
    first, second = world.transceivers
    elsewhere = ("192.0.2.77", 1)
    world.call(first, 7, CLIENT)
    world.call(first, 9, elsewhere)
    world.client_sends(first.request(7), CLIENT, ingress=2)
    world.transceiver_sends(second, 8, CLIENT, kit.stun(0x0001, b"i" * 12), validated=False)
    first.received.clear()
    if change == "late":
        world.now += TRANSACTION_LIFE
    answer = kit.stun(BINDING_RESPONSE, b"j" * 12 if change == "transaction" else b"i" * 12)
    client = elsewhere if change == "client" else CLIENT
    world.client_sends(answer, client, ingress=2 if change == "ingress" else 1)
    assert second.payloads() == []
    assert first.payloads() == [answer]


def test_open_transactions_are_bounded_and_forgotten(world, kit, monkeypatch):
    first, _ = world.transceivers
    transactions = world.forwarder.stun.transactions
    monkeypatch.setattr(transactions._open, "_limit", 3)
    for number in range(5):
        request = kit.stun(0x0001, number.to_bytes(12, "big"))
        world.transceiver_sends(first, 7, CLIENT, request, validated=False)
    assert len(transactions) == 3
    world.client_sends(kit.stun(BINDING_RESPONSE, (4).to_bytes(12, "big")), CLIENT)
    world.client_sends(kit.stun(BINDING_RESPONSE, (1).to_bytes(12, "big")), CLIENT)
    assert len(first.payloads()) == 1
    world.now += TRANSACTION_LIFE
    world.transceiver_sends(first, 7, CLIENT, kit.stun(0x0001, b"i" * 12), validated=False)
    assert len(transactions) == 1


def test_every_drop_reason_is_asserted_here_or_with_the_claims(request):
    tests = "".join(path.read_text() for path in request.path.parent.glob("test_relay_*.py"))
    assert [reason.name for reason in DropReason if f"DropReason.{reason.name}" not in tests] == []


def test_proven_is_what_the_transceiver_says(world):
    first, _ = world.transceivers
    world.client_sends(first.request(7), CLIENT)
    assert world.claim(7).state is ClaimState.UNPROVEN
    world.transceiver_sends(first, 7, CLIENT, b"x", validated=False)
    assert world.claim(7).state is ClaimState.UNPROVEN
    world.transceiver_sends(first, 7, CLIENT, b"x", validated=True)
    assert world.claim(7).state is ClaimState.PROVEN
