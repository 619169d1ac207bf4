"""The escape probe: a program (resources/probe) that tries the doors of a sandbox, and its judge.

`doors` is the table of what must be closed, `judgement` reads what the program says (pure),
`knocks` runs it through the Runtime port. Knows no particular runtime.
"""

from hivemind_worker.runtimes.probe.judgement import Finding
from hivemind_worker.runtimes.probe.knocks import Surroundings, knock

__all__ = ["Finding", "Surroundings", "knock"]
