"""Voice agents that run in this process: what a Python function has to offer, and parrot, which is one."""
