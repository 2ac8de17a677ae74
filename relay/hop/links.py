"""The two ends of a link: a relay finds out who is at a transceiver's address, a transceiver who may send to it.

    relay                                      transceiver
      │── HELLO nonce ───────────────────────────▶│   every second; faster until the first answer
      │◀────────── WELCOME nonce, cookie, identity │   no state is kept
      │── CONFIRM cookie, ingresses ──────────────▶│   this address is a relay for the next 30 s; then PING
      │◀──────────────────────────── WORKERS count ─│   only from one of several, each time it is confirmed
      │◀──────────────────── ANNOUNCE n, UP headers ─│   the flows of these ingresses, when the relay is new, and
      │── ANNOUNCED n ────────────────────────────▶│   each flow when its path is proven; then every 20 s
      │                                            │
      │◀═══════ the clients' datagrams, both ways ═╪═══▶
      │◀───────────────────── GONE session, tag ───│   when a path dies
      │◀────────────────────────── ENDED session ───│   when a session ends, or is asked for and not there
      │◀────── MOVED session, generation, owner ────│   when a session has gone to another transceiver
      │── PING n ─────────────────────────────────▶│   every second
      │◀─────────────────────────────────── PONG n ─│
      │── SUSPECT cluster, incarnation, worker ───▶│   when another of its cluster is silent

Goal: a relay forwards a session's datagrams to the very process that its token names, and believes what comes from
there; a transceiver believes only relays about who sent a datagram.

Attacker: as in `relay.hop.sealing`. He records a day of messages and sends any of them from any address.

Properties:

* A WELCOME counts once, for one HELLO of a few that are open: it echoes 128 random bits. So an old WELCOME cannot bring
  a dead incarnation back.
* A CONFIRM counts once, from the address that the WELCOME went to, within 20 s: the cookie is a MAC over that
  address, the relay's number and the time, under a secret of this process (the construction of RFC 9147 §5.1). Until
  then a HELLO, even a repeated one, makes the transceiver keep nothing and send no more bytes than it got.
* GONE, ENDED, MOVED count once: a replay window over the transceiver's counter, which starts anew with each process.
* WORKERS is under the same window. It makes the relay say HELLO to the ports beside the one that it was configured
  with, and believe whatever answers there no more than anybody else: so a relay is told one address, and finds all
  workers of a transceiver, however many they become. What was found that way announces nothing further.
* A PONG counts once, for a PING of the last second. It makes a measurement, and is a sign of life; and the first one
  tells a relay that starts that it has been told of the flows that there are (`relay.opening`).
* SUSPECT counts once, and a relay may say it so often and no more: each is worth a probe to whoever hears it. It is
  believed no further than that: who is suspected is asked, and then the store (`docs/failover.md`).
* ANNOUNCE and ANNOUNCED are under these windows too. What is announced is believed as far as its flow tags are right:
  they say that a relay of the group has seen a session's authentic request from that address at that ingress.
* A relay may name ingresses that it does not serve, and is then told flows of others: it holds the hop key, so it is a
  relay of the fleet gone bad. It learns addresses of clients and their tags. With these it can do nothing: a tag
  is a word from relays to themselves, which counts only from the address of a transceiver; and no client sends to it.

The addresses that the two ends agree on are trusted for data, which is plain unless one end wants it sealed
(`relay.hop.tunnel`): inside a cluster, who can forge sources between the tiers and guess 64 bits of flow tag can inject
a datagram, which then still has to pass the session's own cryptography.
"""

from relay.hop.events import (
    FlowGone,
    FlowsAcknowledged,
    FlowsAnnounced,
    FlowsWanted,
    LinkDown,
    LinkUp,
    RelayLost,
    RelaySeen,
    SessionEnded,
    SessionMoved,
    TransceiverIdentity,
    TransceiverSuspected,
)
from relay.hop.relay_end import RelayLinks
from relay.hop.transceiver_end import TransceiverLink

__all__ = [
    "FlowGone",
    "FlowsAcknowledged",
    "FlowsAnnounced",
    "FlowsWanted",
    "LinkDown",
    "LinkUp",
    "RelayLinks",
    "RelayLost",
    "RelaySeen",
    "SessionEnded",
    "SessionMoved",
    "TransceiverIdentity",
    "TransceiverLink",
    "TransceiverSuspected",
]
