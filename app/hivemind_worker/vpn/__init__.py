"""The pool's network: reading a profile, bringing its tunnel up, and saying what is wrong with it."""
