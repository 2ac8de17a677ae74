"""The hop: how a relay and a transceiver talk to each other.

Two kinds of datagram share one UDP socket at each end: the clients' datagrams behind a short header, and control
messages sealed under the hop key. This package is the part of the relay that a transceiver imports too.

Read in this order:

* `header`    the client's datagram between the tiers: 28 or 40 bytes in front of it
* `keys`      the hop key, two ids valid at a time
* `messages`  what is inside a sealed message; `link_messages` and `flow_messages` are the records, `numbered` what
              three of them share
* `sealing`   the envelope around them: who sealed it, for whom, and the n-th time
* `links`     the protocol between the two ends of a link, and what it is good for
* `peer`      what a relay knows of one transceiver
* `relay_end`, `transceiver_end`   the two ends, sans-IO; `events` is what they report
* `cookies`   how a relay shows that it receives where it sends from
* `health`    loss and delay of a link, from PING and PONG
* `suspicion` when a transceiver is held for dead; `watching` is the clock for all links, `warning` who is told of it
* `announcing`, `learning`   which flows a relay has still to be told, and which of those it was told it takes up next;
  `pace` is how fast
* `telling`   what a transceiver tells relays, and whom
* `tunnel`    the clients' datagrams sealed, for links that leave the cluster
* `bundles`   several of the clients' datagrams in one, which saves packets
* `mtu`       how long a datagram may be, so that none is fragmented
* `drops`     why a control message was refused
"""
