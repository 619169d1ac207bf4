"""Results of which pieces have come and the last has not: one a worker and task, so that they cannot pile up.

Each process remembers the pieces that it kept itself. A worker that begins another result of the same task
has given the first one up: its pieces are removed. An honest worker never does: its archive is made once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hivemind_worker.model.task import TaskKey


@dataclass(slots=True)
class Begun:
    """A result on its way: its digest, and the pieces of it that are kept."""

    digest: str
    numbers: set[int] = field(default_factory=set)


class Unfinished:
    """What workers have begun to send and not ended."""

    def __init__(self) -> None:
        self._begun: dict[tuple[str, TaskKey], Begun] = {}

    def add(self, worker: str, key: TaskKey, digest: str, number: int) -> Begun | None:
        """A piece is about to be kept; what it replaces, whose pieces are to be removed first."""
        begun = self._begun.get((worker, key))
        given_up = begun if begun is not None and begun.digest != digest else None
        if begun is None or given_up is not None:
            begun = self._begun[worker, key] = Begun(digest)
        begun.numbers.add(number)
        return given_up

    def forget(self, key: TaskKey) -> None:
        """The task has its result."""
        for place in [each for each in self._begun if each[1] == key]:
            del self._begun[place]
