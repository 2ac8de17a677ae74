"""The process: command line, configuration, keys, HTTP, and the nursery that runs the tiers.

Read in this order:

* `cli`          the commands, and how what goes wrong is told; `serve_command`, `config_command`,
                 `key_commands`, `fleet_commands`
* `config`       every configuration key, and how a file and variables become records
* `keys`         which tier has which key, and rotation; `key_files` reads and writes them
* `serve`        what `trio-voice serve` does: configuration, keys, signals; `reload` and `start` say what can go wrong
* `launch`       where its configuration comes from; `head_start`, what a relay has before it runs
* `descriptors`  how many sockets the process may have; `collector` and `large_pages`, what its memory is like
* `roles`        the nursery: tiers started from the back to the front, stopped from the front to the back
* `tiers`        each tier's libraries, wired to sockets, keys, logs and metrics
* `children`     processes of our own; `workers` of a transceiver and `relay_workers` are made of them
* `store`        what the processes of a fleet share: Redis; `registry`, who is in the fleet
* `handover`     a planned restart of a relay: its sockets go to another program
* `http`         a small HTTP server
* `signal`       the routes for browsers
* `control`      the API between signal and transceivers
* `pages`        the page with the Talk button
* `caller`       `trio-voice call`: a client without a browser
* `version`      the number of this release
* `reports`      what the tiers have to say; `logs` writes it
* `metrics`      what Prometheus reads; `exposition` writes it
"""
