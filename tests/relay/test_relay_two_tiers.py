"""Two tiers read one token: a global relay leads to the cluster, a relay of the cluster to the transceiver."""

import attrs
import pytest

from relay.drops import DropReason
from relay.forwarder import Forwarder, ForwarderOptions
from relay.hop.bundles import bundle_front
from relay.hop.drops import HopDropReason
from relay.hop.header import SEALED, UP, answering, generation_of, pack_header, up_header_of, with_generation
from relay.hop.links import FlowsAcknowledged, FlowsWanted
from relay.places import NO_CLUSTERS
from relay.whereabouts import Whereabouts

CLUSTER = 1
GLOBAL = ("198.18.0.1", 7000)
SECOND_GLOBAL = ("198.18.0.2", 7000)
INNER = ("10.1.0.1", 7000)
SECOND_INNER = ("10.1.0.2", 7000)
TRANSCEIVER = ("10.1.1.1", 7001)
SECOND_TRANSCEIVER = ("10.1.1.2", 7001)
CLIENTS = [("192.0.2.1", 40000), ("2001:db8::1", 40000)]
CLIENT = CLIENTS[0]
RTP, RTCP = b"\x80\x6f media", b"\x80\xc8 report"
START = 1000.0


@attrs.define(eq=False)
class Network:
    """Relays of both tiers and transceivers; everything between them is carried at once, or lost."""

    kit: object
    relays: dict = attrs.field(factory=dict)
    transceivers: dict = attrs.field(factory=dict)
    now: float = START
    to_clients: list = attrs.field(factory=list)
    carried: list = attrs.field(factory=list)
    unreachable: set = attrs.field(factory=set)

    def add_global(self, address=GLOBAL, *, sealed=False, inner=(INNER, SECOND_INNER), ingresses=(1, 2)):
        clusters = {CLUSTER: list(inner)}
        return self._add(address, ingresses, [], ForwarderOptions(hop_sealed=sealed), clusters)

    def add_inner(
        self,
        address=INNER,
        *,
        transceivers=(TRANSCEIVER, SECOND_TRANSCEIVER),
        cluster=CLUSTER,
        max_claims=100,
        sealed=False,
    ):
        options = ForwarderOptions(cluster=cluster, max_claims=max_claims, hop_sealed=sealed)
        return self._add(address, (), list(transceivers), options)

    def add_transceiver(self, address=TRANSCEIVER, incarnation=100):
        self.transceivers[address] = self.kit.transceiver(address, incarnation, self.now, cluster=CLUSTER)
        return self.transceivers[address]

    def _add(self, address, ingresses, transceivers, options, clusters=NO_CLUSTERS):
        kit = self.kit
        self.relays[address] = Forwarder(
            credentials=kit.credentials,
            hop_keys=kit.hop_keys,
            flow_tags=kit.flow_tags,
            ingresses=ingresses,
            transceivers=transceivers,
            entropy=kit.seeded(len(self.relays) + int(self.now)),
            now=self.now,
            options=options,
            clusters=clusters,
        )
        return self.relays[address]

    def pump(self):
        moved = True
        while moved:
            moved = False
            for address, relay in list(self.relays.items()):
                outgoing, relay.to_transceivers[:] = list(relay.to_transceivers), []
                for data, destination in outgoing:
                    moved = True
                    self._carry(data, address, destination)
                for ingress, datagrams in relay.to_clients.items():
                    self.to_clients += [(data, client, ingress, address) for data, client in datagrams]
                    datagrams.clear()
            for address, transceiver in self.transceivers.items():
                outgoing, transceiver.outgoing = transceiver.outgoing, []
                for data, destination in outgoing:
                    moved = True
                    self._carry(data, address, destination)

    def _carry(self, data, source, destination):
        self.carried.append((data, source, destination))
        if destination in self.unreachable or source in self.unreachable:
            return
        if destination in self.relays:
            self.relays[destination].receive_from_hop(data, source, self.now)
        elif destination in self.transceivers:
            self.transceivers[destination].receive(data, source, self.now)

    def pass_time(self, seconds):
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.25)
            for relay in self.relays.values():
                relay.handle_timeout(self.now)
            for transceiver in self.transceivers.values():
                transceiver.link.handle_timeout(self.now)
                transceiver.outgoing += transceiver.link.datagrams_to_send(self.now)
            self.pump()

    def client_sends(self, data, client=CLIENT, relay=GLOBAL, ingress=1):
        unix_time = self.kit.unix_time + self.now - START
        self.relays[relay].receive_from_client(data, client, ingress, self.now, unix_time)
        self.pump()

    def transceiver_sends(self, session, payload, client=CLIENT, *, validated=True, via=INNER, address=TRANSCEIVER):
        header = self.kit.down_header(session, client, validated=validated)
        self._carry(header + payload, address, via)
        self.pump()

    def received_by_clients(self):
        taken, self.to_clients = self.to_clients, []
        return taken

    def call(self, transceiver, session, client=CLIENT, via=INNER):
        """Bring a call to the point where its path is proven."""
        self.client_sends(transceiver.request(session), client)
        self.transceiver_sends(session, b"\x16proof", client, via=via, address=transceiver.address)
        transceiver.received.clear()
        self.to_clients.clear()


