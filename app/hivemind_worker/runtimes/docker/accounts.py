"""What the kernel has counted for a container, where this computer runs it (Linux, both kinds of cgroups).

The engine is asked seldom, as each answer costs it milliseconds, and after the end it knows nothing more:
tasks of a few seconds would seem to have used next to nothing. These files cost microseconds.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Processor seconds since the start, most memory at once; 0 where the kernel does not tell."""

    cpu_s: float = 0.0
    peak_bytes: int = 0


def account_of(pid: int, container: str, root: Path = ROOT, processes: Path = Path("/proc")) -> Account:
    """Of the container that this process is in, if it is the one with this id. Blocks for microseconds."""
    cpu_s, peak_bytes = 0.0, 0
    for controllers, path in _groups(processes / str(pid) / "cgroup"):
        if container not in path:
            continue
        if not controllers:
            for base in (root, root / "unified"):
                cpu_s = max(cpu_s, _field(base / path / "cpu.stat", "usage_usec") / 1e6)
                peak_bytes = max(peak_bytes, _number(base / path / "memory.peak"))
        if "cpuacct" in controllers.split(","):
            for name in {controllers, "cpuacct"}:
                cpu_s = max(cpu_s, _number(root / name / path / "cpuacct.usage") / 1e9)
        if controllers == "memory":
            peak_bytes = max(peak_bytes, _number(root / "memory" / path / "memory.max_usage_in_bytes"))
    return Account(cpu_s=cpu_s, peak_bytes=peak_bytes)


def _groups(file: Path) -> list[tuple[str, str]]:
    """Controllers ("" for the unified hierarchy) and the group's path, relative."""
    with contextlib.suppress(OSError):
        lines = file.read_text(encoding="ascii", errors="replace").splitlines()
        parts = [line.split(":", 2) for line in lines if line.count(":") >= 2]
        return [(controllers, path.lstrip("/")) for _number_of_it, controllers, path in parts]
    return []


def _number(file: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(file.read_text())
    return 0


def _field(file: Path, name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        return next(
            (int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(f"{name} ")), 0
        )
    return 0
