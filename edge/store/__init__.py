"""What the processes of a fleet share, and where it is kept: in memory for one process, in Redis for more.

Read in this order:

* `transceiver.handover.ownership`  the records of sessions, and what a store promises
* `memory`  ownership in one process, and for tests
* `place`   where Redis is
* `link`    the connection to Redis: deadlines, and coming back
* `redis`   ownership for a fleet

Goal: Redis may be away, hang, be full, be emptied: whoever asks is told so within a deadline, no call ends by it, and
all is well again when it is, without help. `link` and what is made of it are loaded only where `store.url` is set.
"""
