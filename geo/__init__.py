"""Where a caller is, and which relay addresses and transceiver are best for it. Pure: no clock, no socket, no database.

Read in this order:

* `regions`      places, regions and relay addresses, and the distance between places
* `addresses`    the caller's address behind trusted proxies, and its network
* `database`     what a MaxMind-format database says of an address; somebody else opens the file
* `caller`       where a caller is: a trusted proxy's headers, the database, what is configured, or nobody knows
* `residency`    which regions a call may be in at all
* `round_trips`  how long a way takes: predicted from the distance, corrected by what was measured
* `measuring`    what earlier calls of a caller's network have shown: bounded memory, decaying averages
* `health`       how well a part of the fleet does its work, as a grade
* `steadying`    a measurement, made steady enough to place calls by
* `losses`       which regions lose their callers' packets, by what live calls have lost
* `hops`         which relays and transceivers lose packets between each other, by the relays' PINGs
* `scoring`      the one scoring function: named terms, in milliseconds that can be added
* `candidates`   a transceiver, as far as choosing it needs
* `standing`     what no distance outweighs: being dead, draining, residency, a full house
* `ranking`      candidates in order, with a sentence for each that says why
* `choice`       choosing relay addresses and transceivers
"""
