"""Hello extensions: the block that holds them, and the ones we understand.

* `block`     an ordered list of (type, bytes), from which a known extension is read on demand
* `versions`, `groups`, `signatures`    what a 1.3 negotiation turns on
* `srtp`      use_srtp
* `legacy`    what a 1.2 negotiation needs beside them

Some extensions have one shape in a ClientHello and another in the answer; each shape is a class of its own.
"""
