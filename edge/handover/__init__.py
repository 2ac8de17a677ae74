"""A planned restart of a relay: the running program starts its successor, and hands it the sockets.

    trio-voice reload ── Unix socket ──▶ old ──┬─ starts ────────────▶ new    imports, configuration, keys
                                               ├─ sockets ───────────▶ new    what it does not need it closes
                                               │◀────────── Prepared ── new    it could forward now
                                        stops reading
                                               ├─ Go ────────────────▶ new    hears the transceivers, reads the sockets
                                               │◀─────────── Serving ── new
                                        exits

Goal: no datagram is lost, as none is read by two programs or by none for longer than its socket has room for: between
the end of one and the beginning of the other, some milliseconds, all wait in the sockets. And no way to be left without
a relay: if the new program does not come to `Prepared`, the old one goes on as if nothing had been; if it fails after
`Go`, the old one reads its sockets again.

Clients on TCP have to connect again: what is under way in a connection is no datagram.

Attacker: another user of the machine. The Unix socket is for its owner alone (mode 0600, and its peer's user is looked
at), and says nothing but "reload": what is started is the same command line, in the same folder, with the same
variables.

Read in this order:

* `messages`     what the two programs say to each other
* `predecessor`  the old program, as the new one sees it
* `successor`    the new program, as the old one sees it
* `listening`    the Unix socket that a reload is asked for on
* `command`      `trio-voice reload`
"""
