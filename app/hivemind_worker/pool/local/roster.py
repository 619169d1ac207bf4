"""The nodes of the pool and when each was last heard from.

Liveness is measured with the monotonic clock, so that a corrected wall clock fails no
task; the book's times are for people and for the first minute after a restart.
"""

from __future__ import annotations

from collections.abc import Callable

from hivemind_worker.model.pool_records import PoolNode
from hivemind_worker.pool.local.book import PoolBook
from hivemind_worker.pool.local.limits import HEARD_LIMIT_S, SILENCE_LIMIT_S


class Roster:
    """All registered nodes, in memory and in the book."""

    def __init__(self, book: PoolBook, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._book, self._clock, self._monotonic = book, clock, monotonic
        self._nodes: dict[str, PoolNode] = {}
        self._called: set[str] = set()  # those that are called, of maybe a thousand that ask
        self._heard: dict[str, float] = {}
        self._started = monotonic()

    async def load(self) -> None:
        """Take the nodes from the book; each keeps the age of its last heartbeat."""
        self._started = self._monotonic()
        for node in await self._book.nodes():
            age = max(0.0, self._clock() - node.heard_at_s)
            self._note(node)
            self._heard[node.node_id] = self._started - age

    def take(self, node: PoolNode) -> None:
        """Another process of the pool has heard this node (or this one has, and it is told again)."""
        self._note(node)
        self._heard[node.node_id] = self._monotonic()

    def _note(self, node: PoolNode) -> None:
        self._nodes[node.node_id] = node
        if node.asks:
            self._called.discard(node.node_id)
        else:
            self._called.add(node.node_id)

    async def heard(self, node: PoolNode) -> bool:
        """A node registered or reported; True when it is new, back after silence, or changed."""
        before = self._nodes.get(node.node_id)
        was_awake = self.is_awake(node.node_id)
        await self._book.put_node(node)
        self._note(node)
        self._heard[node.node_id] = self._monotonic()
        return not was_awake or before is None or _offer_of(before) != _offer_of(node)

    def node(self, node_id: str) -> PoolNode | None:
        """One node by its id."""
        return self._nodes.get(node_id)

    def count_of(self, account: str) -> int:
        """How many nodes an account has registered."""
        return sum(node.account == account for node in self._nodes.values())

    def awake(self) -> list[PoolNode]:
        """Nodes heard from in the last 30 s to which tasks are offered.

        Those refresh by themselves, ours refresh nothing: the original pool counts its own writes as signs
        of life.
        """
        return [self._nodes[name] for name in self._called if self.is_awake(name)]

    def is_awake(self, node_id: str) -> bool:
        """Whether the node was heard from in the last 30 s."""
        return node_id in self._heard and self._monotonic() - self._heard[node_id] <= HEARD_LIMIT_S

    def is_silent(self, node_id: str) -> bool:
        """Whether the node missed its heartbeats for 60 s of this pool's running time.

        While the pool was down it could not hear anybody: that time does not count.
        """
        since = max(self._heard.get(node_id, self._started), self._started)
        return self._monotonic() - since > SILENCE_LIMIT_S


def _offer_of(node: PoolNode) -> tuple[object, ...]:
    return (node.hostname, node.port, node.cpu_score, node.memory_gb, node.gpu_score, node.gpu_memory_gb,
            node.gpu_name)  # fmt: skip
