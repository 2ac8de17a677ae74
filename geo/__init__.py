"""Where a caller is, and which relay address and transceiver are best for it. Pure: no clock, no socket, no database.

Read in this order:

* `regions`  places, regions and relay addresses, and the distance between places
* `caller`   where a caller is: a trusted proxy's headers, else what is configured, else nobody knows
* `scoring`  the one scoring function: predicted round trip and load, in milliseconds that can be added
* `choice`   choosing relay addresses and transceivers, with a sentence for each that says why
"""
