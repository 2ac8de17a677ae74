"""Both datapaths, on sockets of this machine and without a clock: what comes out is what went in, and in its order."""

import os
import socket
import time
from collections import Counter
from contextlib import ExitStack

import pytest

from relay import mmsg
from relay.datagrams import RELAY_BATCH
from relay.drops import DropReason
from relay.flows import TICK, ClaimState
from relay.forwarder import Forwarder
from relay.hop.bundles import bundle_front, parts_of
from relay.hop.header import BUNDLE, CONTROL, SEALED, UP, answering, pack_header, parse_header, with_generation
from relay.hop.links import TransceiverLink
from relay.plain_path import PlainPath
from relay.slot_path import SlotPath
from relay.udp import MAX_DATAGRAM, UdpDropReason, address_of, open_udp

NOW = 1000.0
INGRESS, OTHER_INGRESS = 3, 4


class Relay:
    """A relay with one ingress, a transceiver beside it, and clients."""

    def __init__(
        self, stack: ExitStack, kit, host: str, hop_host: str, *, sealed: bool = False, revision: int | None = None
    ) -> None:
        self._stack, self._kit, self._host = stack, kit, host
        self.public, self.other = self.open(host), self.open(host)
        self.hop, self.transceiver = self.open(hop_host), self.open(hop_host)
        self.forwarder = Forwarder(
            credentials=kit.credentials,
            hop_keys=kit.hop_keys,
            flow_tags=kit.flow_tags,
            ingresses=[INGRESS, OTHER_INGRESS],
            transceivers=[address_of(self.transceiver)],
            entropy=os.urandom,
            now=NOW,
        )
        self.drops = Counter()
        path = SlotPath if mmsg.is_available() else PlainPath
        ingresses = {INGRESS: self.public, OTHER_INGRESS: self.other}
        self.path = path(self.forwarder, self.hop, ingresses, self.drops)
        self.link = TransceiverLink(
            keys=kit.hop_keys,
            cluster=1,
            incarnation=5,
            worker=0,
            entropy=os.urandom,
            now=NOW,
            sealed=sealed,
            revision=revision,
        )

    def open(self, host: str) -> socket.socket:
        return self._stack.enter_context(open_udp(host, 0, on_warning=str))

    def forward(self, now: float = NOW) -> tuple[int, ...]:
        """Take a batch from each socket, and send."""
        for receive in self.path.receivers.values():
            receive(now)
        return tuple(self.path.flush())

    def bring_up(self) -> None:
        self.forwarder.handle_timeout(NOW)
        self.forward()
        for _ in range(2):
            for data in taken(self.transceiver):
                self.link.receive_control(data, address_of(self.hop), NOW)
            for data, relay in self.link.datagrams_to_send(NOW):
                self.transceiver.sendto(data, relay)
            self.forward()

    def client(self, session: int, ingress: int = INGRESS) -> tuple[socket.socket, bytes]:
        """Make a client with a proven path; return its socket and the UP header of its path."""
        sock = self.open(self._host)
        tag = self._kit.flow_tags.make(ingress, session, address_of(sock))
        header = pack_header(UP, ingress=ingress, client=address_of(sock), session=session, tag=tag)
        self.down(header, b"first")
        self.forward()
        assert taken(sock) == [b"first"]
        return sock, header

    def up(self, client: socket.socket, data: bytes) -> None:
        client.sendto(data, address_of(self.public))

    def down(self, header: bytes, data: bytes, sender: socket.socket | None = None) -> None:
        hop = address_of(self.hop)
        for sealed, address in self.link.seal_data([(answering(header, validated=True) + data, hop)]):
            (sender or self.transceiver).sendto(sealed, address)

    def down_together(self, *datagrams: tuple[bytes, bytes], sender: socket.socket | None = None) -> int:
        """Send datagrams, each with the UP header of its path, as a transceiver sends what leaves together."""
        hop = address_of(self.hop)
        leaving = [(answering(header, validated=True) + data, hop) for header, data in datagrams]
        bundled = self.link.bundle(self.link.seal_data(leaving))
        for data, address in bundled:
            (sender or self.transceiver).sendto(data, address)
        return len(bundled)

    def heard(self) -> list[bytes]:
        """What has come to the transceiver, bundles taken apart."""
        return [part for data in taken(self.transceiver) for part in parts_of(data) or [data]]


