"""A large result on its way out: the loop stays prompt, memory within four times the archive."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import TaskId
from hivemind_worker.model.work import Sent
from tests.contract.gauge import MIB, Gauge
from tests.contract.link import linked
from tests.contract.pool_process import pool_process


@pytest.mark.slow
@pytest.mark.parametrize("mib", [95, 16])
async def test_a_large_result_goes_out_within_four_times_its_size(tmp_path: Path, mib: int) -> None:
    archive = tmp_path / "result.zip"
    archive.write_bytes(os.urandom(MIB) * mib)
    gauge = Gauge()
    ticking = asyncio.ensure_future(gauge.run())
    tries: list[str] = []
    async with pool_process() as address, linked(address) as link:
        await link.shows(LinkState.REGISTERED)
        for number in range(4):
            gauge.reset()
            started = time.perf_counter()
            sent = await link.client.send_result(TaskId(f"t{number}"), archive)
            seconds, reading = time.perf_counter() - started, gauge.read()
            assert sent == Sent(delivered=True)
            tries.append(f"{seconds:.2f} s, held up {reading.stall_ms:.0f} ms, +{reading.grown_mib:.0f} MiB")
            assert reading.grown_mib <= 4 * mib, tries
    ticking.cancel()
    print(*tries, sep="\n")
