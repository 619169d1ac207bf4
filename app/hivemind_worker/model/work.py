"""Values that cross the engine's ports: orders to a runtime, findings about archives, answers of a pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hivemind_worker.model.task import Problem, TaskId, TaskKey

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """All that a runtime needs to run one attempt; it never reads anything else of the task."""

    key: TaskKey
    attempt: int
    task_id: TaskId  # for the variable TASK_ID only
    workspace: Path  # shown to the program as /workspace and /app/task, its working directory
    entry: str  # path of the script inside the workspace, with slashes
    cpu_cores: float  # share of processor, 0.1 up
    memory_bytes: int
    disk_bytes: int  # the workspace may grow to this size
    time_limit_s: float  # running time, pauses not counted
    gpu: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is known of an archive before it is unpacked."""

    entry: str
    requirements: tuple[str, ...]  # lines of requirements.txt without comments
    members: int
    opened_bytes: int  # as the directory says; unpacking counts for itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A result archive on disk."""

    result_bytes: int
    left_out: tuple[str, ...] = ()
    problem: Problem | None = None  # RESULT_TOO_LARGE: the archive then holds our own files alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of one call to the pool: delivered, or not, and whether trying again may help."""

    delivered: bool
    retry: bool = False
    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What registration tells the pool of this worker: whole cores, GiB, scores and percentages."""

    cpu_cores: int
    memory_gb: int
    cpu_score: int
    gpu_score: int
    gpu_memory_gb: int
    gpu_name: str
    region: str
    docker_status: str  # "available" or "disabled": another word is read as Docker by the pool (quirk 18)
    hostname: str
    port: int
    running_tasks: int
    cpu_percent: int
    memory_percent: int
    accepts: bool = True  # false: tasks are here, and no other would be taken now
    most_tasks: int = 0  # tasks at once at most; 0: not said


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProgress:
    """How far an image is fetched. Sizes are of what is known so far; `seconds_left` None: not known."""

    image: str
    layers: int = 0
    layers_done: int = 0
    done_bytes: int = 0
    total_bytes: int = 0
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsePoint:
    """What a run used until a moment, since the one before: mean cores, the most memory in bytes. None: not
    known."""

    at_s: float  # UTC epoch seconds
    cores: float | None
    memory_bytes: int | None
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """What a run uses now: cores of processor, memory and disk; bytes moved since its start.

    None: the sandbox cannot tell it on this system.
    """

    at_s: float  # UTC epoch seconds
    cores: float
    memory_bytes: int
    memory_limit_bytes: int
    disk_bytes: int
    net_in_bytes: int = 0
    net_out_bytes: int = 0
    read_bytes: int | None = 0
    write_bytes: int | None = 0
    gpu_percent: float | None = None
    gpu_memory_bytes: int | None = None
