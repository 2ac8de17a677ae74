"""The measurements of the design, as ratios in one run: `make bench`, or `python -m bench`.

What is measured and how to read it is told in `docs/benchmarks.md`. Read in this order:

* `__main__`      the command line: which measurements, in which order
* `settings`      what every measurement is told
* `table`         a row of the result, its verdict, the table
* `processes`     CPU time and memory of other processes
* `servers`       what answers calls: our three processes, aiortc, the bare loop
* `aiortc_echo`, `bare_loop`, `delay`   the programs of the peers, and the long line
* `load`          calls placed from this process
* `stretch`       what happened to them in a stretch of time, and what it cost whom
* `setup_cpu`, `echo_cpu`, `memory`, `first_audio`, `capacity`   one measurement each

The load is made by our own caller in the process of the bench, against all servers alike. Servers are processes of
their own, and only their CPU time counts.
"""
