"""Workers killed at random and a server that is started again: no task is lost, none is done for twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nats.storm import storm


@pytest.mark.release
async def test_a_tenth_of_the_workers_killed_and_the_server_restarted_lose_nothing_and_double_nothing(
    tmp_path: Path,
) -> None:
    told = await storm(tmp_path, tasks=800, workers=100, processes=2, lasts_s=0.4, idle_s=0)
    assert (told.lost, told.twice, told.killed) == (0, 0, 10), told
