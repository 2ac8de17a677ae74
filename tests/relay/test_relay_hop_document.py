"""`docs/hop-protocol.md` says what the code does: its bytes, kinds, timers and bounds."""

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from relay import whereabouts
from relay.hop import (
    announcing,
    cookies,
    health,
    learning,
    messages,
    peer,
    relay_end,
    sealing,
    suspicion,
    transceiver_end,
    warning,
)
from relay.hop.bundles import BUNDLES_SINCE, LONGEST_BUNDLE, bundle_front, parts_of
from relay.hop.header import DOWN, UP, VERSION, answering, pack_header, parse_header
from relay.hop.keys import HopKeys
from relay.hop.messages import (
    Announce,
    Announced,
    Confirm,
    Ended,
    Gone,
    Hello,
    Moved,
    Ping,
    Pong,
    Suspect,
    Welcome,
    Workers,
)
from relay.hop.mtu import LEAST_MTU, LONGEST_CLIENT_DATAGRAM
from relay.hop.sealing import ANYONE, WANTS_SEALED, Opened, open_sealed, seal
from relay.hop.tunnel import OVERHEAD, Tunnel
from relay.tags import FlowTags

DOCUMENT = Path(__file__).parents[2] / "docs" / "hop-protocol.md"
HOP_KEY = bytes(range(0x20))
KEYS = HopKeys.derive({1: HOP_KEY}, 1)
TAGS = FlowTags([bytes(range(0x20, 0x40))])
RELAY, TRANSCEIVER = 0x0102030405060708, 0x1112131415161718
NONCE, COOKIE = bytes(range(0xA0, 0xB0)), bytes(range(0xB0, 0xC0))
IDENTITY = {"cluster": 1, "incarnation": 0xDEADBEEF, "worker": 2}
SESSION = 0xF1F2F3F4F5F6F7F8
FIRST, SECOND = ("192.0.2.1", 40000), ("2001:db8::1", 40001)


def up_header(client):
    return pack_header(UP, ingress=3, client=client, session=SESSION, tag=TAGS.make(3, SESSION, client))


MESSAGES = {
    "hello": (Hello(nonce=NONCE), RELAY, 1, ANYONE, 1),
    "welcome": (Welcome(nonce=NONCE, cookie=COOKIE, **IDENTITY), TRANSCEIVER, 1, RELAY, 1),
    "confirm": (Confirm(cookie=COOKIE, ingresses=(3, 4)), RELAY, 2, TRANSCEIVER, 1),
    "confirm-revision-0": (Confirm(cookie=COOKIE), RELAY, 2, TRANSCEIVER, 0),
    "confirm-wants-sealed": (Confirm(cookie=COOKIE, ingresses=(3, 4)), RELAY, 2, TRANSCEIVER, 1 | WANTS_SEALED),
    "gone": (Gone(session=SESSION, tag=up_header(FIRST)[16:24]), TRANSCEIVER, 2, RELAY, 1),
    "workers": (Workers(count=3), TRANSCEIVER, 3, RELAY, 1),
    "announce": (
        Announce(number=1, headers=(up_header(FIRST), up_header(SECOND))),
        TRANSCEIVER,
        4,
        RELAY,
        1,
    ),
    "announced": (Announced(number=1), RELAY, 3, TRANSCEIVER, 1),
    "ping": (Ping(number=7), RELAY, 4, TRANSCEIVER, 1),
    "pong": (Pong(number=7), TRANSCEIVER, 5, RELAY, 1),
    "ended": (Ended(session=SESSION), TRANSCEIVER, 6, RELAY, 1),
    "moved": (Moved(session=SESSION, generation=1, cluster=1, incarnation=7, worker=0), TRANSCEIVER, 7, RELAY, 1),
    "suspect": (Suspect(**IDENTITY), RELAY, 5, TRANSCEIVER, 2),
}


def vectors():
    """What the document should say, from the code."""
    control = HKDF(algorithm=SHA256(), length=64, salt=None, info=b"trio-voice hop control 1").derive(HOP_KEY)
    info = b"trio-voice hop data 1" + RELAY.to_bytes(8, "big") + TRANSCEIVER.to_bytes(8, "big")
    made = {
        "control-key": control,
        "data-key": HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(HOP_KEY),
        "flow-tag": TAGS.make(3, SESSION, FIRST),
        "up": up_header(FIRST),
        "up-ipv6": up_header(SECOND),
        "down": answering(up_header(FIRST), validated=False),
        "down-validated": answering(up_header(FIRST), validated=True),
        "down-validated-ipv6": answering(up_header(SECOND), validated=True),
    }
    for name, (message, sender, counter, receiver, abilities) in MESSAGES.items():
        made[name] = seal(KEYS, message, sender=sender, counter=counter, receiver=receiver, abilities=abilities)
    tunnel = Tunnel(keys=lambda: KEYS, number=RELAY, peer=TRANSCEIVER, count=lambda: 5)
    made["sealed"] = tunnel.seal(up_header(FIRST) + bytes.fromhex("806f0001"))
    parts = parts_of_the_bundle(made["sealed"])
    made["bundle"] = bundle_front([len(part) for part in parts]) + b"".join(parts)
    return made


def parts_of_the_bundle(sealed):
    return [up_header(FIRST) + bytes.fromhex("806f0001"), up_header(SECOND) + bytes.fromhex("16fefd"), sealed]