def taken(sock: socket.socket) -> list[bytes]:
    received = []
    try:
        while True:
            received.append(sock.recv(70_000))
    except BlockingIOError:
        return received


@pytest.fixture(params=[("127.0.0.1", "127.0.0.1"), ("::1", "127.0.0.1"), ("127.0.0.1", "::1")], ids="-".join)
def relay(request, kit, datapath):
    with ExitStack() as stack:
        relay = Relay(stack, kit, *request.param)
        relay.bring_up()
        assert relay.link.relays
        assert relay.forwarder.live_transceivers == 1
        yield relay


SIZES = [1472, 1, MAX_DATAGRAM, 27, 28, 41, 2, 1472]


def media(number: int, size: int) -> bytes:
    return (b"\x80" + bytes((number,)) * size)[:size]


def test_what_a_client_sends_arrives_behind_its_header(relay):
    ann, ann_header = relay.client(1)
    bob, bob_header = relay.client(2)
    expected = []
    for number, size in enumerate(SIZES):
        for sock, header in ((ann, ann_header), (bob, bob_header)):
            relay.up(sock, media(number, size))
            expected.append(header + media(number, size))
    count, size, *down = relay.forward()
    assert relay.heard() == expected
    assert (count, size) == (len(expected), sum(map(len, expected)))
    assert down == [0, 0]
    assert not relay.forwarder.drops


def test_what_a_transceiver_sends_arrives_without_its_header(relay):
    ann, ann_header = relay.client(1)
    bob, bob_header = relay.client(2)
    longest = MAX_DATAGRAM - len(ann_header)
    sizes = [min(size, longest) for size in (0, *SIZES)]
    for number, size in enumerate(sizes):
        relay.down(ann_header, media(number, size))
        relay.down(bob_header, media(number, size))
    expected = [media(number, size) for number, size in enumerate(sizes)]
    *up, count, size = relay.forward()
    assert [taken(ann), taken(bob)] == [expected, expected]
    assert (count, size) == (2 * len(expected), 2 * sum(map(len, expected)))
    assert up == [0, 0]
    assert not relay.forwarder.drops


def test_each_client_hears_from_the_address_that_it_talks_to(relay):
    (ann, ann_header), (bob, bob_header) = relay.client(1), relay.client(2, OTHER_INGRESS)
    relay.down(ann_header, b"ann")
    relay.down(bob_header, b"bob")
    relay.forward()
    assert ann.recvfrom(9) == (b"ann", relay.public.getsockname())
    assert bob.recvfrom(9) == (b"bob", relay.other.getsockname())


def test_order_is_kept_between_what_is_looked_at_and_what_is_not(relay, kit):
    """A STUN request is looked at closely, the media around it are not."""
    client, header = relay.client(1)
    ufrag = relay._kit.credentials.mint(kit.route(1, 5, 1, int(time.time())))
    request = kit.binding_request(ufrag, kit.credentials.password(ufrag))
    sent = [b"\x80one", request, b"\x80two", request, b"\x16three"]
    for data in sent:
        relay.up(client, data)
    relay.forward()
    assert relay.heard() == [header + data for data in sent]


def test_more_than_a_batch_is_taken_in_several(relay):
    client, header = relay.client(1)
    sent = [b"\x80%d" % number for number in range(2 * RELAY_BATCH + 22)]
    for data in sent:
        relay.up(client, data)
    counts = [relay.forward()[0] for _ in range(4)]
    assert counts == [RELAY_BATCH, RELAY_BATCH, 22, 0]
    assert relay.heard() == [header + data for data in sent]


