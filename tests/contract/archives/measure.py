"""A process of its own that looks at one archive and tells what it cost: `python -m … ARCHIVE [FOLDER]`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psutil

from hivemind_worker.model.task import Problem
from hivemind_worker.runtimes.workspace import Workspace


def peak_bytes() -> int:
    """The largest memory that this process has had."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    archive, *folders = map(Path, sys.argv[1:])
    base = psutil.Process().memory_info().rss
    start = time.perf_counter()
    workspace = Workspace()
    problem: object = workspace.inspect(archive)
    if folders and not isinstance(problem, Problem):
        problem = workspace.unpack(archive, folders[0])
    seconds = time.perf_counter() - start
    code = problem.code.value if isinstance(problem, Problem) else "ok"
    print(json.dumps({"verdict": code, "seconds": seconds, "bytes": max(0, peak_bytes() - base)}))


if __name__ == "__main__":
    main()
