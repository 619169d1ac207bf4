"""Whose processes are on the cards: a task's, when its first process is among their parents.

Counterpart: `gpu`, which lists them. One thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import psutil

from hivemind_worker.model.machine import Gpu, GpuProcess


def parents_of(pid: int) -> tuple[int, ...]:
    """A process and those above it; none where it has ended or may not be looked at."""
    try:
        process = psutil.Process(pid)
        return (pid, *(parent.pid for parent in process.parents()))
    except psutil.Error:
        return ()


class GpuOwners:
    """Looks each process up once, as long as it is on a card."""

    def __init__(self, parents: Callable[[int], tuple[int, ...]] = parents_of) -> None:
        self._parents = parents
        self._known: dict[int, tuple[int, ...]] = {}

    def find(self, cards: Sequence[Gpu], tasks: Iterable[int]) -> tuple[Gpu, ...]:
        """The cards with the task of each process; `tasks` are the first processes of those that run."""
        wanted = frozenset(tasks)
        there = {process.pid for card in cards for process in card.processes or ()} if wanted else set()
        self._known = {pid: self._known.get(pid) or self._parents(pid) for pid in there}
        return tuple(
            card if not card.processes
            else replace(card, processes=tuple(self._owned(process, wanted) for process in card.processes))
            for card in cards
        )  # fmt: skip

    def _owned(self, process: GpuProcess, tasks: frozenset[int]) -> GpuProcess:
        above = self._known.get(process.pid, ())
        return replace(process, task=next((pid for pid in above if pid in tasks), None))
