"""A scripted pool in a process of its own, so that it does not share the worker's loop and memory.

Prints its address; ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fakes.pool import ScriptedPool

ROOT = Path(__file__).parents[2]


async def main() -> None:
    async with ScriptedPool() as pool:
        print(pool.address, flush=True)
        await asyncio.to_thread(sys.stdin.read)


@asynccontextmanager
async def pool_process() -> AsyncIterator[str]:
    """Its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.contract.pool_process", cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin and process.stdout
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 20)


if __name__ == "__main__":
    asyncio.run(main())
