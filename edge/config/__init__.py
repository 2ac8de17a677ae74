"""Configuration: a TOML file and environment variables become frozen records, or a list of what is wrong.

Read in this order:

* `model`    every key there is, as records; their docstrings are the documentation that `trio-voice config` prints
* `values`   one value at a time: addresses, URLs, networks, and what a wrong one is told
* `sources`  the TOML file and the `TRIO_VOICE_…` variables, merged into one tree
* `load`     the tree becomes a `Config`; all errors are collected, each with its key and what would be right
* `embedded` the configuration of `trio-voice serve` without a role: everything on this machine
* `example`  the annotated example file, printed from the model
"""