def test_what_is_too_long_or_empty_or_foreign_is_dropped_between_the_rest(relay):
    client, header = relay.client(1)
    stranger = relay.open(relay._host)
    for data in (b"\x80a", b"", bytes((0x80,)) * (MAX_DATAGRAM + 1), bytes((0x80,)) * 65_507, b"\x50", b"\x80b"):
        relay.up(client, data)
    relay.up(stranger, b"\x80stranger")
    relay.forward()
    assert relay.heard() == [header + b"\x80a", header + b"\x80b"]
    drops = relay.forwarder.drops
    assert drops == {
        DropReason.EMPTY: 1,
        DropReason.TOO_LONG: 2,
        DropReason.NOT_OURS: 1,
        DropReason.NO_FLOW: 1,
    }


@pytest.mark.parametrize(
    ("strange", "reason"),
    [(b"", DropReason.EMPTY), (bytes((0x80,)) * (MAX_DATAGRAM + 1), DropReason.TOO_LONG)],
    ids=["empty", "too-long"],
)
def test_one_strange_datagram_of_a_known_client_is_dropped_alone(relay, strange, reason):
    client, header = relay.client(1)
    for batch in ((b"\x80a", b"\x80b", b"\x80c"), (b"\x80d", strange, b"\x80e")):
        for data in batch:
            relay.up(client, data)
        relay.forward()
    assert relay.heard() == [header + b"\x80" + letter for letter in (b"a", b"b", b"c", b"d", b"e")]
    assert relay.forwarder.drops == {reason: 1}


def test_a_known_path_behind_another_kind_of_header_is_not_believed(relay):
    client, header = relay.client(1)
    for data in (answering(header, validated=True) + b"a", header + b"UP", answering(header, validated=True) + b"b"):
        relay.transceiver.sendto(data, address_of(relay.hop))
    relay.forward()
    assert taken(client) == [b"a", b"b"]
    assert relay.forwarder.drops == {DropReason.BAD_HEADER: 1}


def test_a_header_that_a_slot_still_holds_is_not_believed(relay):
    """A datagram too short for a header falls into a slot where one has been."""
    client, header = relay.client(1)
    down = answering(header, validated=True)
    relay.down(header, b"whole")
    relay.forward()
    relay.transceiver.sendto(down[:-1], address_of(relay.hop))
    relay.forward()
    relay.transceiver.sendto(b"", address_of(relay.hop))
    relay.forward()
    assert taken(client) == [b"whole"]
    assert relay.forwarder.drops == {DropReason.BAD_HEADER: 2}


def test_what_is_cut_on_the_hop_does_not_go_out_cut(relay):
    client, header = relay.client(1)
    relay.down(header, bytes(MAX_DATAGRAM))
    relay.down(header, b"short")
    relay.forward()
    assert taken(client) == [b"short"]
    assert relay.forwarder.drops == {DropReason.TOO_LONG: 1}


def test_only_the_transceiver_of_a_claim_is_heard(relay):
    client, header = relay.client(1)
    stranger = relay.open(relay.hop.getsockname()[0])
    relay.down(header, b"forged", stranger)
    relay.down(header, b"true")
    relay.forward()
    assert taken(client) == [b"true"]
    assert relay.forwarder.drops == {DropReason.UNKNOWN_PEER: 1}


def test_nothing_goes_to_a_transceiver_that_is_down(relay):
    client, header = relay.client(1)
    relay.forwarder.set_peers([], {}, NOW)
    relay.up(client, b"\x80lost")
    relay.down(header, b"unheard")
    relay.forward()
    assert [relay.heard(), taken(client)] == [[], []]
    assert relay.forwarder.drops == {DropReason.LINK_DOWN: 1, DropReason.UNKNOWN_PEER: 1}


