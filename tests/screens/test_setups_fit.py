"""The first run and the set-up of the VPN, step by step: everything can be read, nothing scrolls sideways.

In the smallest window, at the usual text size and at twice that, in both languages.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QSettings
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QScrollArea, QWidget

from hivemind_worker.model.checkup import Check, CheckState
from hivemind_worker.model.machine import Gpu, GpuTrouble
from hivemind_worker.model.receipts import Seal
from hivemind_worker.model.sending import SendStep
from hivemind_worker.model.task import TaskState
from hivemind_worker.model.vpn import Rung, RungResult, RungState
from hivemind_worker.presentation.gpu import gpu_words
from hivemind_worker.presentation.setup_words import disk_of
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.text import Sentence
from hivemind_worker.ui.setup.trial import Trial
from hivemind_worker.ui.setup.window import SetupWindow
from hivemind_worker.ui.vpn_setup.window import VpnSetup
from tests.fakes.node import NOW_S, FakeNode, make_receipt, make_task
from tests.screens import scenes
from tests.screens.stand import AtOnce, dress, language
from tests.screens.test_every_screen import squeezed
from tests.vpn.corpus import GOOD

SMALLEST = (880, 560)
CHECKS = (
    Check(
        name="Docker",
        state=CheckState.WARN,
        text="not running",
        next_step="Start Docker, or use the built-in",
    ),
    Check(name="Sandbox", state=CheckState.OK, text="built-in; a test program ran"),
)
RUNGS = [
    RungResult(rung=rung, state=RungState.PASSED, fields=(("age", "1"), ("seconds", "0"))) for rung in Rung
]
PRINTED = ["primes below 400000", "  400,000     33,860", "done"]


@contextmanager
def bridged(node: FakeNode) -> Iterator[Bridge]:
    memory = QSettings(str(node.folder / "window.ini"), QSettings.Format.IniFormat)
    bridge = Bridge(AtOnce("setups"), memory)
    bridge.attach(node)
    bridge._ticker.stop()
    bridge._soon.stop()
    yield bridge
    bridge.detach()


def first_run(bridge: Bridge, node: FakeNode) -> SetupWindow:
    """As it is when the first task has been run."""
    node.care.checks = list(CHECKS)
    window = SetupWindow(bridge, None)
    window.steps[4].opened = lambda: None  # type: ignore[method-assign]
    window.join.pool.setChecked(True)
    told_task_done(window.trial, node)
    return window


def told_task_done(trial: Trial, node: FakeNode) -> None:
    sending = scenes.sending("first-task", SendStep.COMPLETED, NOW_S, result="/home/mira/first-task")
    node.sending.log[sending.task_id] = list(PRINTED)
    trial._show(node, sending)
    receipt = make_receipt(make_task(sending.task_id, TaskState.COMPLETED, exit_code=0))
    trial.receipt._show(receipt, Seal.OURS, sending)


def vpn_setup(bridge: Bridge, node: FakeNode) -> VpnSetup:
    """With a profile that is good."""
    node.vpn.results = list(RUNGS)
    window = VpnSetup(bridge, None)
    window.source.paste.setPlainText(GOOD)
    return window


@pytest.mark.parametrize("code", ["en", "zh_TW"])
@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("make", [first_run, vpn_setup])
def test_every_step_of_a_set_up_fits_the_smallest_window(
    node: FakeNode, make: object, scale: float, code: str
) -> None:
    dress("light", scale)
    with language(code), bridged(node) as bridge:
        window = make(bridge, node)  # type: ignore[operator]
        window.resize(*SMALLEST)
        window.show()
        found = {number: poor(window) for number in range(len(window.steps)) if shown(window, number)}
        window.close()
        settle()
    assert {number: texts for number, texts in found.items() if texts} == {}


def shown(window: SetupWindow | VpnSetup, number: int) -> bool:
    window.go(number)
    settle()
    return window.pages.currentWidget().isVisible()


def settle() -> None:
    for _round in range(8):
        QApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def poor(window: QWidget) -> list[str]:
    """Whatever cannot be read, or only by scrolling sideways."""
    seen = [each for each in window.findChildren(QWidget) if each.isVisible()]
    found = [text for each in seen if isinstance(each, Sentence) for text in squeezed(each)]
    for area in seen:
        if isinstance(area, QScrollArea) and area.horizontalScrollBar().maximum() > 0:
            found.append(f"scrolls sideways by {area.horizontalScrollBar().maximum()} px")
    for each in seen:
        if isinstance(each, (QLabel, QAbstractButton)) and not isinstance(each, Sentence) and each.text():
            wraps = isinstance(each, QLabel) and each.wordWrap()
            needed = each.minimumSizeHint() if wraps else each.sizeHint()
            if each.width() < needed.width() - 1:
                found.append(f"{each.text()!r}: {each.width()} of {needed.width()} px")
    if (window.width(), window.height()) != SMALLEST:
        found.append(f"needs {window.width()} by {window.height()} px")
    return found


def test_how_much_takes_disk_and_graphics_as_well(node: FakeNode) -> None:
    with bridged(node) as bridge:
        window = first_run(bridge, node)
        window.show()
        window.go(2)
        settle()
        shares = window.steps[2].shares  # type: ignore[attr-defined]
        assert shares.disk.number.suffix() == " of 90 GiB"
        shares.disk.number.setValue(60)
        assert shares.disk.rest.text() == "30 GiB are always kept free"
        shares.graphics.lend.setChecked(False)
        window.next.click()
        settle()
        assert node.settings.keep_free_gb == 30
        rules = node.rules.current
        assert (rules.light_gpu, rules.normal_gpu, rules.full_gpu) == (False, False, False)
        window.close()
        settle()


def test_less_disk_than_a_task_may_fill_cannot_be_chosen(node: FakeNode) -> None:
    """It would lend nothing at all: a task is taken only where it has room beside what stays free."""
    with bridged(node) as bridge:
        window = first_run(bridge, node)
        window.go(2)
        shares = window.steps[2].shares  # type: ignore[attr-defined]
        shares.disk.number.setValue(1)
        assert shares.disk.number.value() == node.settings.task_disk_gb
        window.close()
        settle()


@pytest.mark.parametrize("cards", [(), (Gpu(name="Radeon RX 580", trouble=GpuTrouble.OTHER_MAKER),)])
def test_without_a_card_that_works_a_line_says_so_and_nothing_is_asked(
    node: FakeNode, cards: tuple[Gpu, ...]
) -> None:
    with bridged(node) as bridge:
        bridge.sample = replace(scenes.SAMPLE, gpus=cards, disk_available_gb=3.0)
        window = first_run(bridge, node)
        window.show()
        window.go(2)
        settle()
        shares = window.steps[2].shares  # type: ignore[attr-defined]
        assert shares.graphics.found.text() == gpu_words(cards)
        assert not shares.graphics.lend.isVisible()
        assert shares.graphics.chosen() == {}
        assert not shares.disk.isVisible(), "no room to lend: a line says how much there is"
        assert shares.no_disk.text().startswith("3.0 GiB free")
        assert "keep_free_gb" not in shares.chosen()
        window.close()
        settle()


@pytest.mark.parametrize("preset", ["gentle", "night", "server"])
@pytest.mark.parametrize("free_gb", [4.5, 8.0, 30.0, 90.0, 2000.0])
def test_a_preset_lends_disk_for_a_task_and_never_all_of_a_large_one(preset: str, free_gb: float) -> None:
    lent = disk_of(preset, free_gb, 4.0)
    assert 4.0 <= lent <= free_gb
    assert free_gb < 9 or free_gb - lent >= 5