@pytest.fixture
def network(kit) -> Network:
    network = Network(kit)
    network.add_transceiver()
    network.add_inner()
    network.add_global()
    network.pass_time(2.0)
    return network


@pytest.mark.parametrize("client", CLIENTS, ids=["ipv4", "ipv6"])
def test_a_call_crosses_both_tiers_with_the_clients_true_address(network, client):
    transceiver = network.transceivers[TRANSCEIVER]
    request = transceiver.request(7)
    network.client_sends(request, client)
    ((header, payload),) = transceiver.received
    assert payload == request
    assert (header.client, header.ingress, header.session) == (client, 1, 7)
    transceiver.received.clear()

    network.transceiver_sends(7, b"\x16hello", client, validated=False)
    assert network.received_by_clients() == [(b"\x16hello", client, 1, GLOBAL)]
    network.client_sends(b"\x16answer", client)
    network.transceiver_sends(7, RTP, client)
    network.client_sends(RTCP, client)
    assert transceiver.payloads() == [b"\x16answer", RTCP]
    assert network.received_by_clients() == [(RTP, client, 1, GLOBAL)]
    assert not any(relay.drops for relay in network.relays.values())


def test_a_datagram_is_no_longer_on_one_hop_than_on_the_other(network):
    transceiver = network.transceivers[TRANSCEIVER]
    network.call(transceiver, 7)
    network.carried.clear()
    network.client_sends(RTP)
    network.transceiver_sends(7, RTP)
    up = {data for data, _, _ in network.carried if data[0] == UP}
    down = {data for data, _, _ in network.carried} - up
    assert len(up) == len(down) == 1
    assert [destination for _, _, destination in network.carried] == [INNER, TRANSCEIVER, INNER, GLOBAL]


def test_bundles_cross_both_tiers(network):
    transceiver = network.transceivers[TRANSCEIVER]
    tiers, inner = network.relays[GLOBAL], network.relays[INNER]
    headers = []
    for session, client in zip((7, 8), CLIENTS, strict=True):
        network.call(transceiver, session, client)
        headers.append(network.kit.down_header(session, client, validated=True))
    assert [tiers.hop.takes_bundles(each) for each in (INNER, TRANSCEIVER)] == [True, False]
    assert [inner.hop.takes_bundles(each) for each in (GLOBAL, TRANSCEIVER, SECOND_TRANSCEIVER)] == [True, True, False]
    down = [header + RTP for header in headers] * 2
    up = [up_header_of(header[2:]) + RTCP for header in headers] * 2
    for parts, source, destination in ((down, TRANSCEIVER, INNER), (down, INNER, GLOBAL), (up, GLOBAL, INNER)):
        network._carry(bundle_front([len(part) for part in parts]) + b"".join(parts), source, destination)
        network.pump()
    expected = [(RTP, client, 1, GLOBAL) for client in CLIENTS] * 2
    assert network.received_by_clients() == expected * 2
    assert transceiver.payloads() == [RTCP] * 4
    assert not any(relay.drops for relay in network.relays.values())
    network._carry(bundle_front([len(part) for part in up]) + b"".join(up), SECOND_GLOBAL, INNER)
    assert inner.drops == {DropReason.UNKNOWN_PEER: 1}