def test_what_its_transceiver_sends_keeps_a_claim(relay):
    client, header = relay.client(1)
    for later in (20.0, 40.0, 60.0):
        relay.forwarder.table.handle_timeout(NOW + later)
        relay.down(header, b"alive")
        relay.forward(NOW + later)
    (claim,) = relay.forwarder.table.claims_of(1)
    assert claim.state is ClaimState.QUIET
    assert (claim.told - claim.heard) * TICK == 60.0
    assert relay.forwarder.counts["proven"] == 1
    assert taken(client) == [b"alive"] * 3


def test_a_claim_that_ends_takes_its_path_along(relay):
    client, _ = relay.client(1)
    (claim,) = relay.forwarder.table.claims_of(1)
    relay.forwarder.table.remove(claim)
    relay.up(client, b"\x80late")
    relay.forward()
    assert relay.heard() == []
    assert relay.forwarder.drops == {DropReason.NO_FLOW: 1}


def test_while_two_sessions_claim_an_address_both_hear_it(relay, kit):
    """Neither is proven; each gets it behind its own header."""
    client = relay.open(relay._host)
    headers = []
    for session in (1, 2):
        ufrag = kit.credentials.mint(kit.route(1, 5, session, int(time.time())))
        relay.up(client, kit.binding_request(ufrag, kit.credentials.password(ufrag)))
        relay.forward()
        (request,) = relay.heard()
        headers.append(request[: parse_header(request).size])
    assert headers[0] != headers[1]
    relay.up(client, b"\x16hello")
    relay.forward()
    assert sorted(relay.heard()) == sorted(header + b"\x16hello" for header in headers)


def test_what_the_kernel_does_not_take_is_counted(relay):
    client, header = relay.client(1)
    relay.forwarder.to_clients[INGRESS].append((b"x", (relay._host, 0)))
    relay.down(header, b"y")
    relay.forward()
    assert taken(client) == [b"y"]
    assert relay.drops == {UdpDropReason.UNSENDABLE: 1}


def test_sealed_data_takes_the_same_way(kit, datapath):
    with ExitStack() as stack:
        relay = Relay(stack, kit, "127.0.0.1", "127.0.0.1", sealed=True)
        relay.bring_up()
        client, header = relay.client(1)
        stranger = relay.open("127.0.0.1")
        for number, size in enumerate((1, 1200, 27)):
            relay.up(client, media(number, size))
            relay.down(header, media(number, size))
        relay.transceiver.sendto(answering(header, validated=True) + b"plain", address_of(relay.hop))
        relay.down(header, b"from elsewhere", sender=stranger)
        relay.forward()
        upward = relay.heard()
        assert all(data[0] == SEALED for data in upward)
        assert [relay.link.open_data(data, address_of(relay.hop)) for data in upward] == [
            header + media(number, size) for number, size in enumerate((1, 1200, 27))
        ]
        assert taken(client) == [media(number, size) for number, size in enumerate((1, 1200, 27))]
        assert relay.forwarder.drops == {DropReason.NOT_SEALED: 1, DropReason.UNKNOWN_PEER: 1}


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("is_alone", [True, False])
def test_every_datagram_of_a_transceiver_is_a_sign_of_life(relay, is_known, is_alone):
    _, header = relay.client(7)
    (place,) = {claim.place for claim in relay.forwarder.table.claims_of(7)}
    if not is_alone:
        _, other = relay.client(8, OTHER_INGRESS)
        relay.down(other, b"\x80media")  # by another way out, so that each is looked at
    relay.down(header if is_known else with_generation(header, 1), b"\x80media")
    place.heard = 0.0
    relay.forward(NOW + 0.5)
    assert place.heard == NOW + 0.5


