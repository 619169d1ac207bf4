"""Notices by the tray's icon follow the worker's pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QSettings

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.notifier import EVERY_S, Notifier
from tests.fakes.node import NOW_S, FakeNode
from tests.screens.stand import AtOnce


def test_a_full_disk_is_told_once_and_not_where_the_owner_wants_no_notice(
    tmp_path: Path, node: FakeNode
) -> None:
    now_s = [NOW_S]
    node._clock = lambda: now_s[0]
    bridge = Bridge(AtOnce("notices"), QSettings(str(tmp_path / "w.ini"), QSettings.Format.IniFormat))
    said: list[tuple[str, str, str]] = []
    notifier = Notifier(bridge, lambda title, text, place: said.append((title, text, place)))
    bridge.attach(node)
    assert said == []
    node.picture = replace(node.picture, blocker=Problem(code=FaultCode.DISK_FULL, about="0.1 GiB free"))
    for _number in range(3):
        now_s[0] += EVERY_S
        bridge._tell()
    assert said == [
        ("The disk is too full: 0.1 GiB free.", "Free some space; work goes on by itself.", "doctor")
    ]
    node.picture = replace(node.picture, blocker=None)
    now_s[0] += 4000
    bridge._tell()
    node.settings = replace(node.settings, notify_computer=False)
    node.picture = replace(node.picture, blocker=Problem(code=FaultCode.DISK_FULL, about="0.1 GiB free"))
    now_s[0] += EVERY_S
    bridge._tell()
    assert len(said) == 1
    bridge.detach()
    notifier.deleteLater()
