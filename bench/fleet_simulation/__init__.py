"""A fleet of twelve regions and its callers, on the real code of `geo`: `python -m bench.fleet_simulation`.

Everything but the earth is made up from one seed, and no packet is sent; so what it shows is how choices behave, and
nothing of speed. Read in this order:

* `cities`      where people live
* `world`       regions, callers, and how long the ways between them really take, which nobody is told
* `fleet`       transceivers and relays over time: calls begin and end, a region dies and returns
* `signal`      what signal nodes know, as late as in life, and the choices they make
* `simulation`  a day in five thousand seconds, second by second
* `results`     what came of it: round trips, loads, changes
* `plot`        the pictures `docs/images/fleet-simulation.svg` and `fleet-health.svg`
* `trial`       how a test finds out that the pictures are out of date
"""
