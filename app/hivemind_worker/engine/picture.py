"""The state as others see it: the snapshot for front ends, the announcement for the pool."""

from __future__ import annotations

import math
from dataclasses import replace

from hivemind_worker.core.ledger import available
from hivemind_worker.core.policy import most_tasks, objection, wants_announcement
from hivemind_worker.core.state import State
from hivemind_worker.core.trust import group
from hivemind_worker.model.capacity import Offer
from hivemind_worker.model.machine import Sample
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE, Resources
from hivemind_worker.model.rules import Rules
from hivemind_worker.model.snapshot import Mode, NodeState, PoolView, RuntimeView, Snapshot
from hivemind_worker.model.task import Delivery, Problem, Task
from hivemind_worker.model.work import Announcement

NO_GPU = "Not Detected"


def start_state(  # noqa: PLR0917 - one of each
    tasks: tuple[Task, ...],
    node: NodeState,
    total: Resources,
    max_tasks: int,
    blocker: Problem | None,
    rules: Rules | None = None,
) -> State:
    """The state of a worker that starts with these open tasks."""
    return State(
        rules=rules or Rules(),
        tasks={task.key: task for task in tasks},
        node=node,
        total=total,
        max_tasks=max_tasks,
        blocker=blocker,
    )


def picture(
    state: State, *, at_s: float, node_id: str, version: str, trust_threshold: int, pool: PoolView,
    runtime: RuntimeView, grpc_address: str, recovery: str, offer: Offer | None = None,
) -> Snapshot:  # fmt: skip
    """One read-only picture of the worker."""
    return Snapshot(
        at_s=at_s,
        node_id=node_id,
        version=version,
        node=replace(state.node, mode=Mode.STOPPING) if state.stopping else state.node,
        tasks=tuple(state.tasks.values()),
        total=state.total,
        available=available(state),
        trust_group=group(state.node.trust_score),
        max_tasks=state.max_tasks,
        trust_threshold=trust_threshold,
        pool=pool,
        runtime=runtime,
        blocker=state.blocker,
        owed_results=sum(task.delivery is Delivery.OWED for task in state.tasks.values()),
        grpc_address=grpc_address,
        judgement=state.judgement,
        recovery=recovery,
        offer=offer or Offer(offered=state.total, lent=state.total),
    )


def announcement(
    state: State, *, sample: Sample, hostname: str, port: int, region: str, docker: bool,
    offer: Offer | None = None, gpu_name: str = "",
) -> Announcement | None:  # fmt: skip
    """What registration says of this worker; None when the pool should not hear of it now.

    Totals, not what is free: the pool keeps its own books of a node (protocol.md, quirk 10).
    """
    if not wants_announcement(state):
        return None
    total = offer.offered if offer is not None else state.total
    return Announcement(
        cpu_cores=max(1, math.ceil(state.total.cpu / CPU_SCORE_PER_CORE)),
        memory_gb=max(1, int(total.memory_gb)),
        cpu_score=int(total.cpu),
        gpu_score=int(total.gpu),
        gpu_memory_gb=int(total.gpu_memory_gb),
        gpu_name=gpu_name or NO_GPU,
        region=region,
        docker_status="available" if docker else "disabled",
        hostname=hostname,
        port=port,
        running_tasks=len(state.unended()),
        cpu_percent=round(sample.cpu_percent),
        memory_percent=round(sample.memory_percent),
        accepts=objection(state) is None,
        most_tasks=most_tasks(state),
    )
