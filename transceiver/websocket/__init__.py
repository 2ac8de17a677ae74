"""A WebSocket over a Trio stream, at either end of it: wsproto does the framing, Trio the waiting, this the limits.

Realtime events travel in texts, one event a message. Read in this order:

* `closing`     how a socket ended, and whose fault it was
* `limits`      what the other end may take
* `connection`  texts both ways, pings, the closing handshake
* `connecting`  the client's handshake; the server's is in `edge.http.websocket`, behind an HTTP request

Compression is not offered: base64 of audio hardly shrinks, and a small message that unpacks to a large one is then
nobody's weapon.
"""
