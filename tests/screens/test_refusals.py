"""Beside every field that refuses a value: why, and behind a link all that is known of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QAbstractButton, QWidget

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.judgement import Follows, Judgement, RuleCode, RuleView
from hivemind_worker.model.rules import Amount, Level
from hivemind_worker.model.sending import SendStep
from hivemind_worker.model.task import Problem
from hivemind_worker.ui.fault_details import FaultDetails
from hivemind_worker.ui.sign_in import SignIn
from tests.fakes.node import NOW_S, FakeNode
from tests.screens.scenes import sending
from tests.screens.stand import Stand, standing

FULL = Problem(code=FaultCode.DISK_FULL, about="/home")


def links(root: QWidget) -> list[QAbstractButton]:
    return [b for b in root.findChildren(QAbstractButton) if b.text() == "Details" and b.isVisible()]


def told(stand: Stand, root: QWidget) -> str:
    """What the one link below a widget opens."""
    (link,) = links(root)
    link.click()
    (shown,) = root.window().findChildren(FaultDetails)
    text = shown.text.toPlainText()
    shown.close()
    stand.look()
    return text


def test_a_setting_that_does_not_fit_and_one_that_cannot_be_kept(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "settings", node) as stand:
        row = stand.screen.rows["max_concurrent_tasks"]  # type: ignore[attr-defined]
        assert links(row) == []
        row.take(0)
        stand.look()
        text = told(stand, row)
        assert "Code: bad_setting" in text
        assert "Particulars: max_concurrent_tasks: 0 is refused: it must be at least 1" in text
        row.refuse(FULL)
        stand.look()
        assert "Code: disk_full" in told(stand, row)
        row.put_back()
        assert links(row) == []


def test_a_start_with_the_session_that_cannot_be_set(tmp_path: Path, node: FakeNode) -> None:
    node.care.refuse_with = Problem(code=FaultCode.NO_PERMISSION, about="autostart")
    with standing(tmp_path, "settings", node) as stand:
        row = stand.screen.autostart  # type: ignore[attr-defined]
        row.switch.click()
        stand.look()
        assert not row.switch.isChecked()
        assert "Code: no_permission" in told(stand, row)


def test_a_login_that_the_pool_refuses(tmp_path: Path, node: FakeNode) -> None:
    node.pools.refuse_with = Problem(code=FaultCode.WRONG_PASSWORD, about="no such user")
    with standing(tmp_path, "pools", node) as stand:
        stand.press("Add a pool…")
        dialog = stand.screen.dialog  # type: ignore[attr-defined]
        assert isinstance(dialog, SignIn)
        dialog.try_it()
        assert dialog.refused.text() and links(dialog) == [], "what is left to fill in is no fault"
        for field in (dialog.address, dialog.user, dialog.password):
            field.setText("a.example:1")
        dialog.try_it()
        assert "Code: wrong_password" in told(stand, dialog)
        dialog.reject()


def test_a_rule_that_does_not_fit(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "rules", node) as stand:
        stand.screen.rows["Other programs"].change.click()  # type: ignore[attr-defined]
        editor = stand.screen.dialog  # type: ignore[attr-defined]
        next(iter(editor.fields.values())).setValue(-5)
        editor.take()
        assert "Code: bad_setting" in told(stand, editor)
        editor.reject()


def test_a_task_that_could_not_be_sent(tmp_path: Path, node: FakeNode) -> None:
    node.sending.put(sending("coast-tiles", SendStep.FAILED, NOW_S, problem=FULL))
    with standing(tmp_path, "pools", node) as stand:
        assert "Code: disk_full" in told(stand, stand.screen.sending.under_way)  # type: ignore[attr-defined]


@pytest.mark.parametrize("level", [Level.LIGHT, Level.NORMAL])
def test_what_the_owner_wants_so_is_no_fault(tmp_path: Path, node: FakeNode, level: Level) -> None:
    judgement = Judgement(level=level, amount=Amount(cores=1, cpu_percent=50))
    node.picture = replace(node.picture, judgement=judgement, tasks=(), owed_results=0)
    with standing(tmp_path, "home", node) as stand:
        assert stand.says("Lending at the level")
        assert links(stand.screen) == []
        rule = RuleView(RuleCode.IN_USE, on=True, follows=Follows.FREEZE, known=True, blocks=True, value=1.0)
        held = replace(judgement, rules=(rule,))
        node.picture = replace(node.picture, judgement=held)
        stand.look()
        assert stand.says("this computer")
        assert links(stand.screen) == []
