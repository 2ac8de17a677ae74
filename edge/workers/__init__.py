"""Several workers behind one transceiver: `transceiver.workers = N`.

One process of Python uses one core. With more than one worker, the tier's process becomes a front: it starts N worker
processes, each a whole transceiver with a UDP port and calls of its own, and serves the one control API that signal
knows. All share cluster and incarnation; the worker's number in the call id says which of them has a call, and in the
username fragment says so to relays, which find the ports by themselves (`relay.hop.links`). With one worker nothing of
this runs.

    signal ── control API ──▶ front ──┬─ channel, control API on loopback ──▶ worker 0 ◀── hop port ────┐
                                      └─ channel, control API on loopback ──▶ worker 1 ◀── hop port + 1 ─┴─ relays

Read in this order:

* `messages`  what front and worker say to each other: orders down, figures up
* `command`   the worker's process: a transceiver tier that does what the channel says, and ends with it
* `life`      one life of a worker, as the front sees it
* `place`     a worker's number, whose process is replaced when it dies
* `totals`    the figures of all workers, added up over their lives
* `front`     `Calls` and `Conversations` over all places; which worker a call goes to
* `tier`      the front with its control API, as a tier of the process

Goal: a worker that dies harms nothing but its own calls, and with a store (`transceiver.handover`) these go on: in the
process that replaces it, in its siblings, or in another transceiver; no worker outlives its front; keys are in no
argument and no variable, where other users and core dumps of children could see them.

A worker is a child of its front as `edge.children` has it: it follows its channel alone, which is its standard input,
and when that ends, for whatever reason, it says goodbye to its clients and exits.
"""
