"""Moving a session to another process while its client goes on: drain, and fail-over after a crash.

Read in this order:

* `ownership`  who has a session: records that change by compare-and-set only, and the store that keeps them
* `custody`    what an owner knows of its ownership: when to write, when to end, when it may do without the store
"""
