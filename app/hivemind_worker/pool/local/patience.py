"""When a task that was refused may be offered again, and to whom.

The original pool tries one node each 10 s, for ever. Here each pair of task and node
waits 1 s after its first refusal and doubles to 10 s, other nodes are tried at once,
and a node that gets free is asked at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain

from hivemind_worker.model.task import TaskKey

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 10.0
ODD_TASKS = 3
OFFERS_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Refusals in a row, and the (monotonic) time before which nothing is tried."""

    tries: int = 0
    until: float = 0.0


class Patience:
    """Remembers refusals. A node as a whole waits too: when it is full, it is full for all tasks."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._pairs: dict[TaskKey, dict[str, Wait]] = {}
        self._nodes: dict[str, Wait] = {}
        self._windows: dict[str, int] = {}

    def tried(self, key: TaskKey, node_id: str) -> None:
        """Note an offer, as if refused: so no failure of any kind is repeated at once."""
        pairs = self._pairs.setdefault(key, {})
        pairs[node_id] = self._longer(pairs.get(node_id, Wait()))

    def refused(self, node_id: str, *, is_idle: bool) -> None:
        """Note that the node said no (or nothing)."""
        wait = self._longer(self._nodes.get(node_id, Wait()))
        # A node that does nothing else and refuses may dislike just this task: others are
        # tried without delay until it has refused a few of them in a row.
        if is_idle and wait.tries <= ODD_TASKS:
            wait = replace(wait, until=0.0)
        self._nodes[node_id] = wait
        self._windows[node_id] = 1

    def window(self, node_id: str) -> int:
        """How many offers the node may be made at the same time.

        Each carries an archive: a node that has just refused gets them one by one.
        """
        return self._windows.get(node_id, OFFERS_AT_ONCE)

    def _longer(self, wait: Wait) -> Wait:
        delay = min(FIRST_WAIT_S * 2**wait.tries, LONGEST_WAIT_S) if wait.tries < 8 else LONGEST_WAIT_S
        return Wait(tries=wait.tries + 1, until=self._monotonic() + delay)

    def tries(self, key: TaskKey, node_id: str) -> int:
        """Offers of this task to this node so far."""
        return self._pair(key, node_id).tries

    def _pair(self, key: TaskKey, node_id: str) -> Wait:
        return self._pairs.get(key, {}).get(node_id, Wait())

    def is_over(self, key: TaskKey, node_id: str) -> bool:
        """Whether the node may be offered the task now."""
        return self.is_over_for(node_id) and self._pair(key, node_id).until <= self._monotonic()

    def is_over_for(self, node_id: str) -> bool:
        """Whether the node may be offered tasks at all now."""
        return self._nodes.get(node_id, Wait()).until <= self._monotonic()

    def accepted(self, key: TaskKey, node_id: str) -> None:
        """The node took the task: it is in the mood."""
        self.forget(key)
        self._nodes.pop(node_id, None)
        self._windows[node_id] = min(self.window(node_id) + 1, OFFERS_AT_ONCE)

    def freed(self, node_id: str) -> None:
        """The node has room again, or is new: whatever it refused may be offered now."""
        self._nodes.pop(node_id, None)
        for pairs in self._pairs.values():
            if node_id in pairs:
                pairs[node_id] = replace(pairs[node_id], until=0.0)

    def forget(self, key: TaskKey) -> None:
        """The task is not offered any more."""
        self._pairs.pop(key, None)

    def next_s(self) -> float | None:
        """Seconds until some wait is over; None when nothing waits."""
        now = self._monotonic()
        pairs = (wait for pairs in self._pairs.values() for wait in pairs.values())
        waits = chain(pairs, self._nodes.values())
        return min((wait.until - now for wait in waits if wait.until > now), default=None)
