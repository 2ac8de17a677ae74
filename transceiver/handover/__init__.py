"""Moving a session to another process while its client goes on: drain, and fail-over after a crash.

Read in this order:

* `ownership`  who has a session: records that change by compare-and-set only, and the store that keeps them
* `custody`    what an owner knows of its ownership: when to write, when to end, when it may do without the store

The state of a session, sans-IO:

* `ceilings`          how far each process may count with the keys of a session, so that no two ever use one nonce
* `session_snapshot`  a session as a record and as bytes; `media_snapshot` and `descriptions` are parts of it
* `moving`            a session out of its parts, and into its parts again
* `movable_session`   what of that is a session's own: the base of `Session`
* `sealing`           snapshots under seal: what a store may hold without being able to read it

The calls of a worker:

* `call_snapshot`  a session, the ways to its client and its conversation, as bytes; `seals` seals them for a worker
* `dispatching`    takes calls out of the way, and away without a word
* `checkpointing`  keeps the records of all calls fresh, and does what `custody` concludes
* `arrivals`       makes held calls of snapshots
* `kept`           what a client sends while its call changes hands, bounded, and as bytes
* `draining`       moves calls to others while everybody is alive; `late` hands on what comes when they have gone
* `tunnels`        the connections to their backends, which stay here for a while: who may have them
* `takeover`       takes the calls of a transceiver that has died
* `handover`       all of these, put together; `services` and `peers` are what it needs from outside, `movable` what it
                   offers there
"""
