"""The scientific pack as an owner adds it: one command, from a file; then a task that needs it runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e.process import command

pytestmark = pytest.mark.release


async def test_the_pack_is_added_in_one_step_and_the_demo_runs_a_task_that_needs_it(tmp_path: Path) -> None:
    more = {"HIVEMIND_SANDBOX": str(tmp_path / "sandbox")}
    wheel = os.environ["HIVEMIND_TEST_WHEEL"]  # set by `make test-release`
    code, out, err = await command(
        tmp_path, "sandbox", "add", "scientific", "--wheel", wheel, "--json", limit_s=400, **more
    )
    assert code == 0, err + out
    assert "numpy" in json.loads(out.splitlines()[-1])["interpreter"]
    code, out, err = await command(
        tmp_path, "demo", "--json", "--tasks", "4", "--out", str(tmp_path / "out"), limit_s=400, **more
    )
    assert code == 0, err + out
    rows = {row["task"]: row for row in map(json.loads, out.splitlines()[:-1])}
    assert any(name.endswith(".png") for name in rows["clusters-4"]["files"])
    picture = next((tmp_path / "out" / "clusters-4").glob("*.png")).read_bytes()
    assert picture.startswith(b"\x89PNG")


async def test_a_wheel_that_is_another_file_is_refused_by_its_digest(tmp_path: Path) -> None:
    (tmp_path / "other.whl").write_bytes(b"something else")
    code, _, err = await command(
        tmp_path, "sandbox", "add", "scientific", "--wheel", str(tmp_path / "other.whl")
    )
    assert code == 10
    assert "not the one expected" in err
