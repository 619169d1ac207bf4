"""How soon a worker that was busy after all may be given the same task again: each time twice as late."""

from __future__ import annotations

from collections.abc import Callable

from hivemind_worker.model.task import TaskKey

FIRST_S, LONGEST_S = 5.0, 300.0


class Patience:
    """Remembers what was given back to this process. `monotonic`: seconds of a steady clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._waits: dict[TaskKey, dict[str, tuple[int, float]]] = {}

    def given_back(self, key: TaskKey, name: str) -> None:
        """Note that this worker was busy."""
        waits = self._waits.setdefault(key, {})
        times, _ = waits.get(name, (0, 0.0))
        waits[name] = (times + 1, self._monotonic() + min(FIRST_S * 2 ** min(times, 10), LONGEST_S))

    def is_over(self, key: TaskKey, name: str) -> bool:
        """Whether the worker may be given the task."""
        _, until = self._waits.get(key, {}).get(name, (0, 0.0))
        return until <= self._monotonic()

    def forget(self, key: TaskKey) -> None:
        """The task has ended."""
        self._waits.pop(key, None)
