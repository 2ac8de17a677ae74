"""Handshake messages, one subject a file; each body has `parse` and `serialize` side by side.

* `message`              the header in front of every message, fragments, and the whole message they make
* `body`                 what all bodies have in common
* `client_hello`, `server_hello`                     the negotiation; shared by both versions
* `encrypted_extensions`, `certificate_request`      1.3 only
* `certificate`, `certificate_verify`, `finished`    who it was, proof of it, and proof of everything before
* `certificate12`, `certificate_request12`           the shapes that 1.2 gives them
* `server_key_exchange`, `client_key_exchange`, `server_hello_done`, `hello_verify_request`      1.2 only
"""