def test_a_link_between_the_tiers_can_be_sealed_while_the_cluster_is_plain(kit):
    network = Network(kit)
    transceiver = network.add_transceiver()
    network.add_inner()
    network.add_global(sealed=True)
    network.pass_time(2.0)
    network.call(transceiver, 7)
    network.carried.clear()
    network.client_sends(RTP)
    network.transceiver_sends(7, RTP)
    assert transceiver.payloads() == [RTP]
    assert [payload for payload, *_ in network.received_by_clients()] == [RTP]
    between = [data for data, source, destination in network.carried if GLOBAL in (source, destination)]
    assert [data[0] for data in between] == [SEALED, SEALED]
    # What is plain between the tiers is refused from then on.
    header = pack_header(UP, ingress=1, client=CLIENT, session=7, tag=kit.flow_tags.make(1, 7, CLIENT))
    network._carry(header + RTP, GLOBAL, INNER)
    assert network.relays[INNER].drops[DropReason.UNKNOWN_PEER] == 1
    assert transceiver.payloads() == []


def test_a_relay_of_the_cluster_can_have_both_its_sides_sealed(kit):
    network = Network(kit)
    transceiver = network.add_transceiver()
    network.add_inner(sealed=True)
    network.add_global()
    network.pass_time(2.0)
    network.call(transceiver, 7)
    network.carried.clear()
    network.client_sends(RTP)
    assert transceiver.payloads() == [RTP]
    assert [data[0] for data, _, _ in network.carried] == [SEALED, SEALED]


# What survives.


def test_a_relay_of_the_cluster_that_starts_again_forwards_without_waiting_for_stun(network):
    transceiver = network.transceivers[TRANSCEIVER]
    network.call(transceiver, 7)
    network.add_inner()
    transceiver.events.clear()
    network.pass_time(1.0)  # the global relay's next HELLO
    # It has told its transceivers at once which ingresses it serves now.
    (wanted,) = [each for each in transceiver.events if isinstance(each, FlowsWanted)]
    assert (wanted.address, wanted.ingresses) == (INNER, {1, 2})
    transceiver.link.tell.announce(INNER, [up_header(network.kit, 7)])
    transceiver.outgoing += transceiver.link.datagrams_to_send(network.now)
    network.pump()
    network.client_sends(RTP)
    assert transceiver.payloads() == [RTP]


def test_a_relay_of_the_cluster_relearns_a_path_from_what_goes_down_it(network):
    transceiver = network.transceivers[TRANSCEIVER]
    network.call(transceiver, 7)
    network.add_inner()
    network.pass_time(2.5)
    network.transceiver_sends(7, RTP)
    assert [payload for payload, *_ in network.received_by_clients()] == [RTP]
    network.client_sends(RTCP)
    assert transceiver.payloads() == [RTCP]


def test_a_global_relay_that_starts_again_is_told_of_the_paths(network):
    transceiver = network.transceivers[TRANSCEIVER]
    network.call(transceiver, 7)
    network.add_global()
    network.pass_time(2.0)
    network.client_sends(RTP)
    assert transceiver.payloads() == [RTP]


def test_another_global_relay_of_the_ingress_group_can_receive_the_next_packet(kit):
    network = Network(kit)
    transceiver = network.add_transceiver()
    network.add_inner()
    network.add_global()
    network.add_global(SECOND_GLOBAL)
    network.pass_time(2.0)
    network.call(transceiver, 7)
    network.client_sends(RTP, relay=SECOND_GLOBAL)
    assert transceiver.payloads() == [RTP]
    network.transceiver_sends(7, RTCP)
    assert network.received_by_clients() == [(RTCP, CLIENT, 1, SECOND_GLOBAL)]


