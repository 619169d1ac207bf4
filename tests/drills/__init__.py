"""Fault drills: the whole worker under kill -9, broken networks, full disks, bad clocks and damaged journals.

`python -m tests.drills --seed N` runs them; see `__main__`. After each drill
`checker` looks at the six invariants.
"""
