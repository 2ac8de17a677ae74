"""The state cookie: what the answering side would have to remember, kept by the one who asks.

**Goal.** Answering an INIT costs no memory, and an INIT that nobody follows up changes nothing (RFC 9260 §5.1.3). What
comes back in a COOKIE ECHO is believed as if we had remembered it ourselves.

**Attacker.** Whoever holds the cookie: the DTLS peer, a buggy or hostile one. It can edit any bit, cut it, make one up,
send one that we made for another INIT, send an old one again, keep one for hours, and send any of these in any state.
(Strangers cannot: DTLS lets nobody else in.)

**What it must not gain.** State of its choosing (tags, TSNs, streams, extensions); the return of a state that is over,
which would throw away an association that goes on; an answer that tells it anything about our key.

**Construction.** The contents in the clear, followed by HMAC-SHA256 over them under a key of 32 random bytes that
belongs to this association alone and lives as long as it.

* *Edited, made up, cut*: the MAC fails; the packet is dropped without an answer. MACs are compared in constant time.
* *Of another association*: its key is another.
* *Old*: contents hold when they were made, on a clock that starts with the association; after `cookie_lifetime` only
  a cookie whose tags are those of the present association is taken, and that one changes nothing (action D: our
  COOKIE ACK was lost). The age is under the MAC.
* *Replayed*: a cookie that would restart the association (action A) names two tie tags, random numbers that live from
  one restart to the next; once it has been used they are gone. The cookie of the first set-up has tie tags 0 and tags
  that fit: it is action D again. After a restart nothing of it fits: dropped.
* *In the wrong state*: table 12 (`handshake`) decides, and what is not in it is dropped.

The contents are no secret: the peer chose half of them and is told the other half in the INIT ACK. Tie tags are random
numbers of their own and not the tags, so a cookie does not give the tags of an association away.
"""

import hashlib
import hmac
import struct

import attrs

from sctp.terms import Terms
from wire.buffer import Reader, Writer
from wire.errors import AuthenticationError

__all__ = ["Cookie", "CookieJar"]

KEY_SIZE = 32
_MAC_SIZE = 32
_AGE = struct.Struct(">d")


@attrs.frozen(kw_only=True)
class Cookie:
    """What a state cookie holds.

    Attributes:
        terms: what INIT and INIT ACK agreed on.
        local_tie_tag: our tie tag when there was an association already; else 0.
        peer_tie_tag: the peer's tie tag when there was an association already; else 0.
        created: when it was made, in seconds on the clock of `now`.
    """

    terms: Terms
    local_tie_tag: int
    peer_tie_tag: int
    created: float


class CookieJar:
    """Makes cookies and knows its own again.

    Args:
        key: 32 random bytes.
        epoch: the time from which ages count, so that they survive a move to another process.

    Attributes:
        key: as given.
        epoch: as given.
    """

    __slots__ = ("epoch", "key")

    def __init__(self, key: bytes, epoch: float) -> None:
        self.key = key
        self.epoch = epoch

    def seal(self, cookie: Cookie) -> bytes:
        """Write a cookie."""
        writer = Writer()
        cookie.terms.serialize(writer)
        writer.u32(cookie.local_tie_tag, "local_tie_tag").u32(cookie.peer_tie_tag, "peer_tie_tag")
        writer.octets(_AGE.pack(cookie.created - self.epoch))
        contents = writer.finish()
        return contents + self._mac(contents)

    def open(self, data: bytes) -> Cookie:
        """Read a cookie of ours.

        Raises:
            AuthenticationError: it is not ours, or not as we made it.
        """
        contents, mac = data[:-_MAC_SIZE], data[-_MAC_SIZE:]
        if not hmac.compare_digest(mac, self._mac(contents)):
            raise AuthenticationError("state cookie")
        # What has our MAC was written by `seal`, so it parses.
        reader = Reader(contents)
        cookie = Cookie(
            terms=Terms.parse(reader),
            local_tie_tag=reader.u32("local_tie_tag"),
            peer_tie_tag=reader.u32("peer_tie_tag"),
            created=self.epoch + _AGE.unpack(reader.octets(_AGE.size, "created"))[0],
        )
        reader.finish("state cookie")
        return cookie

    def _mac(self, contents: bytes) -> bytes:
        return hmac.digest(self.key, contents, hashlib.sha256)