def test_another_relay_of_the_cluster_takes_over_for_one_that_is_gone(kit):
    network = Network(kit)
    transceiver = network.add_transceiver()
    network.add_inner()
    network.add_inner(SECOND_INNER)
    network.add_global()
    network.pass_time(2.0)
    # Even sessions go through the first of two.
    network.call(transceiver, 8)
    assert network.relays[INNER].hop.cluster.paths.headers_of(8)
    network.unreachable.add(INNER)
    network.pass_time(11.0)
    network.client_sends(transceiver.request(8))
    assert len(transceiver.payloads()) == 1
    network.transceiver_sends(8, RTP, via=SECOND_INNER)
    network.client_sends(RTCP)
    assert [payload for payload, *_ in network.received_by_clients()] == [RTP]
    assert transceiver.payloads() == [RTCP]


def test_answers_go_to_another_of_the_group_when_the_relay_that_asked_is_gone(kit):
    network = Network(kit)
    transceiver = network.add_transceiver()
    network.add_inner()
    network.add_global()
    network.add_global(SECOND_GLOBAL)
    network.pass_time(2.0)
    network.call(transceiver, 7)
    del network.relays[GLOBAL]
    network.pass_time(31.0)
    network.transceiver_sends(7, RTP)
    assert network.received_by_clients() == [(RTP, CLIENT, 1, SECOND_GLOBAL)]


# What ends and moves.


def test_the_end_of_a_session_is_passed_on(network):
    transceiver = network.transceivers[TRANSCEIVER]
    network.call(transceiver, 7)
    up_header = pack_header(UP, ingress=1, client=CLIENT, session=7, tag=network.kit.flow_tags.make(1, 7, CLIENT))
    transceiver.link.tell.session_ended(7, [(up_header, INNER)])
    transceiver.outgoing += transceiver.link.datagrams_to_send(network.now)
    network.pump()
    assert len(network.relays[GLOBAL].table) == 0
    assert len(network.relays[INNER].hop.cluster.paths) == 0


def test_the_end_of_a_path_is_passed_on_and_other_paths_stay(network):
    transceiver = network.transceivers[TRANSCEIVER]
    first, second = CLIENTS
    network.call(transceiver, 7, first)
    network.call(transceiver, 7, second)
    transceiver.link.tell.gone(7, network.kit.flow_tags.make(1, 7, first), INNER)
    transceiver.outgoing += transceiver.link.datagrams_to_send(network.now)
    network.pump()
    assert [claim.client for claim in network.relays[GLOBAL].table.claims_of(7)] == [second]
    assert len(network.relays[INNER].hop.cluster.paths) == 1


def test_a_session_that_has_moved_is_led_to_its_new_owner(network):
    old = network.transceivers[TRANSCEIVER]
    new = network.add_transceiver(SECOND_TRANSCEIVER, 200)
    network.pass_time(2.0)
    network.call(old, 7)
    old.link.tell.session_moved(7, 1, (CLUSTER, 200, 0))
    old.outgoing += old.link.datagrams_to_send(network.now)
    network.pump()
    network.client_sends(RTP)
    ((header, payload),) = new.received
    assert (header.generation, payload) == (1, RTP)
    assert old.payloads() == []
    down_from(network, old, 0)
    assert network.received_by_clients() == []
    assert network.relays[INNER].drops == {DropReason.STALE_GENERATION: 1}


@pytest.fixture
def succession(network):
    """An owner whose session is taken over by another of its cluster, and that goes on sending."""
    old = network.transceivers[TRANSCEIVER]
    new = network.add_transceiver(SECOND_TRANSCEIVER, 200)
    network.pass_time(2.0)
    network.call(old, 7)
    return network, old, new


