"""A task that the owner sends to the pool: where it is, and when it got there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from hivemind_worker.model.task import Problem


class SendStep(StrEnum):
    """Where a sent task is, in order; the last three are ends."""

    PACKING = "packing"
    UPLOADING = "uploading"
    WAITING = "waiting"
    RUNNING = "running"
    FETCHING = "fetching"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self in (SendStep.COMPLETED, SendStep.FAILED, SendStep.STOPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One sent task. `reached` holds each step with its moment; `result` the folder with its files.

    `message` is the pool's own last word about it; `problem` is why it could not go on.
    """

    task_id: str
    name: str
    path: str
    pool: str
    step: SendStep
    reached: tuple[tuple[SendStep, float], ...]
    packed_bytes: int = 0
    skipped: tuple[str, ...] = ()
    node: str = ""
    message: str = ""
    problem: Problem | None = None
    result: str = ""

    def at(self, step: SendStep) -> float | None:
        """When it got to that step."""
        return next((at_s for reached, at_s in self.reached if reached is step), None)

    def moved(self, step: SendStep, at_s: float, **changes: object) -> Sending:
        """The same at another step."""
        return replace(self, step=step, reached=(*self.reached, (step, at_s)), **changes)  # type: ignore[arg-type]
