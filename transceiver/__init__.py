"""Terminates calls: ICE-lite, DTLS, SRTP and SCTP of one client make a session, and a worker drives sessions.

Read in this order:

* `calls`           what signal may ask for: create, describe, end, take part
* `call_ids`        names for calls that carry the route to their owner
* `options`         what can be set, with the reason for each default
* `sdp`             the client's offer, and our answer

One call, as a core, without a socket or a clock:

* `states`          the life of a call, as a table
* `session_events`  what a session is told at its beginning, what it reports, and why it drops something
* `session`         one client: what carries the call, and what is carried, composed
* `transport`       ICE-lite and DTLS: from the first check to the keys
* `dtls_transport`  where the handshake may talk to, and what it proves
* `data_transport`  data channels inside of DTLS
* `media_description`, `media`   RTP and RTCP of an established session: protection, statistics
* `reports`         the RTCP that we send
* `voice`           the caller's words as PCM, and PCM to the caller; `audio` has codecs, buffers and pacing
* `timeline`        when each step of the set-up happened

What is behind a call:

* `backends`        what listens and speaks: agents in this process, servers of the Realtime protocol, the echo
* `agents`          Python functions as voice agents; the parrot is one
* `realtime`        the rules between a caller and a backend: the bridge
* `websocket`       how servers are reached
* `backend_leg`     one call's backend: what connects session, bridge and link
* `events_channel`  the client's data channel for events
* `sidebands`       further connections that take part in a call

Many calls in one loop:

* `ticker`          one clock for all calls of a worker, and how late it was
* `flows`           how the clients of our calls are reached through relays
* `intake`          from an offer to a session and the answer
* `ice_updates`     an ICE restart or trickled candidates in the middle of a call
* `moved_calls`     where calls have gone that were handed over
* `last_words`      what clients are told before their calls end with us
* `registry`        the calls of a worker, found by everything that names one
* `round_trips`, `losses`, `sampling`   what calls show of the ways to their clients, for whoever places the next ones
* `describing`      what others are told of a call
* `dispatcher`      between the hop and the sessions, and what keeps a bug in one from the others
* `backend_legs`    the backends of a worker's calls, and the task that each needs
* `worker`          one UDP socket, many sessions, and the commands that make and end calls
"""