def down_from(network, transceiver, generation, payload=RTP, *, client=CLIENT, validated=True, session=7):
    header = answering(up_header(network.kit, session, client=client, generation=generation), validated=validated)
    network._carry(header + payload, transceiver.address, INNER)
    network.pump()


def take(network, transceiver, generation=1, *, session=7):
    waited_for = transceiver.link.tell.take_over(up_header(network.kit, session, generation=generation), INNER)
    assert waited_for == {INNER}
    transceiver.outgoing += transceiver.link.datagrams_to_send(network.now)
    network.pump()


def test_a_session_that_is_taken_over_is_known_on_both_tiers_at_once(succession):
    network, old, new = succession
    take(network, new)
    assert [each.headers for each in new.events if isinstance(each, FlowsAcknowledged)] == [
        (up_header(network.kit, 7, generation=1),)
    ]
    (claim,) = network.relays[GLOBAL].table.claims_of(7)
    assert (claim.generation, claim.place.address) == (1, INNER)
    network.client_sends(RTP)
    network.client_sends(old.request(7))
    network.client_sends(old.request(7), CLIENTS[1])
    assert [header.generation for header, _ in new.received] == [1, 1, 1]
    assert old.payloads() == []
    down_from(network, new, 1)
    assert [payload for payload, *_ in network.received_by_clients()] == [RTP]


@pytest.mark.parametrize("validated", [True, False])
def test_the_old_owner_is_stopped_where_it_is_linked(succession, validated):
    network, old, new = succession
    take(network, new)
    down_from(network, old, 0, validated=validated)
    down_from(network, old, 0, validated=validated, client=CLIENTS[1])
    assert network.received_by_clients() == []
    assert network.relays[INNER].drops == {DropReason.STALE_GENERATION: 2}
    assert not network.relays[GLOBAL].drops
    old.link.tell.session_ended(7, [(up_header(network.kit, 7), INNER)])
    old.outgoing += old.link.datagrams_to_send(network.now)
    network.pump()
    network.client_sends(RTP)
    assert new.payloads() == [RTP]


def test_the_old_owner_is_known_from_the_paths_when_the_notes_are_lost(succession):
    network, old, new = succession
    take(network, new)
    network.relays[INNER].hop.succession._whereabouts = Whereabouts()
    down_from(network, old, 0)
    assert network.received_by_clients() == []
    assert network.relays[INNER].drops == {DropReason.STALE_GENERATION: 1}


def test_a_global_relay_knows_the_generation_of_what_moved_also_for_new_paths(succession):
    network, old, _ = succession
    old.link.tell.session_moved(7, 1, (CLUSTER, 200, 0))
    old.outgoing += old.link.datagrams_to_send(network.now)
    network.pump()
    network.carried.clear()
    network.client_sends(old.request(7), CLIENTS[1])
    (generation,) = {generation_of(data) for data, source, _ in network.carried if source == GLOBAL}
    assert generation == 1


def test_a_datagram_of_the_new_owner_takes_the_session_too(succession):
    network, old, new = succession
    down_from(network, new, 1)
    assert [payload for payload, *_ in network.received_by_clients()] == [RTP]
    network.client_sends(RTCP)
    assert new.payloads() == [RTCP]
    down_from(network, old, 0)
    assert network.received_by_clients() == []


def test_what_a_global_relay_still_sends_to_the_old_owner_reaches_the_new_one_with_its_generation(succession):
    network, old, new = succession
    network.unreachable.add(GLOBAL)
    take(network, new)
    network.unreachable.clear()
    network.client_sends(RTP)
    network.client_sends(old.request(7), CLIENTS[1])
    assert [header.generation for header, _ in new.received] == [1, 1]
    assert old.payloads() == []
    down_from(network, new, 1)
    assert [payload for payload, *_ in network.received_by_clients()] == [RTP]
    (claim,) = [each for each in network.relays[GLOBAL].table.claims_of(7) if each.client == CLIENT]
    assert claim.generation == 1


