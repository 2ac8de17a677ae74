"""The measurements of the design, as ratios in one run: `make bench`, or `python -m bench`.

What is measured and how to read it is told in `docs/benchmarks.md`. Read in this order:

* `__main__`      the command line: which measurements, in which order
* `settings`      what every measurement is told
* `table`         a row of the result, its verdict, the table
* `publish`       the results of a release, as a page of the documentation
* `processes`     CPU time and memory of other processes
* `servers`       what answers calls: our three processes, aiortc, the bare loop
* `voices`        what answers calls with a voice, and the bare codecs
* `aiortc_echo`, `bare_loop`, `bare_codec`, `sctp_ours`, `sctp_aiortc`, `delay`   the programs of the peers, and the
  long line
* `load`          calls placed from this process
* `browser`       how Chromium is started
* `stretch`       what happened to them in a stretch of time, and what it cost whom
* `ticks`         how late the transceiver's ticks were
* `onsets`, `agents`, `probe`   sharp sounds, an agent that hears and says them, and calls that measure delay
* `setup_cpu`, `echo_cpu`, `bridged_cpu`, `memory`, `first_audio`, `voice_delay`, `data_channels`, `restarts`,
  `capacity`   one measurement each
* `failover`, `crowds`, `fleet`   what calls lose when a transceiver goes away, one and many; the fleet of it
* `numbered_call`   calls whose packets are numbered, by the callers of the end-to-end tests
* `chromium_calls`   what calls of stock Chromium lose, whatever happens around them

The load is made by our own caller in the process of the bench, against all servers alike. Servers are processes of
their own, and only their CPU time counts.

`fleet_simulation` is no measurement: it shows how choices among regions behave (`docs/geography.md`).
"""
