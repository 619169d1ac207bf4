"""Orders of `core.decide` to the performer. Each is idempotent, keyed by task and attempt."""

from __future__ import annotations

from dataclasses import dataclass

from hivemind_worker.model.task import Problem, TaskKey


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEffect:
    """An order about one attempt of one task."""

    key: TaskKey
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpack(TaskEffect):
    """Fill the workspace from the spooled archive, then remove that."""

    spool: str


class StartRun(TaskEffect):
    """Run the program in the sandbox."""


class PauseRun(TaskEffect):
    """Freeze the program."""


class ResumeRun(TaskEffect):
    """Thaw the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRun(TaskEffect):
    """Let the program use this much of the processor from now on."""

    cores: float


class StopRun(TaskEffect):
    """End the program now."""


class Reclaim(TaskEffect):
    """Make sure that nothing of an earlier life of the worker still runs for this task."""


class Adopt(TaskEffect):
    """Go on with the run that an earlier life of the worker started."""


class PackResult(TaskEffect):
    """Pack the workspace and the logs into the result archive."""


class UploadResult(TaskEffect):
    """Send the archive to the pool until it is acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetSpool:
    """Remove the spooled archive of an offer that starts nothing."""

    spool: str


class RemoveWorkspace(TaskEffect):
    """Remove the task's folder; the packed result stays."""


@dataclass(frozen=True, slots=True)
class Quit:
    """End the worker: everything that was running has ended."""


AnyEffect = (
    Unpack
    | StartRun
    | PauseRun
    | ResumeRun
    | LimitRun
    | StopRun
    | Reclaim
    | Adopt
    | PackResult
    | UploadResult
    | ForgetSpool
    | RemoveWorkspace
    | Quit
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The answer yes; `fresh` when this very call started the task."""

    fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The answer no, with its reason."""

    problem: Problem


Reply = Accepted | Refused
