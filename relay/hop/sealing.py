"""The envelope of a control message.

    u8 version and type CONTROL | u8 kind | u8 key id | u8 abilities | u64 sender | u64 counter | AES-SIV(body)

Goal: a relay believes who a transceiver says it is, a transceiver knows which addresses are relays, and nobody else
can say either, nor say it again later, elsewhere, or back to whoever said it first.

Attacker: reads, drops, repeats, changes and sends datagrams between the tiers, from any source address. Does not
hold the hop key. (Who holds it, a relay or a transceiver taken over, can speak as any of them: the hop key is one
secret of the whole fleet.)

Construction: AES-256-SIV (RFC 5297) over the body. Associated data are the twenty bytes in front and the receiver's
number, which is not sent. A transceiver draws a random 64-bit number when it starts, a relay one for each link whenever
that begins anew; `sender` is one's own, and the receiver's is known from its last message, 0 in a HELLO, which goes to
whoever is there. The counter never repeats within a process's life.

Properties: a message opens only at the end that it was sealed for, so it can be neither reflected nor carried over
to another link or a later incarnation; kinds are part of what is authenticated. Repetition at the right end is refused
by a replay window or by the nonce that a message answers (`relay.hop.links`).

Abilities: every message says in seven bits which revision of the protocol its sender speaks, and in the highest one
whether it wants data sealed (`relay.hop.tunnel`). Each end says nothing that the other's revision lacks. Revision 0
wrote zero there and ignored what it read. The byte is authenticated, so nobody can talk two ends down to less than they
can.

Why SIV and not GCM: one key has many senders, and only their random numbers keep nonces apart. Under SIV a
collision would tell that two messages are equal; under GCM it would give away the authentication key. Control
messages are a few per second, so the second pass costs nothing that matters.
"""

import struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from relay.hop.drops import HopDropReason
from relay.hop.header import CONTROL
from relay.hop.keys import HopKeys
from relay.hop.messages import Hello, Message, parse_message
from wire.buffer import Writer
from wire.core import Entropy
from wire.errors import MalformedError

__all__ = ["ANYONE", "REPLAY_WINDOW", "REVISION", "WANTS_SEALED", "Opened", "draw_number", "open_sealed", "seal"]

ANYONE = 0
"""The receiver of a HELLO, which is sent before the sender knows who is there."""

REVISION = 3
"""What this version speaks. 0: HELLO, WELCOME, CONFIRM, GONE, WORKERS. 1: ingresses in CONFIRM; ANNOUNCE, ANNOUNCED,
PING, PONG, ENDED, MOVED; sealed data. 2: SUSPECT. 3: bundles."""
WANTS_SEALED = 0x80

REPLAY_WINDOW = 1024
"""How many counters of a sender are told apart. A process counts over all its links, and bursts go to many of them; so
what overtakes on one link may be hundreds of counters ahead."""

_ENVELOPE = struct.Struct(">BBBBQQ")
_SIV_SIZE = 16
_RECEIVER = struct.Struct(">Q")


class Opened(NamedTuple):
    """A message that is authentic, and meant for us; whether it is fresh is for the link to say."""

    message: Message
    sender: int
    counter: int
    abilities: int = REVISION

    @property
    def revision(self) -> int:
        """What the sender speaks."""
        return self.abilities & ~WANTS_SEALED

    @property
    def wants_sealed(self) -> bool:
        """Whether the sender wants data sealed."""
        return bool(self.abilities & WANTS_SEALED)


def draw_number(entropy: Entropy) -> int:
    """Draw the number of one end of a link; never `ANYONE`."""
    return int.from_bytes(entropy(8), "big") or 1


def seal(
    keys: HopKeys, message: Message, *, sender: int, counter: int, receiver: int, abilities: int = REVISION
) -> bytes:
    """Seal a message under the current key.

    Args:
        keys: the hop's keys.
        message: what to say.
        sender: our own random number.
        counter: not used before with this `sender`.
        receiver: the other end's number; `ANYONE` for a HELLO.
        abilities: the revision that the sender speaks, with `WANTS_SEALED` or without.
    """
    envelope = _ENVELOPE.pack(CONTROL, message.KIND, keys.current, abilities, sender, counter)
    body = Writer()
    message.serialize(body)
    return envelope + keys.ciphers[keys.current].encrypt(body.finish(), [envelope, _RECEIVER.pack(receiver)])


def open_sealed(keys: HopKeys, data: bytes, *, receiver: int) -> Opened | HopDropReason:
    """Open a message that came from the hop.

    Args:
        keys: the hop's keys.
        data: the whole datagram.
        receiver: our own random number.
    """
    if len(data) <= _ENVELOPE.size + _SIV_SIZE or data[0] != CONTROL:
        return HopDropReason.MALFORMED
    _, kind, key_id, abilities, sender, counter = _ENVELOPE.unpack_from(data)
    cipher = keys.ciphers.get(key_id)
    if cipher is None:
        return HopDropReason.UNKNOWN_KEY
    sealed_for = ANYONE if kind == Hello.KIND else receiver
    envelope = data[: _ENVELOPE.size]
    try:
        body = cipher.decrypt(data[_ENVELOPE.size :], [envelope, _RECEIVER.pack(sealed_for)])
        message = parse_message(kind, body)
    except InvalidTag:
        return HopDropReason.NOT_AUTHENTIC
    except MalformedError:
        return HopDropReason.MALFORMED
    if message is None:
        return HopDropReason.MALFORMED
    return Opened(message, sender, counter, abilities)
