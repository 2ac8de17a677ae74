"""What the processes of a fleet share, and where it is kept: in memory for one process, in Redis for more.

Read in this order:

* `transceiver.handover.ownership`  the records of sessions, and what a store promises
* `memory`  ownership in one process, and for tests
* `place`   where Redis is
* `script`  what it is asked
* `fullness` how it is told that it has no room, and when it is said
* `connection`, `link`  the way there: deadlines, and coming back
* `redis`   ownership for a fleet
* `opening` the stores of one process, as it is configured

Goal: Redis may be away, hang, be full, be emptied: whoever asks is told so within a deadline, no call ends by it, and
all is well again when it is, without help. Redis's client is loaded only where `store.url` is set.
"""
