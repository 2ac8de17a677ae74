"""Several workers behind one relay: `relay.workers = N`.

One process of Python uses one core. With more than one worker, the relay's process becomes a supervisor: it binds every
socket once and lends them to N worker processes, each a whole relay with a flow table of its own. With one worker
nothing of this runs.

    supervisor ──┬─ channel ── worker 0 ── hop port,     a socket of every ingress
                 ├─ channel ── worker 1 ── hop port + 1, a socket of every ingress
                 └─ channel ── spare: has everything imported, and waits for the sockets of one that died

All workers serve the same ingresses: their public sockets are bound to the same addresses (SO_REUSEPORT), and the
kernel gives each client to one of them. The supervisor holds them all, too. So none leaves the group while its worker
is replaced: nobody's datagrams go another way, and what comes meanwhile waits in the socket. To transceivers the
workers are relays of one ingress group (`relay.hop`): they announce their flows to a new one, which hears them before
it reads its first datagram from a client (`relay.opening`).

Read in this order:

* `messages`   what supervisor and worker say to each other
* `command`    the worker's process
* `member`     a worker's process as the supervisor sees it: spare, worker, gone
* `crew`       a worker for every place, and a spare
* `totals`     the figures of all, added up over their lives
* `binding`    the sockets of all workers
* `tier`       the supervisor, as a tier of the process

Goal: a worker that dies, or hangs, is replaced within 100 ms and takes nothing with it but what it had in its hands; no
worker outlives its supervisor; keys are in no argument and no variable, where other users and core dumps of children
could see them.
"""
