"""STUN and ICE: finding a path to the peer, and proving that the peer is there.

Read in this order:

* `attributes`  what STUN messages carry: attribute types and the values that have a structure
* `message`     the message around them (RFC 8489), and the fast look at a username that the relay takes
* `integrity`   MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT, on raw bytes
* `credentials` username fragments that name the server they belong to, and passwords derived from them
* `events`      what the two ICE agents report, and why they drop datagrams
* `binding`     asking and answering Binding Requests: what both agents share
* `paths`       which addresses may be sent to: the rules, and the attacker they are for
* `proofs`      asking the client to show that it receives at an address
* `repetition`  noticing checks that somebody overheard and sends again
* `snapshot`    the paths of a session as bytes, to go on in another process
* `lite`        `IceLite`, the server's agent: answers checks, validates paths, follows the client, restarts
* `transaction` a request that waits for its answer, and when it is sent again
* `consent`     asking now and then whether the receiver still wants what we send
* `checklist`   the candidate pairs of a controlling agent and their states
* `controlling` `IceControlling`, the agent of our own caller
"""
