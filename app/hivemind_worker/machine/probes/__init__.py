"""Facts for the rules: each source by itself, all of them behind `facts.FactProbe`.

Every source may be given another root, bus or library, so that each is tested without the hardware.
None always means "cannot tell". Calls may block for some milliseconds: use the thread of the facts.
"""
