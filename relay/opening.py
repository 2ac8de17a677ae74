"""The first moments of a relay: it listens to the transceivers before it takes anything from a client.

Goal: a relay that is started in the place of another loses nothing that waits in its sockets. Clients' media cannot be
forwarded before the flows are known, and transceivers' media is not believed before their link is up; both would be
dropped if they were read. So

* clients are not read: what they send waits in the kernel;
* the hop is read, and what comes from a transceiver that has not answered HELLO yet is kept, and taken once it has.

It ends when every transceiver that we were told of has answered, and has answered the PING behind our CONFIRM too: by
then it has announced what it had (`relay.hop.relay_end`), and nothing new has come for the time of an answer. After
`CATCH_UP` nobody is waited for who has not answered at all, unless nobody has: then there is nobody to forward to.
After `STALE` nothing waits, as it would come too late. With nobody to wait for, nothing waits.

Bound: `_MOST` datagrams are kept, of whoever can send to the hop socket.
"""

from functools import partial
from socket import AF_INET6, socket

from relay import mmsg
from relay.batches import BatchReceiver
from relay.datagrams import Batch
from relay.forwarder import Forwarder
from relay.hop.header import CONTROL
from relay.udp import drain

__all__ = ["CATCH_UP", "STALE", "Opening"]

CATCH_UP = 0.06
"""Seconds after which clients are read although a transceiver has not answered: time for a HELLO and its repetition."""
STALE = 0.3
"""Seconds after which clients are read in any case: voice that has waited longer is not played any more."""

_QUIET = 0.005
"""The least time without news, in seconds, that counts as having heard all."""
_MOST = 4096


class Opening:
    """What a relay does with its hop socket at first.

    Args:
        forwarder: learns.
        hop: the hop socket.
        now: the present.

    Attributes:
        end: when clients are to be read; comes nearer as transceivers answer.
    """

    def __init__(self, forwarder: Forwarder, hop: socket, now: float) -> None:
        self._forwarder = forwarder
        if mmsg.is_available():
            self._take = BatchReceiver(hop).receive
        else:
            self._take = partial(drain, hop, is_ipv6=hop.family == AF_INET6)
        self._kept: Batch = []
        self._began = now
        self._answered: float | None = None
        self.end = now + STALE if forwarder.links.is_waiting else now

    def receive(self, now: float) -> int:
        """Take a batch; see `relay.udp.receive_rounds`."""
        batch = self._take()
        links = self._forwarder.links
        for data, source in batch:
            if data[:1] == bytes((CONTROL,)) or source in links.up:
                self._forwarder.receive_from_hop(data, source, now)
            elif len(self._kept) < _MOST:
                self._kept.append((data, source))
        if not links.is_waiting and self._answered is None:
            self._answered = now
            self._take_kept(now)
        self.end = self._began + STALE
        if links.up and not links.is_catching_up:
            latest = self._began + CATCH_UP
            if self._answered is None or links.is_waiting or links.is_learning:
                self.end = latest
            else:
                # An answer to what we say now takes as long as the last one, unless that one had waited for its sender.
                quiet = max(_QUIET, self._answered - self._began)
                self.end = min(max(latest, now), now + quiet)
        return len(batch)

    def close(self, now: float) -> None:
        """Take what is still kept, from whomever."""
        self._take_kept(now)

    def _take_kept(self, now: float) -> None:
        kept, self._kept = self._kept, []
        for data, source in kept:
            self._forwarder.receive_from_hop(data, source, now)
