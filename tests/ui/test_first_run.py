"""The first run by keyboard alone, on a real worker in the app's own process, to a finished task."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QCheckBox, QWidget

from hivemind_worker.model.events import ConditionReported
from hivemind_worker.model.facts import Condition
from hivemind_worker.model.rules import preset
from hivemind_worker.model.sending import SendStep
from hivemind_worker.model.settings import Settings
from hivemind_worker.nursery import Nursery
from hivemind_worker.places import find_places
from hivemind_worker.store.worker_log import WorkerLog
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.setup.trial import Trial
from hivemind_worker.ui.shell import Shell
from hivemind_worker.worker_node import WorkerNode

LIMIT_S = 150.0


def press(key: str) -> None:
    """To whatever has the focus, as a keyboard does."""
    target = QApplication.focusWidget()
    assert target is not None, "nothing has the focus"
    QTest.keySequence(target, key)


def tick_off(step: QWidget, text: str) -> None:
    """With the space bar."""
    box = next(each for each in step.findChildren(QCheckBox) if each.text() == text)
    assert box.isChecked()
    box.setFocus()
    press("Space")
    assert not box.isChecked()


def rules_forbid() -> ConditionReported:
    """A word from outside that holds all work back."""
    now_s = time.time()
    return ConditionReported(
        at_s=now_s,
        condition=Condition(name="sun", ok=False, reason="cloudy", since_s=now_s, ends_at_s=now_s + 600),
    )


@pytest.mark.slow
async def test_the_first_run_by_keyboard_alone_ends_with_a_real_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = find_places(str(tmp_path / "home"))
    places.make()
    worker_log = WorkerLog(places.logs)
    settings = Settings(node_port=0, web_port=0, master_address="127.0.0.1:1", node_id="first")
    node = WorkerNode(
        settings=settings, set_by_hand={"web_port": "command line"}, places=places, worker_log=worker_log
    )
    nursery = Nursery("window")
    memory = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
    bridge = Bridge(nursery, memory)
    shell = Shell(bridge, memory, quit=lambda: None, tray_available=lambda: False)
    try:
        shell.start(hidden=False)
        shell.complete()
        assert await node.start() is None
        await node.ask(rules_forbid())  # as they do for everybody who sits at the computer
        bridge.attach(node)
        shell.started()
        await _through(shell)
        trial = shell.setup.trial if shell.setup is not None else None
        assert trial is not None
        await _finished(trial)
        result = Path(trial.sending.result)
        assert json.loads((result / "result.json").read_text())["400000"] == 33860
        assert not node.snapshot().node.ignores_rules
        assert node.rules.current == replace(preset("night"), load_on=False)
        assert trial.receipt.sealed.text() == "The signature is valid"
        assert ("Ended", "exit code 0, trust +2") in trial.receipt.pairs.shown()
        assert "33,860" in trial.output.toPlainText()
        press("Return")
        async with asyncio.timeout(5):
            while shell.setup is not None:
                await asyncio.sleep(0.01)
        assert memory.value("setup/done", type=bool)
    finally:
        shell.stopping()
        bridge.detach()
        await node.stop()
        await nursery.close()
        shell.close()
        worker_log.close()


async def _through(shell: Shell) -> None:
    """Enter on each of the first four steps, once it can be gone on from."""
    async with asyncio.timeout(60):
        for number in range(4):
            setup = shell.setup
            assert setup is not None
            assert setup.number == number
            while not (setup.isActiveWindow() and setup.next.isEnabled() and setup.next.hasFocus()):
                await asyncio.sleep(0.02)
            if number == 2:  # how much: known once the figures are
                while not setup.steps[2].shares.memory.number.value():
                    await asyncio.sleep(0.02)
                tick_off(setup.steps[2], "Pause when other programs need the processor")
                setup.next.setFocus()
            press("Return")
            while setup.number == number:
                await asyncio.sleep(0.02)


async def _finished(trial: Trial) -> None:
    async with asyncio.timeout(LIMIT_S):
        while trial.sending is None or not trial.sending.step.has_ended or not trial.ready():
            await asyncio.sleep(0.05)
    assert trial.sending.step is SendStep.COMPLETED, trial.sending
