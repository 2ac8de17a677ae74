"""Bytes, numbers, time and failure: what every protocol here shares.

Read in this order:

* `core`      the contract of every protocol object: datagrams in, events out, time and entropy from outside
* `errors`    whose fault it was, and which rule said so
* `buffer`    the bounded `Reader` and `Writer` that every codec is built on
* `snapshot_fields` times, and values that may be missing, in what moves to another process
* `serial`    sequence numbers that wrap, and unwrapping them at the edge
* `replay`    the sliding window that refuses a packet number seen before
* `intervals` putting fragments together, however they arrive
* `demux`     which protocol a datagram on the shared port belongs to
"""
