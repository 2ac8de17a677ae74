"""Processes that this one starts for a part of its work: how it talks to them, and never leaves one behind.

    parent ──┬─ socket pair ── child 0      orders down, words up; sockets can go along with an order
             └─ socket pair ── child 1

A transceiver's front (`edge.workers`) and a relay's supervisor (`edge.relay_workers`) do the same things by these:

* `passing`  a stream that passes sockets along with bytes
* `channel`  lines over one end of the socket pair
* `lines`    records as lines, one JSON object each
* `launch`   starting a child, and never leaving one behind
* `forking`  making the first ones by copying a parent that has loaded everything and runs nothing yet
* `inside`   what a child does first
* `ending`   how a process ended, in words

Who ends whom: a child follows its channel alone. It ignores the signals that a terminal or a service manager sends to
whole groups, since its parent gets these too and says goodbye in order; when the channel ends, for whatever reason, the
child ends. The kernel closes a channel with the process that holds it, so this holds for a parent killed by `kill -9`.
"""
