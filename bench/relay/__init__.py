"""The relay's measurements: `python -m bench --only relay`.

Read in this order:

* `measure`       all of them, in one run
* `sizes`         how long datagrams are: 120 bytes, or as in `opus_sizes.txt`, which `record_opus_sizes` has recorded
* `load`          the load, and what those in between pay for it; `load.c` makes it
* `far_end`       the transceiver that all of them send to
* `sides`         our relay, and `forwarder.c`, which does the same and nothing else
* `calls`         calls on our relay, as it sees them
* `turn_client`   clients of a TURN server
* `coturn`        that server
* `packets`       CPU of a forwarded packet
* `delay`         what it waits
* `new_flows`     CPU of a new flow and of a refused one, memory of a flow
* `growth`        the same with more flows and more workers
* `growth_plot`   draws that
"""

from bench.relay.measure import measure

__all__ = ["measure"]
