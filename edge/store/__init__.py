"""What the processes of a fleet share, and where it is kept: in memory for one process, in Redis for more.

Read in this order:

* `transceiver.handover.ownership`  the records of sessions, and what a store promises
* `memory`  for one process, and for tests
"""
