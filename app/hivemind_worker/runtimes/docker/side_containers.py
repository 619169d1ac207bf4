"""Containers of the worker's own work (looking into an image, installing packages): no right, no secret.

Tasks' own containers are `hardening`'s. Both are held to the same list of system calls.
"""

from __future__ import annotations

import os
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


def who_works() -> str:
    """The volunteer, so that the files are theirs; never root."""
    if os.name != "posix" or os.getuid() == 0:
        return f"{NOBODY}:{NOBODY}"
    return f"{os.getuid()}:{os.getgid()}"