def test_a_datagram_of_an_earlier_owner_is_on_no_known_path_any_more(relay):
    client, header = relay.client(7)
    renewed = with_generation(header, 1)
    relay.down(header, b"\x80before")
    relay.down(renewed, b"\x80taken")
    relay.down(header, b"\x80late")
    relay.down(renewed, b"\x80after")
    relay.forward()
    assert taken(client) == [b"\x80before", b"\x80taken", b"\x80after"]
    relay.down(header, b"\x80late")
    relay.forward()
    assert taken(client) == []
    assert relay.forwarder.drops == {DropReason.STALE_GENERATION: 2}
    relay.up(client, b"\x80media")
    relay.forward()
    assert relay.heard() == [renewed + b"\x80media"]


# Bundles.


def test_what_goes_up_together_is_one_datagram(relay):
    clients = [relay.client(session) for session in range(1, 7)]
    expected = []
    for number, (sock, header) in enumerate(clients):
        relay.up(sock, media(number, 60 + number))
        expected.append(header + media(number, 60 + number))
    count, size, *_ = relay.forward()
    (bundle,) = taken(relay.transceiver)
    assert parts_of(bundle) == expected
    assert (count, size) == (6, sum(map(len, expected)))  # clients' datagrams are counted, and not bundles


def test_control_messages_are_in_no_bundle(relay):
    client, header = relay.client(1)
    for number in range(6):
        relay.up(client, media(number, 60))
    relay.forwarder.handle_timeout(NOW + 1.0)
    relay.forward(NOW + 1.0)
    datagrams = taken(relay.transceiver)
    assert [data[0] for data in datagrams].count(CONTROL) >= 2  # HELLO and PING
    (bundle,) = (data for data in datagrams if data[0] != CONTROL)
    assert parts_of(bundle) == [header + media(number, 60) for number in range(6)]


def test_what_comes_down_in_a_bundle_goes_to_each_client(relay):
    ann, ann_header = relay.client(1)
    bob, bob_header = relay.client(2)
    sizes = [40, 1, 90, 0]
    sent = [(header, media(number, size)) for number, size in enumerate(sizes) for header in (ann_header, bob_header)]
    for _ in range(2):
        assert relay.down_together(*sent) == 1
        relay.down(bob_header, b"\x80alone")
    *_, count, size = relay.forward()
    expected = [media(number, size) for number, size in enumerate(sizes)]
    assert [taken(ann), taken(bob)] == [expected * 2, [*expected, b"\x80alone"] * 2]
    assert (count, size) == (18, 4 * sum(sizes) + 2 * len(b"\x80alone"))
    (claim,) = relay.forwarder.table.claims_of(2)
    assert claim.place.heard == NOW
    assert not relay.forwarder.drops


def test_clients_of_both_families_share_a_bundle(kit, datapath):
    with ExitStack() as stack:
        relay = Relay(stack, kit, "127.0.0.1", "127.0.0.1")
        relay.bring_up()
        relay.other.close()
        relay.other = relay.open("::1")
        path = SlotPath if mmsg.is_available() else PlainPath
        relay.path = path(relay.forwarder, relay.hop, {INGRESS: relay.public, OTHER_INGRESS: relay.other}, relay.drops)
        ann, ann_header = relay.client(1)
        relay._host = "::1"
        bob, bob_header = relay.client(2, OTHER_INGRESS)
        assert len(bob_header) > len(ann_header)
        sent = [
            (ann_header, b"\x80one"),
            (bob_header, b"\x80two"),
            (ann_header, b"\x80three"),
            (bob_header, b"\x80four"),
        ]
        for order in (sent, sent[::-1], sent[::2] * 2, sent[1::2] * 2):
            assert relay.down_together(*order) == 1
            relay.forward()
            assert taken(ann) == [data for header, data in order if header == ann_header]
            assert taken(bob) == [data for header, data in order if header == bob_header]
        for order in (sent[::2] * 2, sent[1::2] * 2):  # in one batch
            assert relay.down_together(*order) == 1
        relay.forward()
        assert [len(taken(ann)), len(taken(bob))] == [4, 4]
        assert not relay.forwarder.drops


