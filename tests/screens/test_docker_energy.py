"""A real container's energy as its history tells it, alike in window, page, API and command."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from hivemind_worker.model.days import day_of
from hivemind_worker.presentation.work_history import cells, table_of
from hivemind_worker.worker_node import WorkerNode
from tests.contract.docker_engine import IMAGE, shared_engine, why_not
from tests.e2e.process import command
from tests.e2e.test_guest import offer, until
from tests.e2e.test_verdicts_cleared import DOCKER, life
from tests.fakes.node import FakeNode
from tests.screens.stand import standing
from tests.screens.test_history_forms import BROWSER, Tables
from tests.web import wire

pytestmark = [pytest.mark.release]
BURNS_S = 1.5
BURNS = f"import time\nwhile time.process_time() < {BURNS_S}:\n    pass\n"


@pytest.fixture
async def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WorkerNode]:
    if why_not():
        pytest.skip(why_not())
    monkeypatch.setenv("DOCKER_HOST", shared_engine().url)
    monkeypatch.delenv("DISPLAY", raising=False)
    async with life(tmp_path / "home", **DOCKER) as made:
        await until(lambda: made.snapshot().runtime.ready)
        yield made


async def test_the_energy_of_a_container_is_told_alike_everywhere(node: WorkerNode, tmp_path: Path) -> None:
    await offer(node, 0, BURNS)
    async with asyncio.timeout(60):
        while not (ended := await node.ended_tasks(5)):
            await asyncio.sleep(0.1)
    (task,) = ended
    assert (task.runtime, task.exit_code) == ("docker", 0)
    assert task.usage.cpu_s > BURNS_S / 3, "a look each second at least"

    port = int(node.api_url.rpartition(":")[2].strip("/"))
    token = node.parts.places.token_file.read_text().strip()
    told = (await wire.ask(port, "/api/v1/work-history?by=image", token=token)).values
    table = table_of(told)
    (row,) = table.rows
    assert IMAGE in row.key and row.completed == 1
    joules = (row.energy_kwh or 0.0) * 3.6e6
    assert joules > 0
    if told["total"]["energy_sources"] == ["estimate"]:  # a meter tells what it tells
        watts = node.settings.full_load_w / (os.cpu_count() or 1)
        assert joules == pytest.approx(task.usage.cpu_s * watts, rel=0.02)

    _code, out, err = await command(tmp_path / "home", "history", "--by", "image", "--json")
    assert json.loads(out) == told, err
    _code, out, _err = await command(tmp_path / "home", "history", "--by", "image")
    numbers = cells(row, table, "")[1:]
    printed = [re.split(r"  +", line)[1:] for line in out.split("\n\n")[0].splitlines()[1:]]
    assert printed[0] == list(numbers)

    page = Tables()
    answer = await wire.ask(port, "/history?by=image", token=token, headers=BROWSER)
    page.feed(answer.body.decode())
    assert tuple(page.lines[1][1:]) == numbers

    today = day_of(time.time())
    real = await node.work_history(today, today)  # what the window asks its port for
    shown = FakeNode(tmp_path / "window", clock=time.time)
    shown.work = list(real.work)
    shown.settings = replace(shown.settings, full_load_w=real.full_load_w)
    with standing(tmp_path / "window", "history", shown) as stand:
        stand.screen.choose_by("image")  # type: ignore[attr-defined]
        assert tuple(stand.screen.lines.texts()[0][1:]) == numbers  # type: ignore[attr-defined]
