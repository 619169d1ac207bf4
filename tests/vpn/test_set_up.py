"""The set-up in a real window under Xvfb, by keyboard, with a real tunnel: from the paste to a first task."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

from tests.e2e.process import keep_login
from tests.ui.screen import xvfb
from tests.vpn.conftest import PASSWORD
from tests.vpn.namespaces import Inside, Town
from tests.vpn.test_joining import POOL, Sent

pytestmark = pytest.mark.release


def test_from_a_paste_by_keyboard_to_the_result_of_a_first_task(
    town: Town, pool: Inside, worker: Inside, password: Path, tmp_path: Path
) -> None:
    worker.home.mkdir(exist_ok=True)
    keep_login(worker.home, POOL, "wim", PASSWORD)
    profile = tmp_path / "profile.conf"
    profile.write_text(town.profile())
    with xvfb() as (display, _process):
        words = ("-m", "tests.vpn.set_up_by_keys", str(profile), str(tmp_path))
        root = str(Path(__file__).parents[2])
        worker.start(
            *words, program=(sys.executable,), DISPLAY=display, QT_QPA_PLATFORM="xcb", PYTHONPATH=root,
            HIVEMIND_LANGUAGE="en",
        )  # fmt: skip
        try:
            worker.said('"joined_s"', 90)
            said = next(line for line in worker.log.read_text().splitlines() if '"joined_s"' in line)
            joined_s = json.loads(said)["joined_s"]
            sent_s = time.monotonic()
            assert Sent(pool, tmp_path / "first", password).result() == "5050"
            print(f"joined after {joined_s} s, a first task {time.monotonic() - sent_s:.1f} s later")
            assert joined_s < 120
        finally:
            worker.end()
    for number in range(1, 6):
        assert QImage(str(tmp_path / f"step-{number}.png")).width() >= 900
    assert town.keys["worker"].private not in worker.log.read_text("utf-8", "replace")
