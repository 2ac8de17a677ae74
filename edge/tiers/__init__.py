"""The three tiers as they run in a process: the libraries wired to sockets, keys, logs and metrics.

Read in this order:

* `tier`         what all three have in common: run, reload, stop; `serving`, what their HTTP servers have
* `keyring`      a bundle's secrets, turned into what the tiers' libraries want
* `transceiver`  a worker and its control API; `transceiver_metrics` shows its numbers
* `relay`        a worker and, if wanted, `relay_pages`: health and metrics; `relay_binding`, its sockets;
                 `relay_options`, what it is told;
                 `relay_figures`, its numbers; several workers are `edge.relay_workers`
* `signal`       the HTTP server for browsers, and its view of the transceivers
"""
