"""The month's transfers by their effect: what passes is counted, then no new task is taken."""

from __future__ import annotations

import itertools
import os
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.process import WorkerProcess, command, keep_login, worker
from tests.engine.harness import zip_of
from tests.fakes.pool import ScriptedPool

pytestmark = pytest.mark.release

GIVES_BACK = "import os\nopen('made.bin', 'wb').write(os.urandom(700_000))\n"
LIMIT = "0.001"  # GB


async def first_verdict(running: WorkerProcess) -> dict[str, str]:
    return dict((await running.status())["verdicts"][0])


async def test_what_tasks_send_and_receive_uses_up_the_month_also_across_a_restart(tmp_path: Path) -> None:
    async with ScriptedPool(prompt=True) as pool:
        keep_login(tmp_path, pool.address)
        archive = zip_of({"main.py": GIVES_BACK, "noise.bin": os.urandom(200_000)})
        async with worker(tmp_path, pool.address) as first:
            assert (await command(tmp_path, "rules", "set", "month_on=true", f"month_gb={LIMIT}"))[0] == 0
            await pool.heard("RegisterWorkerNode")
            answer = await pool.offer(await first.address(), "a", archive)
            assert answer.success, answer.message  # 0 of 1 MB
            await pool.until(lambda: bool(pool.results["a"]), 30)
            await pool.until(lambda: len(pool.results["a"][0]) > 700_000, 5)
            refused = await refused_offer(pool, first, archive)
            assert "month_used_up" in refused
            verdict = await first_verdict(first)
            assert verdict["code"] == "month_used_up"
            assert "of 0.001 GB" in verdict["text"]
            assert verdict["ends_at"]
            assert await first.end() == 0
        async with worker(tmp_path, pool.address) as second:
            assert (await first_verdict(second))["code"] == "month_used_up"
            assert (await command(tmp_path, "rules", "set", "month_on=false"))[0] == 0
            assert (await first_verdict(second))["code"] != "month_used_up"
            answer = await pool.offer(await second.address(), "c", archive)
            assert answer.success, answer.message


async def refused_offer(pool: ScriptedPool, running: WorkerProcess, archive: bytes) -> str:
    """Offer until it is refused: the facts are looked at every few seconds."""
    address = await running.address()
    for number in itertools.count():
        answer = await pool.offer(address, name := f"b{number}", archive)
        if not answer.success:
            return str(answer.message)
        await pool.until(partial(pool.results.get, name), 30)
    raise AssertionError
