"""What every task's container is held to: a list of options, each with its reason. Pure.

Option names are paths in the engine's own "create container" message, so that a test can read each
back from a live container. Counterpart: `run`, which sends the message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hivemind_worker.model.work import RunOrder

TASK_FOLDER = "/app/task"
WORKSPACE_FOLDER = "/workspace"
MIB = 1 << 20
PIDS = 256
OPEN_FILES = 1024
CPU_PERIOD_US = 100_000
# One file may grow a little past the quota, so that the quota's own check says what happened.
FILE_ROOM_BYTES = 256 * MIB
LOG_BYTES = 16 * MIB
NOBODY = 65532
"""The user of tasks where the worker itself is root: an id that no system gives to anybody."""

LABEL_WORKER = "io.hivemind.worker"
LABEL_TASK = "io.hivemind.task"
LABEL_ATTEMPT = "io.hivemind.attempt"
LABEL_HOME = "io.hivemind.home"
LABEL_KEY = "io.hivemind.key"


@dataclass(frozen=True, slots=True)
class Rule:
    """One option of a container, its value, and why."""

    option: str
    value: Any
    reason: str


FIXED: tuple[Rule, ...] = (
    Rule("HostConfig.CapDrop", ["ALL"], "a task needs no right that root has"),
    Rule("HostConfig.Privileged", False, "privileged containers own the computer"),
    Rule("HostConfig.ReadonlyRootfs", True, "what is not the workspace or /tmp stays as it was"),
    Rule("HostConfig.ShmSize", 64 * MIB, "shared memory is bounded as well"),
    Rule("HostConfig.IpcMode", "private", "no memory shared with others"),
    Rule("HostConfig.PidMode", "", "processes of the computer are not seen"),
    Rule("HostConfig.UTSMode", "", "the computer's name is not seen"),
    Rule("HostConfig.CgroupnsMode", "private", "its place among the computer's groups is not seen"),
    Rule("HostConfig.Init", True, "a first process that reaps children and hands signals on"),
    Rule("HostConfig.Devices", [], "no device of the computer"),
    Rule("HostConfig.RestartPolicy", {"Name": "no"}, "what has ended stays so: the worker decides"),
    Rule("HostConfig.AutoRemove", False, "the reason of its end is read before it is removed"),
    Rule("HostConfig.OomScoreAdj", 500, "when the whole computer lacks memory, a task goes first"),
    Rule("HostConfig.CpuShares", 256, "the owner's own programs get the processor first"),
    Rule("HostConfig.PublishAllPorts", False, "nothing of it is reachable from outside"),
    Rule("Hostname", "task", "the computer's name is not told"),
    Rule("WorkingDir", TASK_FOLDER, "as the original documentation says"),
    Rule("OpenStdin", False, "nobody talks to a task"),
    Rule("Tty", False, "output stays bytes, and no terminal can be played with"),
    Rule("AttachStdout", True, "its output is read as it comes"),
    Rule("AttachStderr", True, "its output is read as it comes"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an order does not say: image, user, network, who asks, and what the engine is like."""

    image: str  # the id that the image's name stood for when it was looked up
    user: str  # uid:gid
    seccomp: str
    labels: dict[str, str]
    network: str = "none"
    pids: int = PIDS
    log_bytes: int = LOG_BYTES
    log_driver: str = "local"  # keeps bytes as they are; json-file puts marks for what is not UTF-8
    remapped: bool = False
    selinux: bool = False
    workspace: str = ""  # as the engine's computer names it, where that is not as the order does
    binds: Sequence[str] = ()  # further folders, as the engine writes them: SOURCE:TARGET:ro
    variables: Sequence[tuple[str, str]] = ()
    import_path: Sequence[str] = field(default=())


