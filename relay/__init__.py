"""The relay: owns the public ports and takes every datagram to the transceiver that its session lives on.

It decrypts nothing and decides little: a STUN request names its transceiver (`stun.credentials`), and everything else
from the same address follows it. What it keeps is a small table that it can lose at any moment.

Read in this order:

* `hop`       how relay and transceiver talk: header, sealed control messages, the two ends of a link
* `datagrams` how long, how many at a time, and why one is lost
* `binding`   sockets: opened and bound
* `udp`       waited for, drained and filled
* `alarm`     wakes a task at a given time, hundreds of times a second
* `sockets`   those of one worker, which somebody may lend it
* `sockaddr`  addresses as the kernel writes them
* `local_addresses` which of our addresses a datagram came to, where a socket is bound to all of them
* `mmsg`      many datagrams in one system call, over memory that is laid out once; declared in `mmsg_build`
* `columns`   what is in the slots of a batch, read at once
* `segments`  the same for datagrams of one length that go to one place: fewer ways through the kernel
* `gathering` messages that are each gathered from several places in memory
* `bundle_slots`, `hop_columns` bundles of the hop (`hop.bundles`), made and taken apart without a copy
* `batches`   the same for Python objects
* `tags`      the flow tag: why the way back needs no table, and why a transceiver cannot pick an address
* `drops`     every reason for which a datagram is not forwarded
* `budgets`   what one source, and one token, may cost
* `flows`     who may claim a client's address, for how long, and who wins; a `claims.Claim` is what it keeps
              of one, `claim_lives` how long, `claim_indices` how it finds them
* `timer_wheel` what has to be looked at later
* `recent`    what is remembered for a moment
* `transactions` whom an answer to a transceiver's own check belongs to
* `admission` whether the sender of a request may have what it asks for
* `whereabouts` which sessions have ended, and which have moved, as far as transceivers have told
* `stun_router` whom a client's STUN is for, and who gets a claim by it
* `places`    where tokens lead: to a transceiver on a link of ours, or to a relay of another cluster
* `succession` who owns a session after another, and that the other is not heard any more
* `through_paths`, `cluster_relay`   the second tier: what a relay of a cluster does for global relays
* `hop_router` what comes from the hop and is not on a known path: new, announced and ended ones, and the links
* `forwarder` the sans-IO core: datagrams in, datagrams out
* `datapath`  between the sockets and the forwarder: `plain_path` one by one, `slot_path` in batches that nobody copies
* `tcp`       clients over TCP, on the same flows and the same hop
* `opening`   the first moments: how a relay that is started again loses nothing
* `allocator` what the C library is told, so that a table that has grown leaves nothing behind
* `worker`    the loop around it, on Trio
"""
