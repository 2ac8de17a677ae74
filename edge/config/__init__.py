"""Configuration: a TOML file and environment variables become frozen records, or a list of what is wrong.

Read in this order:

* `model`      every key there is, as records; their docstrings are the documentation that `trio-voice config` prints
* `signal`, `relay`, `transceiver`  the keys of a tier, and their rules
* `backends`   the keys of a backend, their rules, and what a transceiver is told of it
* `store`      the keys of what a fleet shares, and of what a process is called there
* `catalogue`  the same keys as a list, with variable, default and explanation, read from the model
* `problems`   what is wrong with a key, and what would be right
* `values`     one value at a time: addresses, URLs, networks, and what a wrong one is told
* `sources`    the TOML file and the `TRIO_VOICE_...` variables, each as a tree
* `embedded`   the tree below those two for `trio-voice serve` without a role: everything on this machine
* `sharing`    whether a TCP ingress of the relay lives behind signal's port
* `load`       the trees become one `Config`, with all problems at once
* `rules`      rules of one value each, which several tiers use
* `check`      all rules, and those between the tiers
* `example`    the annotated example file, printed from the catalogue
"""