def test_a_flow_tag_that_no_global_relay_has_shown_takes_nothing(succession, kit):
    network, old, new = succession
    forged = pack_header(UP, ingress=1, client=CLIENT, session=7, tag=b"no tag!!", generation=0)
    for generation in (0, 1):  # the first makes a path, the second would renew it
        header = answering(with_generation(forged, generation), validated=True)
        network._carry(header + RTP, new.address, INNER)
    network.pump()
    assert network.received_by_clients() == []
    assert network.relays[GLOBAL].drops == {DropReason.FORGED_TAG: 2}
    network.client_sends(RTP)
    assert old.payloads() == [RTP]
    down_from(network, old, 0)
    assert [payload for payload, *_ in network.received_by_clients()] == [RTP]


def test_a_cluster_relay_that_does_not_know_the_owner_of_a_generation_does_not_guess(succession, kit):
    network, old, _ = succession
    hop_send(network, up_header(kit, 9, generation=3) + old.request(9), GLOBAL)
    assert network.relays[INNER].drops == {DropReason.UNKNOWN_TRANSCEIVER: 1}
    assert old.payloads() == []


# What is refused.


def up_header(kit, session, *, ingress=1, client=CLIENT, generation=0):
    tag = kit.flow_tags.make(1, session, client)
    return pack_header(UP, ingress=ingress, client=client, session=session, tag=tag, generation=generation)


def hop_send(network, data, source, destination=INNER):
    network._carry(data, source, destination)
    network.pump()


def test_who_is_no_relay_is_not_forwarded(network, kit):
    transceiver = network.transceivers[TRANSCEIVER]
    hop_send(network, up_header(kit, 7) + transceiver.request(7), ("203.0.113.9", 7000))
    assert transceiver.received == []
    assert network.relays[INNER].drops == {DropReason.UNKNOWN_PEER: 1}


def test_a_relay_cannot_speak_for_an_ingress_that_it_does_not_serve(network, kit):
    transceiver = network.transceivers[TRANSCEIVER]
    network.add_global(SECOND_GLOBAL, ingresses=(3,))
    network.pass_time(2.0)
    network.call(transceiver, 7)
    hop_send(network, up_header(kit, 7) + RTP, SECOND_GLOBAL)
    hop_send(network, up_header(kit, 9) + transceiver.request(9), SECOND_GLOBAL)
    assert network.relays[INNER].drops == {DropReason.FOREIGN_INGRESS: 2}
    assert transceiver.received == []
    network.transceiver_sends(7, RTP)
    assert network.received_by_clients() == [(RTP, CLIENT, 1, GLOBAL)]


@pytest.mark.parametrize("payload", [RTP, b"\x16dtls", b"\x00\x01\x00\x00"], ids=["rtp", "dtls", "broken-stun"])
def test_only_a_request_makes_a_path(network, kit, payload):
    hop_send(network, up_header(kit, 7) + payload, GLOBAL)
    assert network.relays[INNER].drops == {DropReason.NO_FLOW: 1}


def test_a_token_of_another_session_makes_no_path(network, kit):
    transceiver = network.transceivers[TRANSCEIVER]
    hop_send(network, up_header(kit, 7) + transceiver.request(8), GLOBAL)
    assert network.relays[INNER].drops == {DropReason.FORGED_TOKEN: 1}
    assert transceiver.received == []


def test_a_token_of_another_process_or_cluster_makes_no_path(network, kit):
    stranger = kit.transceiver(("10.9.9.9", 1), 999, START, cluster=CLUSTER)
    hop_send(network, up_header(kit, 7) + stranger.request(7), GLOBAL)
    foreign = kit.transceiver(TRANSCEIVER, 100, START, cluster=2)
    hop_send(network, up_header(kit, 7) + foreign.request(7), GLOBAL)
    assert network.relays[INNER].drops == {DropReason.UNKNOWN_TRANSCEIVER: 2}


