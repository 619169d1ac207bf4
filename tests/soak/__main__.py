"""The long form: `python -m tests.soak [--tasks 2000] [--docker]`; exit code 1 when anything is left."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import hivemind_worker.pool  # noqa: F401 - sets what grpc reads when it is imported
from hivemind_worker.runtimes.docker.engine import CONNECT_THREADS
from tests.contract.docker_engine import session_engine
from tests.soak.soak import AT_ONCE, in_docker, soaking


async def main(tasks: int, docker: bool) -> int:
    """Play it and print what was held before and after each part."""
    left = []
    more, threads = (in_docker(session_engine()), CONNECT_THREADS) if docker else ({}, 0)
    with tempfile.TemporaryDirectory(prefix="hivemind-soak-") as folder:
        async with soaking(Path(folder), **more) as soak:
            before = await soak.held()
            print(f"at the start: {before}", flush=True)
            for at_once in (1, AT_ONCE):
                began_s = time.monotonic()
                await soak.run(tasks, at_once)
                after, took_s = await soak.held(), time.monotonic() - began_s
                print(f"{tasks} tasks, {at_once} at once, {took_s:.0f} s: {after}", flush=True)
                left += after.against(before, threads)
    print("\n".join(left) or "nothing was left behind")
    return 1 if left else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--tasks", type=int, default=2000, help="for each of the two parts")
    parser.add_argument("--docker", action="store_true", help="in an engine of its own; else built in")
    words = parser.parse_args()
    sys.exit(asyncio.run(main(words.tasks, words.docker)))
