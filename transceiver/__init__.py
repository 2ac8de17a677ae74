"""Terminates calls: ICE-lite, DTLS and SRTP of one client make a session, and a worker drives sessions.

Read in this order:

* `calls`           what signal may ask for: create, describe, end
* `call_ids`        names for calls that carry the route to their owner
* `sdp`             the client's offer, and our answer
* `states`          the life of a call, as a table
* `session`         one call, as a core: STUN, DTLS and media of one client, without a socket or a clock
* `dtls_transport`  where the handshake may talk to, and what it proves
* `media`           RTP and RTCP of an established session: protection, statistics, reports
* `backends`        what listens and speaks behind the call
* `describing`      what others are told of a call
* `timeline`        when each step of the set-up happened
* `ticker`          one clock for all calls of a worker, and how late it was
* `flows`           how the clients of our calls are reached through relays
* `intake`          from an offer to a session and the answer
* `registry`        the calls of a worker, found by everything that names one
* `dispatcher`      between the hop and the sessions, and what keeps a bug in one from the others
* `worker`          one UDP socket, many sessions, and the commands that make and end calls
"""
