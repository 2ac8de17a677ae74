"""The three tiers as they run in a process: the libraries wired to sockets, keys, logs and metrics.

Read in this order:

* `tier`         what all three have in common: run, reload, stop
* `keyring`      a bundle's secrets, turned into what the tiers' libraries want
* `transceiver`  a worker and its control API; `transceiver_metrics` shows its numbers
* `relay`        a worker and, if wanted, its health pages
* `signal`       the HTTP server for browsers, and its view of the transceivers
"""
