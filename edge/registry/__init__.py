"""Who is in the fleet: every process says so in the store, again and again, and every process reads it.

Read in this order:

* `member`     what a member says of itself, how often, and what a store of members promises
* `memory`     members in one process, and for tests
* `redis`      members of a fleet
* `heartbeat`  says that one member lives
* `roster`     who is there, as was read last
* `links`      what relays measure of transceivers
* `describing` what each tier says of itself
* `membership` all of this for one process
* `listing`    the members as JSON and as a table: `trio-voice fleet`

The registry says who exists. Whether a transceiver takes calls, it says itself, to every signal node that asks it
(`edge.signal.fleet`); the registry's word for that is for people, and for whoever cannot ask.

Goal: members join and leave at run time, without anybody's configuration. A member that stalls is not chosen. A store
that is away, or has lost its data, removes nobody: what was read last stands, and what was read is missed only when the
store has answered without it for a whole lease.
"""