def rules_for(order: RunOrder, around: Surroundings) -> tuple[Rule, ...]:
    """All rules of one container."""
    security = ["no-new-privileges", f"seccomp={around.seccomp}"]
    logs = {"max-size": str(around.log_bytes), "max-file": "2"}
    return (
        *FIXED,
        Rule("Image", around.image, "the volunteer's image, by what it is and not by its name"),
        Rule("User", around.user, "the volunteer's own user or nobody, never root of the computer"),
        Rule(
            "Entrypoint",
            ["python3", f"{TASK_FOLDER}/{order.entry}"],
            "the task's script, whatever the image says",
        ),
        Rule("Cmd", [], "the image's own words are not added"),
        Rule("Env", _variables(order, around), "nothing of the worker's own environment"),
        Rule(
            "Labels",
            _labels(order, around),
            "found again after a crash, told apart from containers of others",
        ),
        Rule(
            "HostConfig.Tmpfs",
            {"/tmp": _temporary(around.user)},  # noqa: S108 - inside it
            "temporary files count as memory of the task, and programs cannot be started from there",
        ),
        Rule("HostConfig.SecurityOpt", security, "no new rights by any program; only calls of seccomp.json"),
        Rule("HostConfig.NetworkMode", around.network, "no network unless the owner grants one"),
        *(_own_names(around.network)),
        Rule("HostConfig.Memory", order.memory_bytes, "the limit that the task was accepted with"),
        Rule("HostConfig.MemorySwap", order.memory_bytes, "the same: no swap on top"),
        Rule("HostConfig.PidsLimit", around.pids, "a fork bomb ends at this number"),
        Rule("HostConfig.CpuPeriod", CPU_PERIOD_US, "the unit of the processor's share"),
        Rule(
            "HostConfig.CpuQuota",
            cpu_quota(order.cpu_cores),
            "the share of processors that it was accepted with",
        ),
        Rule("HostConfig.Ulimits", _ulimits(order.disk_bytes), "open files, one file's size, no core dumps"),
        Rule("HostConfig.Binds", _binds(order, around), "its workspace, under both documented names"),
        Rule("HostConfig.UsernsMode", "host" if around.remapped else "", "files belong to the volunteer"),
        Rule(
            "HostConfig.LogConfig", {"Type": around.log_driver, "Config": logs}, "the engine's log is bounded"
        ),
        Rule("HostConfig.DeviceRequests", _gpus(order.gpu), "graphics processors only when asked for"),
    )


def message(rules: Sequence[Rule]) -> dict[str, Any]:
    """The engine's "create container" message that says these rules."""
    whole: dict[str, Any] = {}
    for rule in rules:
        *folders, name = rule.option.split(".")
        at = whole
        for folder in folders:
            at = at.setdefault(folder, {})
        at[name] = rule.value
    return whole


def cpu_quota(cores: float) -> int:
    """Microseconds of processor in each period; the engine takes nothing below 1000."""
    return max(1000, int(cores * CPU_PERIOD_US))


def _temporary(user: str) -> str:
    # Its owner is named, as the mode becomes that of the image's own folder, whatever is asked for.
    uid, _, gid = user.partition(":")
    return f"rw,nosuid,nodev,noexec,mode=1777,uid={uid},gid={gid},size=64m"


def _variables(order: RunOrder, around: Surroundings) -> list[str]:
    # The image's user has no home here, and programs look for one. Imports find the task's folder
    # also from a script that lies deeper.
    path = ":".join((TASK_FOLDER, *around.import_path))
    ours = (("TASK_ID", order.task_id), ("PYTHONUNBUFFERED", "1"), ("HOME", "/tmp"), ("PYTHONPATH", path))  # noqa: S108
    return [f"{name}={value}" for name, value in (*ours, *around.variables)]


def _labels(order: RunOrder, around: Surroundings) -> dict[str, str]:
    own = {LABEL_TASK: order.task_id, LABEL_KEY: order.key, LABEL_ATTEMPT: str(order.attempt)}
    return {**around.labels, **own}


def _own_names(network: str) -> tuple[Rule, ...]:
    if network != "none":
        return ()
    return (
        Rule("HostConfig.Dns", ["127.0.0.1"], "the computer's name servers are not told"),
        Rule("HostConfig.DnsSearch", ["."], "nor its domain"),
    )


def _ulimits(disk_bytes: int) -> list[dict[str, Any]]:
    bounds = {"nofile": OPEN_FILES, "core": 0, "fsize": disk_bytes + FILE_ROOM_BYTES}
    return [{"Name": name, "Soft": most, "Hard": most} for name, most in bounds.items()]


def _binds(order: RunOrder, around: Surroundings) -> list[str]:
    # Written the short way: then the folder need not be there yet when the container is made.
    mode = "rw,Z" if around.selinux else "rw"
    workspace = around.workspace or order.workspace
    own = [f"{workspace}:{name}:{mode}" for name in (TASK_FOLDER, WORKSPACE_FOLDER)]
    return [*own, *around.binds]


def _gpus(gpu: float) -> list[dict[str, Any]]:
    return [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}] if gpu > 0 else []
