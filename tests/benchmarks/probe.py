"""A worker in a process of its own that can be asked how it fares: the loop's lateness, memory, processor.

Run as `python -m tests.benchmarks.probe`; a line on standard input is answered by a line of JSON with the
figures since the last one.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import psutil

from hivemind_worker.commands.resolve import resolve
from hivemind_worker.model.task import Problem
from hivemind_worker.store.worker_log import WorkerLog
from hivemind_worker.worker_node import WorkerNode

TICK_S = 0.005


class Lateness:
    """How late a 5 ms ticker of the loop came."""

    def __init__(self) -> None:
        self.late_s: list[float] = []

    async def run(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + TICK_S, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            self.late_s.append(max(0.0, time.monotonic() - due))

    def figures(self) -> dict[str, float]:
        late = sorted(self.late_s) or [0.0]
        self.late_s = []
        return {
            "worst_ms": late[-1] * 1000,
            "p999_ms": late[min(len(late) - 1, int(len(late) * 0.999))] * 1000,
        }


class Memory:
    """Resident memory, its peak looked at every 2 ms in a thread of its own."""

    def __init__(self) -> None:
        self.me = psutil.Process()
        self.peak = 0

    def watch(self) -> None:
        while True:
            self.peak = max(self.peak, self.me.memory_info().rss)
            time.sleep(0.002)

    def figures(self) -> dict[str, float]:
        now = self.me.memory_info().rss
        peak, self.peak = max(self.peak, now), now
        cpu = self.me.cpu_times()
        return {"rss": now, "peak_rss": peak, "cpu_s": cpu.user + cpu.system}


async def main(watching: bool) -> None:
    resolved = resolve({})
    assert not isinstance(resolved, Problem), resolved
    resolved.places.make()
    log = WorkerLog(resolved.places.logs)
    node = WorkerNode(
        settings=resolved.settings, set_by_hand=resolved.sources, places=resolved.places, worker_log=log
    )
    problem = await node.start()
    assert problem is None, problem
    lateness, memory = Lateness(), Memory()
    ticker = asyncio.ensure_future(lateness.run()) if watching else None
    if watching:
        asyncio.get_running_loop().run_in_executor(None, memory.watch)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while await reader.readline():
        print(json.dumps({**lateness.figures(), **memory.figures()}), flush=True)
    if ticker is not None:
        ticker.cancel()
    await node.stop()
    os._exit(0)  # the watching thread never ends


if __name__ == "__main__":
    asyncio.run(main("--watch" in sys.argv))