def written():
    """What the document says."""
    block = re.search(r"```vectors\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[1]
    found = {}
    for line in block.splitlines():
        name, _, rest = line.partition(" ")
        if name:
            current = name
        found[current] = found.get(current, "") + rest.replace(" ", "")
    return {name: bytes.fromhex(text) for name, text in found.items()}


def test_the_bytes_of_the_document_are_those_of_the_code():
    assert written() == vectors()


@pytest.mark.parametrize("name", MESSAGES)
def test_the_messages_of_the_document_open(name):
    message, sender, counter, receiver, abilities = MESSAGES[name]
    opened = open_sealed(KEYS, written()[name], receiver=receiver)
    assert opened == Opened(message, sender, counter, abilities)


def test_the_sealed_datagram_of_the_document_opens():
    tunnel = Tunnel(keys=lambda: KEYS, number=TRANSCEIVER, peer=RELAY, count=lambda: 1)
    opened = tunnel.open(written()["sealed"])
    assert opened == written()["up"] + bytes.fromhex("806f0001")
    assert len(written()["sealed"]) == len(opened) + OVERHEAD
    assert parse_header(opened).client == FIRST


def test_the_bundle_of_the_document_comes_apart():
    assert parts_of(written()["bundle"]) == parts_of_the_bundle(written()["sealed"])


def test_headers_of_the_document_parse():
    for name, direction, client in (("up-ipv6", UP, SECOND), ("down-validated", DOWN, FIRST)):
        header = parse_header(written()[name])
        assert (header.direction, header.client, header.ingress, header.session) == (direction, client, 3, SESSION)
        assert TAGS.verify(header.tag, 3, SESSION, client)


def test_every_kind_is_in_the_table():
    table = dict(re.findall(r"^\| (\d+) \| ([A-Z]+) \|", DOCUMENT.read_text(), re.MULTILINE))
    assert table == {str(record.KIND): record.__name__.upper() for record in messages._KINDS}


def test_timers_and_bounds_are_those_of_the_code():
    text = DOCUMENT.read_text()
    cells = re.findall(r"^\| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", text.split("## Timers and bounds")[1], re.MULTILINE)
    said = dict(pair for one, two, three, four in cells for pair in ((one, two), (three, four)))
    expected = {
        "HELLO on a link that is up": f"{relay_end.HELLO_INTERVAL:g} s",
        "first HELLO again": f"{peer.FIRST_HELLO_INTERVAL:g} s, doubling",
        "open HELLOs": f"{peer.OPEN_HELLOS}",
        "link without WELCOME": f"{relay_end.LINK_LIFE:g} s",
        "relay without CONFIRM": f"{transceiver_end.RELAY_LIFE:g} s",
        "cookie slot": f"{cookies.COOKIE_SLOT:g} s",
        "relays at a transceiver": f"{transceiver_end.MAX_RELAYS}",
        "flows told again": f"{transceiver_end.REFRESH_INTERVAL:g} s",
        "replay windows": f"{sealing.REPLAY_WINDOW}",
        "PONG in time": f"{health.PONG_TIMEOUT:g} s",
        "PINGs looked back at": f"{health.PING_COUNT}",
        "ANNOUNCE chunk": f"{announcing.MAX_MESSAGE} bytes",
        "chunks unacknowledged": f"{announcing.WINDOW}",
        "chunks sent": f"{announcing._BURST} at once, {announcing._RATE:g} a second",
        "chunk sent again": f"{announcing._RESEND:g} s, doubling; {announcing._TRIES} times in all",
        "flows waiting for one relay": f"{announcing.MAX_WAITING:,}",
        "chunks taken up": f"{learning._BURST} at once, {learning._RATE:g} a second",
        "chunks waiting at a relay": f"{learning.MAX_CHUNKS}",
        "ENDED remembered": f"{whereabouts.ENDED_LIFE:g} s",
        "silence before a suspicion": (
            f"{suspicion.LEAST_SILENCE:g} s to {suspicion.MOST_SILENCE:g} s; idle {suspicion.IDLE_SILENCE:g} s"
        ),
        "PINGs before a suspicion": f"{suspicion.UNANSWERED}, {suspicion.TICK:g} s apart",
        "relay late": f"{suspicion.LATE:g} s",
        "SUSPECT again": f"{warning._SOON:g} s, {warning._SOON_ROUNDS} times; then {warning._LATER:g} s",
        "SUSPECT at all": f"{warning.WARN_FOR:g} s",
        "SUSPECTs sent": f"{warning._BURST} at once, {warning._RATE:g} a second",
        "SUSPECTs heard of a relay": (
            f"{transceiver_end.SUSPECT_BURST} at once, {transceiver_end.SUSPECT_RATE:g} a second"
        ),
        "notes of ENDED, MOVED, takings": f"{whereabouts.MAX_NOTES:,} each",
    }
    assert {name: said.get(name) for name in expected} == expected
    assert f"**{LEAST_MTU}**" in text
    assert f"| {LONGEST_CLIENT_DATAGRAM} |" in text
    assert f"A bundle is at most {LONGEST_BUNDLE} bytes" in text
    assert f"says revision {BUNDLES_SINCE}." in text
    assert f"revision {sealing.REVISION} of version {VERSION}." in text
