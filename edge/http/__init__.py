"""A small HTTP/1.1 server: h11 does the protocol, Trio the waiting, this package the limits.

It serves the routes for browsers, the control API of a transceiver and the health pages of every role. Read in this
order:

* `messages`    what a handler gets and what it returns: `Request`, `Response`, `Handler`
* `errors`      the JSON body that every failure has
* `limits`      what one peer may take: bytes, seconds, connections
* `reasons`     why a request or a connection was refused, for counting
* `refusals`    how each of these is worded
* `streams`     TCP with few turns of the loop and few system calls
* `websocket`   from a request to a WebSocket (`transceiver.websocket` is what follows)
* `socket_service`  a WebSocket in the hands of its handler
* `connection`  one connection from its first byte to its end
* `first_byte`  a port that HTTP shares with another protocol
* `server`      accepting, bounding and stopping connections
* `tls`         certificates from files, replaced without a restart
* `routing`     a table of methods and paths
* `static`      files that are read once and served from memory
* `bearer`      keys compared in constant time
* `health`      `/healthz`, `/readyz`, `/metrics`

A handler answers with a whole `Response`, or with an `Upgrade` that makes a WebSocket of the connection.
"""
