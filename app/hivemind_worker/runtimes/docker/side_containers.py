"""Containers of the worker's own work (looking into an image, installing packages): no right, no secret.

Tasks' own containers are `hardening`'s. Both are held to the same list of system calls.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hivemind_worker import places
from hivemind_worker.runtimes.docker.hardening import NOBODY
from hivemind_worker.runtimes.docker.seccomp import seccomp_text

if TYPE_CHECKING:
    from docker import APIClient

MEMORY_BYTES = 2 << 30
NANO_CPUS = 2_000_000_000
PIDS = 128
TMP_MIB = 64


def closed_host(api: APIClient, **changes: Any) -> dict[str, Any]:
    """The engine's "host config" of such a container: no network unless `changes` gives one."""
    from docker.types import LogConfig, Ulimit  # noqa: PLC0415 - the SDK is there when a client is

    seccomp = seccomp_text(places.resources() / "seccomp.json")
    options: dict[str, Any] = {
        "network_mode": "none", "read_only": True, "cap_drop": ["ALL"], "pids_limit": PIDS, "init": True,
        "security_opt": ["no-new-privileges", f"seccomp={seccomp}"], "ipc_mode": "private",
        "mem_limit": MEMORY_BYTES, "memswap_limit": MEMORY_BYTES, "nano_cpus": NANO_CPUS,
        "tmpfs": {"/tmp": f"size={TMP_MIB}m,nosuid,nodev,noexec,mode=1777"},  # noqa: S108 - inside it
        "log_config": LogConfig(type="json-file", config={"max-size": "1m", "max-file": "1"}),
        "ulimits": [Ulimit(name="core", soft=0, hard=0), Ulimit(name="nofile", soft=1024, hard=1024)],
    }  # fmt: skip
    return dict(api.create_host_config(**{**options, **changes}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """How a folder of the volunteer's is worked on in such a container, on this engine."""

    user: str  # uid:gid inside
    owner: int | None  # whose the folder must be first; None: it is theirs already
    userns_mode: str | None
    label: str  # what a mount's mode needs besides


def bench_of(api: APIClient) -> Bench:
    """The volunteer, so that the files are theirs; never root of the computer."""
    told = " ".join(map(str, api.info().get("SecurityOptions") or ()))
    label, userns = (",z" if "name=selinux" in told else ""), ("host" if "name=userns" in told else None)
    if "name=rootless" in told:  # its 0 is the volunteer, who has no right that it lacks
        return Bench(user="0:0", owner=None, userns_mode=None, label=label)
    user = who_works()
    is_root = os.name == "posix" and os.getuid() == 0
    return Bench(user=user, owner=NOBODY if is_root else None, userns_mode=userns, label=label)


def who_works() -> str:
    """The volunteer's own numbers; nobody's where that is root or unknown."""
    if os.name != "posix" or os.getuid() == 0:
        return f"{NOBODY}:{NOBODY}"
    return f"{os.getuid()}:{os.getgid()}"