def test_a_transceiver_cannot_take_over_anothers_path(network, kit):
    transceiver = network.transceivers[TRANSCEIVER]
    thief = network.add_transceiver(SECOND_TRANSCEIVER, 200)
    network.pass_time(2.0)
    network.call(transceiver, 7)
    network.transceiver_sends(7, RTP, address=SECOND_TRANSCEIVER)
    thief.link.tell.announce(INNER, [up_header(kit, 7)])
    thief.link.tell.gone(7, kit.flow_tags.make(1, 7, CLIENT), INNER)
    thief.outgoing += thief.link.datagrams_to_send(network.now)
    network.pump()
    assert network.received_by_clients() == []
    assert network.relays[INNER].drops == {DropReason.FOREIGN_TRANSCEIVER: 2}
    network.client_sends(RTP)
    assert transceiver.payloads() == [RTP]
    assert thief.received == []


def test_what_goes_down_to_an_ingress_that_nobody_serves_is_dropped(network, kit):
    header = kit.down_header(7, CLIENT, validated=True, ingress=9)
    hop_send(network, header + RTP, TRANSCEIVER)
    assert network.relays[INNER].drops == {DropReason.UNKNOWN_INGRESS: 1}
    assert len(network.relays[INNER].hop.cluster.paths) == 0


def test_a_relay_without_a_cluster_takes_nothing_from_other_relays(network, kit):
    network.relays[INNER].hop.cluster = None
    transceiver = network.transceivers[TRANSCEIVER]
    network.client_sends(transceiver.request(7))
    assert transceiver.received == []
    assert network.relays[INNER].drops[DropReason.UNKNOWN_PEER] >= 1


def test_a_relay_of_another_cluster_than_the_map_says_gets_nothing(kit):
    network = Network(kit)
    transceiver = network.add_transceiver()
    network.add_inner(cluster=5)
    network.add_global(inner=[INNER])
    network.pass_time(2.0)
    network.client_sends(transceiver.request(7))
    drops = network.relays[GLOBAL].drops
    assert drops[DropReason.FOREIGN_CLUSTER] >= 1
    assert drops[DropReason.UNKNOWN_TRANSCEIVER] == 1


def test_with_a_full_table_requests_still_route_themselves_and_old_paths_stay(kit):
    network = Network(kit)
    transceiver = network.add_transceiver()
    inner = network.add_inner(max_claims=2)
    network.add_global()
    network.pass_time(2.0)
    clients = [("192.0.2.1", 40000 + port) for port in range(3)]
    for session, client in enumerate(clients):
        network.client_sends(transceiver.request(session), client)
    assert len(transceiver.payloads()) == 3
    assert inner.drops == {DropReason.TABLE_FULL: 1}
    for client in clients:
        network.client_sends(RTP, client)
    assert transceiver.payloads() == [RTP, RTP]
    assert inner.drops == {DropReason.TABLE_FULL: 1, DropReason.NO_FLOW: 1}


def test_paths_that_nobody_uses_are_forgotten(network):
    transceiver = network.transceivers[TRANSCEIVER]
    network.call(transceiver, 7)
    network.pass_time(95.0)
    assert len(network.relays[INNER].hop.cluster.paths) == 0


def test_hop_keys_are_replaced_on_both_sides_of_a_relay_of_the_cluster(network):
    inner = network.relays[INNER]
    keys = network.kit.hop_keys.derive({2: b"n" * 32}, 2)
    inner.replace_hop_keys(keys)
    network.pass_time(1.0)
    assert network.transceivers[TRANSCEIVER].link.drops[HopDropReason.UNKNOWN_KEY] >= 1
    assert inner.hop.cluster.link.drops[HopDropReason.UNKNOWN_KEY] >= 1


@pytest.mark.parametrize("length", [0, 1, 27, 28, 39, 40, 41])
def test_noise_between_the_tiers_raises_nothing(network, kit, length):
    noise = kit.seeded(length)
    for first in (UP, SEALED, 0x12, 0x13):
        for flags in (0, 1, 2, 3):
            data = (bytes((first, flags)) + noise(length))[: max(length, 1)]
            for source in (GLOBAL, TRANSCEIVER, ("203.0.113.9", 1)):
                hop_send(network, data, source)
