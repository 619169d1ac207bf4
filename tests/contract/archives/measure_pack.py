"""A process of its own that packs one folder and tells what it cost: `python -m … FOLDER TARGET LOG`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psutil

from hivemind_worker.runtimes.workspace import Workspace
from tests.contract.archives.measure import peak_bytes


def main() -> None:
    folder, target, log = map(Path, sys.argv[1:])
    base = psutil.Process().memory_info().rss
    start = time.perf_counter()
    packed = Workspace().pack(folder, target, [("execution_log.txt", b"ours\n"), ("task_logs.txt", log)])
    seconds = time.perf_counter() - start
    problem = packed.problem.code.value if packed.problem else None
    print(json.dumps({"problem": problem, "seconds": seconds, "bytes": max(0, peak_bytes() - base)}))


if __name__ == "__main__":
    main()
