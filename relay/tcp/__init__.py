"""ICE-TCP: clients whose network blocks UDP, on the same flows and the same hop.

A TCP ingress has a number of its own, as any ingress; `(ingress, client address)` is a flow for both. What differs is
that its clients are on connections, and that a flow ends with its connection.

Read in this order:

* `framing`     datagrams on a stream (RFC 4571)
* `options`     what clients may take, with the reason for each bound
* `drops`       why a connection was ended, or a datagram not sent
* `connection`  one client's connection: what waits to be read and to be sent
* `connections` the rules that connections live by: goal, attacker, properties
* `sockets`     the same with sockets, in the relay's loop

Source: RFC 6544, of which a lite agent's passive candidates need little: §7.2 and §10.
"""
