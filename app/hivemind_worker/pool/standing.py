"""How the link to a pool stands, the same for workers that are called and for those that ask."""

from __future__ import annotations

import logging
from dataclasses import replace

from hivemind_worker.model.faults import sentence
from hivemind_worker.model.snapshot import LinkState, PoolView
from hivemind_worker.model.task import Problem

log = logging.getLogger(__name__)


def standing(
    before: PoolView, link: LinkState, problem: Problem | None, *, now_s: float, heard: bool
) -> PoolView:
    """The view from now on; a new state is logged, a repeated one is not."""
    if before.link is not link:
        reason = f": {sentence(problem.code, problem.about)}" if problem else ""
        log.info("pool %s: %s%s", before.address, link.value.replace("_", " "), reason)
    return replace(
        before, link=link, problem=problem,
        since_s=before.since_s if before.link is link else now_s,
        last_heard_s=now_s if heard else before.last_heard_s,
    )  # fmt: skip