def test_parts_that_need_a_closer_look_keep_their_order(relay):
    """The first datagram down a new path is looked at closely, and so is one of an earlier owner."""
    ann, ann_header = relay.client(1)
    bob = relay.open(relay._host)
    tag = relay._kit.flow_tags.make(INGRESS, 2, address_of(bob))
    bob_header = pack_header(UP, ingress=INGRESS, client=address_of(bob), session=2, tag=tag)
    renewed = with_generation(ann_header, 1)
    assert relay.down_together(
        (ann_header, b"one"), (bob_header, b"hello"), (renewed, b"two"), (ann_header, b"late"), (renewed, b"three")
    )
    relay.forward()
    assert [taken(ann), taken(bob)] == [[b"one", b"two", b"three"], [b"hello"]]
    assert relay.forwarder.drops == {DropReason.STALE_GENERATION: 1}


def test_a_bundle_from_elsewhere_is_dropped_whole(relay):
    client, header = relay.client(1)
    stranger = relay.open(relay.hop.getsockname()[0])
    relay.down_together(*[(header, b"forged")] * 9, sender=stranger)
    relay.down_together(*[(header, b"true")] * 4)
    relay.forward()
    assert taken(client) == [b"true"] * 4
    assert relay.forwarder.drops == {DropReason.UNKNOWN_PEER: 1}


def test_a_bundle_that_is_none_is_dropped_between_the_rest(relay):
    client, header = relay.client(1)
    part = answering(header, validated=True) + b"part"
    bundle = bundle_front([len(part)] * 3) + part * 3
    front = bundle_front([len(bundle), len(part)])
    strange = [bundle[:-1], bundle + b"x", front + bundle + part, bytes((BUNDLE,)), bytes((BUNDLE, 0))]
    for data in (bundle, *strange, bundle):
        relay.transceiver.sendto(data, address_of(relay.hop))
    relay.forward()
    assert taken(client) == [b"part"] * 6
    assert relay.forwarder.drops == {DropReason.BAD_BUNDLE: 5}


def test_a_bundle_in_a_slot_where_a_longer_one_has_been(relay):
    client, header = relay.client(1)
    for size in (90, 5, 40):
        assert relay.down_together(*[(header, bytes(size))] * 8) == 1
        relay.forward()
        assert taken(client) == [bytes(size)] * 8
    relay.transceiver.sendto(b"", address_of(relay.hop))
    relay.transceiver.sendto(bytes((BUNDLE,)), address_of(relay.hop))
    relay.forward()
    assert taken(client) == []
    assert relay.forwarder.drops == {DropReason.BAD_HEADER: 1, DropReason.BAD_BUNDLE: 1}


def test_a_transceiver_of_the_revision_before_gets_no_bundles(kit, datapath):
    with ExitStack() as stack:
        relay = Relay(stack, kit, "127.0.0.1", "127.0.0.1", revision=2)
        relay.bring_up()
        client, header = relay.client(1)
        for number in range(20):
            relay.up(client, media(number, 60))
        relay.forward()
        assert sorted(taken(relay.transceiver)) == [header + media(number, 60) for number in range(20)]


def test_sealed_datagrams_are_bundled_each_with_its_seal(kit, datapath):
    with ExitStack() as stack:
        relay = Relay(stack, kit, "127.0.0.1", "127.0.0.1", sealed=True)
        relay.bring_up()
        client, header = relay.client(1)
        sent = [media(number, 40) for number in range(6)]
        for data in sent:
            relay.up(client, data)
        assert relay.down_together(*[(header, data) for data in sent]) == 1
        plain = answering(header, validated=True) + b"plain"
        relay.transceiver.sendto(bundle_front([len(plain)] * 2) + plain * 2, address_of(relay.hop))
        relay.forward()
        (bundle,) = taken(relay.transceiver)
        hop = address_of(relay.hop)
        assert [relay.link.open_data(part, hop) for part in parts_of(bundle)] == [header + data for data in sent]
        assert taken(client) == sent
        assert relay.forwarder.drops == {DropReason.NOT_SEALED: 2}
