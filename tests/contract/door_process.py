"""A door in a process of its own, so that its memory can be told from the caller's.

Prints its address, then answers each line on standard input: `reset`, or `read` with a JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from tests.contract.door import open_door
from tests.contract.gauge import Gauge, Reading

ROOT = Path(__file__).parents[2]


async def main() -> None:
    gauge = Gauge()
    ticking = asyncio.create_task(gauge.run())
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        async with open_door(Path(folder)) as worker:
            print(worker.address, flush=True)
            while line := await lines.readline():
                if line.strip() == b"reset":
                    gauge.reset()
                    print("{}", flush=True)
                    continue
                spooled = [path.stat().st_size for path in worker.spool.iterdir()]
                print(json.dumps({"reading": asdict(gauge.read()), "spooled": spooled}), flush=True)
    ticking.cancel()


class DoorProcess:
    """The caller's side of it."""

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self.process = process
        self.address = address
        self.spooled: list[int] = []

    async def _ask(self, word: str) -> dict[str, object]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(word.encode() + b"\n")
        line = await asyncio.wait_for(self.process.stdout.readline(), 20)
        return dict(json.loads(line))

    async def reset(self) -> None:
        await self._ask("reset")

    async def read(self) -> Reading:
        told = await self._ask("read")
        self.spooled = told["spooled"]  # type: ignore[assignment]
        return Reading(**told["reading"])  # type: ignore[arg-type]


@asynccontextmanager
async def door_process() -> AsyncIterator[DoorProcess]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.contract.door_process", cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin and process.stdout
    try:
        address = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
        yield DoorProcess(process, address)
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 20)


if __name__ == "__main__":
    asyncio.run(main())
