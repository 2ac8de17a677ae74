"""Ten thousand calls that end in every way, a busy relay, a busy fleet: `make soak`, or `python -m bench.soak`.

What it does and how to read it is told in `docs/benchmarks.md`. Read in this order:

* `__main__`    the command line: calls, rests, the verdict
* `conversing`  what is said in a call before it ends
* `attempt`     one call, as far as all ways to end have it in common
* `endings`     every way to end, and what the transceiver has to make of it
* `sockets`     sidebands, and the plain Realtime protocol, beside the calls
* `calls`       many calls at a time, each with a plan of its own
* `census`      what is inside a process: objects by type, tasks, descriptors, memory
* `server`      `trio-voice`, with a way to ask it for its census
* `readings`    a census of all three processes, with their metrics
* `verdict`     three readings compared, and each culprit named
* `report`      all of this in words
* `relay`       the relay alone: minutes at half of what it can, while calls come and go
* `relay_verdict`  what is left of that
* `takeovers`   a fleet on a machine that is busy to 90 %, on which nobody may be taken for dead
* `burning`     keeps the machine busy

The calls are placed by our own caller in the process of the soak; signal, relay and transceiver are processes of their
own, and only these are looked into.
"""
