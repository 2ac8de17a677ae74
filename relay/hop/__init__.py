"""The hop: how a relay and a transceiver talk to each other.

Two kinds of datagram share one UDP socket at each end: the client's datagrams behind a short header, and control
messages sealed under the hop key. This package is the part of the relay that a transceiver imports too.

Read in this order:

* `header`    the client's datagram between the tiers: 28 or 40 bytes in front of it
* `keys`      the hop key, two ids valid at a time
* `messages`  HELLO, WELCOME, CONFIRM, GONE: what is inside a sealed message
* `sealing`   the envelope around them: who sealed it, for whom, and the n-th time
* `links`     the two ends of a link, sans-IO: who is at the other side, proven fresh
* `drops`     why a hop message was refused
"""
