"""What the owner can press everywhere: pausing for a while, finishing, going on. Menu, strip, tray and keys
share this, so that no two of them mean different things.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.opening_words import PAUSED, RUN, RUN_MODES, SNOOZES_MIN, until_tomorrow
from hivemind_worker.ui.icons import icon

if TYPE_CHECKING:
    from hivemind_worker.ui.bridge import Bridge

MINUTE_S, HOUR_S = 60, 3600
# What is asked for is imported when it is asked: the window is painted before it.


def pause(bridge: Bridge, minutes: float | None = None) -> None:
    """Freeze all tasks, for so many minutes or until resumed."""
    from hivemind_worker.model.events import PauseAsked  # noqa: PLC0415

    now_s = time.time()
    until_s = None if minutes is None else now_s + minutes * MINUTE_S
    bridge.ask(PauseAsked(at_s=now_s, until_s=until_s))


def pause_until_tomorrow(bridge: Bridge) -> None:
    """Freeze all tasks until six in the morning."""
    from datetime import datetime  # noqa: PLC0415

    from hivemind_worker.model.events import PauseAsked  # noqa: PLC0415
    from hivemind_worker.presentation.moments import next_morning  # noqa: PLC0415

    until_s = next_morning(datetime.now().astimezone()).timestamp()
    bridge.ask(PauseAsked(at_s=time.time(), until_s=until_s))


def resume(bridge: Bridge) -> None:
    """Go on, and take work again."""
    from hivemind_worker.model.events import ResumeAsked  # noqa: PLC0415

    bridge.ask(ResumeAsked(at_s=time.time()))


def run_anyway(bridge: Bridge) -> None:
    """Work for an hour whatever the rules say."""
    from hivemind_worker.model.events import RunModeAsked  # noqa: PLC0415

    now_s = time.time()
    bridge.ask(RunModeAsked(at_s=now_s, ignores_rules=True, until_s=now_s + HOUR_S))


def retry(bridge: Bridge) -> None:
    """Take work again that failures in a row have put on hold."""
    from hivemind_worker.model.events import RetryAsked  # noqa: PLC0415

    bridge.ask(RetryAsked(at_s=time.time()))


def run_by(bridge: Bridge, mode: str) -> None:
    """Take one of the three run modes, until another is taken."""
    from hivemind_worker.model.events import RunModeAsked  # noqa: PLC0415

    if mode == PAUSED:
        pause(bridge)
    else:
        bridge.ask(RunModeAsked(at_s=time.time(), ignores_rules=mode == RUN, until_s=None))


def hold_gpu(bridge: Bridge, paused: bool) -> None:
    """Hold the tasks that use a graphics card, and no others, or let them go on."""
    from hivemind_worker.model.events import GpuPauseAsked  # noqa: PLC0415

    bridge.ask(GpuPauseAsked(at_s=time.time(), paused=paused))


def finish(bridge: Bridge, *, quit_after: bool = False) -> None:
    """Take no new task; pause or quit after the last one."""
    from hivemind_worker.model.events import FinishAsked  # noqa: PLC0415

    bridge.ask(FinishAsked(at_s=time.time(), quit_after=quit_after))


def is_held(bridge: Bridge) -> bool:
    """Whether the owner's own wish keeps work from running or being taken."""
    from hivemind_worker.model.snapshot import Mode  # noqa: PLC0415

    snapshot = bridge.snapshot
    return snapshot is not None and snapshot.node.mode in (Mode.PAUSED, Mode.FINISHING)


def toggle(bridge: Bridge) -> None:
    """Resume where the owner holds it, else pause."""
    (resume if is_held(bridge) else pause)(bridge)


def fill_pause_menu(menu: QMenu, bridge: Bridge, *, finishing: bool = True) -> None:
    """The lengths of a pause, and finishing, as they stand in every menu."""
    for minutes, word in SNOOZES_MIN:
        action = menu.addAction(icon("snooze"), _(word))
        action.triggered.connect(lambda _checked=False, minutes=minutes: pause(bridge, minutes))
    morning = menu.addAction(icon("snooze"), until_tomorrow())
    morning.triggered.connect(lambda _checked=False: pause_until_tomorrow(bridge))
    resumed = menu.addAction(icon("pause"), _("Until I resume"))
    resumed.triggered.connect(lambda _checked=False: pause(bridge))
    if finishing:
        menu.addSeparator()
        ending = menu.addAction(icon("finish"), _("Finish tasks then pause"))
        ending.triggered.connect(lambda _checked=False: finish(bridge))


def fill_mode_menu(menu: QMenu, bridge: Bridge) -> dict[str, QAction]:
    """The three run modes by their key, of which one is marked."""
    group, found = QActionGroup(menu), {}
    for key, icon_name, word, meaning in RUN_MODES:
        action = found[key] = menu.addAction(icon(icon_name), _(word))
        action.setToolTip(_(meaning))
        action.setStatusTip(_(meaning))
        action.setCheckable(True)
        group.addAction(action)
        action.triggered.connect(lambda _checked=False, key=key: run_by(bridge, key))
    menu.setToolTipsVisible(True)
    return found
