"""Pools: the active one, the kept ones, leaving one for another, trying it here, sending a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QLabel, QPlainTextEdit

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pools import Leaving
from hivemind_worker.model.sending import SendStep
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem
from hivemind_worker.ui.dialogs import Question
from hivemind_worker.ui.sign_in import SignIn
from tests.fakes.node import NOW_S, FakeNode
from tests.screens.scenes import ACTIVE, OLD, OTHER, fresh, sending
from tests.screens.stand import Stand, standing


def question(stand: Stand) -> Question:
    found = stand.screen.dialog  # type: ignore[attr-defined]
    assert isinstance(found, Question)
    return found


def answer(stand: Stand, key: str) -> None:
    question(stand).buttons[key].click()
    stand.look()


def test_the_active_pool_is_told_with_its_account(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "pools", node) as stand:
        for text in (ACTIVE, "Connected", "mira", "1,206 CPT", "10.0.0.7:50053"):
            assert stand.says(text), text
        pool = replace(node.picture.pool, balance=1300, link=LinkState.UNREACHABLE,
                       problem=Problem(code=FaultCode.POOL_UNREACHABLE, about=ACTIVE))  # fmt: skip
        node.picture = replace(node.picture, pool=pool)
        stand.look()
        assert stand.says("1,300 CPT")
        assert stand.says("Not reached")
        assert stand.says(f"The pool at {ACTIVE} cannot be reached.")


def test_an_active_pool_without_a_login_offers_to_sign_in(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "pools", node) as stand:
        assert not stand.screen.active.button.isVisible()  # type: ignore[attr-defined]
        node.picture = replace(node.picture, pool=replace(node.picture.pool, link=LinkState.NOT_LOGGED_IN))
        stand.look()
        stand.screen.active.button.click()  # type: ignore[attr-defined]
        dialog = stand.screen.dialog  # type: ignore[attr-defined]
        assert isinstance(dialog, SignIn)
        assert (dialog.address.text(), dialog.user.text()) == (ACTIVE, "mira")
        dialog.reject()


def test_kept_pools_say_whether_they_can_be_switched_to(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "pools", node) as stand:
        assert stand.says(OTHER)
        assert stand.says("mira · used until 3 Nov")
        assert stand.says("m.lindgren · signed out · used until 12 Oct")
        names = [b.accessibleName() for b in stand.screen.kept.findChildren(type(stand.screen.add_button))]  # type: ignore[attr-defined]
        assert f"Switch… {OTHER}" in names
        assert f"Sign in… {OLD}" in names


def test_leaving_a_pool_asks_what_becomes_of_its_tasks(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "pools", node) as stand:
        stand.press("Switch…")
        asked = question(stand)
        assert "3 tasks" in asked.accessibleDescription()
        assert set(asked.buttons) == {"finish", "stop"}
        answer(stand, "stop")
        assert node.pools.asked == [("switch", OTHER, Leaving.STOP)]
        assert stand.says(f"Switching to {OTHER}")
        assert stand.says("3 tasks end first.")
        stand.press("Stay")
        assert node.pools.asked[-1] == ("cancel",)
        assert not stand.says(f"Switching to {OTHER}")


def test_a_pool_that_is_gone_can_be_left_with_its_results_here(tmp_path: Path, node: FakeNode) -> None:
    pool = replace(node.picture.pool, link=LinkState.UNREACHABLE)
    node.picture = replace(node.picture, pool=pool, tasks=(), owed_results=2)
    with standing(tmp_path, "pools", node) as stand:
        stand.press("Switch…")
        assert "2 finished results still wait" in question(stand).accessibleDescription()
        answer(stand, "keep")
        assert node.pools.asked == [("switch", OTHER, Leaving.KEEP)]


def test_putting_the_question_away_changes_nothing(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "pools", node) as stand:
        stand.press("Switch…")
        question(stand).reject()
        stand.look()
        assert node.pools.asked == []


def test_forgetting_a_pool_asks_first(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "pools", node) as stand:
        stand.press("Forget…")
        answer(stand, "forget")
        assert node.pools.asked == [("forget", OTHER)]
        assert not stand.says("mira · used until 3 Nov")


def sign_in(stand: Stand) -> SignIn:
    stand.press("Add a pool…")
    found = stand.screen.dialog  # type: ignore[attr-defined]
    assert isinstance(found, SignIn)
    return found


def test_a_login_that_works_is_kept_and_offered_to_switch_to(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "pools", node) as stand:
        dialog = sign_in(stand)
        dialog.try_it()
        assert "is missing" in dialog.refused.text()
        dialog.address.setText("new.example:50051")
        dialog.user.setText("ann")
        dialog.password.setText("secret")
        dialog.try_it()
        stand.look()
        assert node.pools.asked == [("sign in", "new.example:50051", "ann", "secret", False, True)]
        assert "Switch to new.example:50051?" in question(stand).windowTitle()
        question(stand).reject()
        stand.look()
        assert stand.says("new.example:50051")


def test_a_password_is_put_into_a_file_only_when_that_is_ticked(tmp_path: Path, node: FakeNode) -> None:
    node.pools.keyring = False
    for ticked in (False, True):
        with standing(tmp_path, "pools", node) as stand:
            dialog = sign_in(stand)
            assert "a file that only you can read" in dialog.keep.where.text()
            assert not dialog.keep.wanted()
            for field, value in (
                (dialog.address, "a.example:1"),
                (dialog.user, "ann"),
                (dialog.password, "x"),
            ):
                field.setText(value)
            if ticked:
                dialog.keep.box.click()
            dialog.try_it()
            assert node.pools.asked[-1] == ("sign in", "a.example:1", "ann", "x", False, ticked)
            question(stand).reject()
            stand.look()


def test_a_refused_login_says_why_and_a_plain_one_must_be_insisted_upon(
    tmp_path: Path, node: FakeNode
) -> None:
    with standing(tmp_path, "pools", node) as stand:
        dialog = sign_in(stand)
        for field, value in ((dialog.address, "far.example:1"), (dialog.user, "ann"), (dialog.password, "x")):
            field.setText(value)
        node.pools.refuse_with = Problem(code=FaultCode.PLAIN_LOGIN, about="far.example:1")
        dialog.try_it()
        assert "would cross an open network unprotected" in dialog.refused.text()
        assert dialog.plain.isVisible()
        node.pools.refuse_with = None
        dialog.plain.setChecked(True)
        dialog.try_it()
        assert node.pools.asked[-1] == ("sign in", "far.example:1", "ann", "x", True, True)
        question(stand).reject()
        stand.look()


def test_it_can_be_tried_here_and_ended(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "pools", node) as stand:
        stand.press("Start demo")
        assert node.pools.asked == [("start demo", Leaving.FINISH)]
        assert stand.says("It runs: send it a folder")
        stand.press("Stop trying")
        assert node.pools.asked[-1] == ("stop demo", Leaving.STOP)


def test_a_refusal_reaches_the_window(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "pools", node) as stand:
        refused: list[Problem] = []
        stand.bridge.refused.connect(refused.append)
        node.pools.refuse_with = Problem(code=FaultCode.DISK_FULL, about="0 B")
        stand.press("Start demo")
        assert [problem.code for problem in refused] == [FaultCode.DISK_FULL]


def test_a_folder_dropped_here_is_sent(tmp_path: Path, node: FakeNode) -> None:
    node.sending.rows = []
    with standing(tmp_path, "pools", node) as stand:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile("/home/mira/coast-tiles"), QUrl("https://example.org/x")])
        drop = QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
                          Qt.KeyboardModifier.NoModifier)  # fmt: skip
        stand.screen.sending.drop.dropEvent(drop)  # type: ignore[attr-defined]
        stand.look()
        assert node.sending.asked == [("send", "/home/mira/coast-tiles")]
        assert stand.says("coast-tiles")
        assert stand.says("Packing")


def test_a_sent_task_is_followed_to_its_result(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "pools", node) as stand:
        assert stand.says("Running on worker-oak-50053")
        assert not stand.says("Result fetched")
        node.sending.put(sending("coast-tiles", SendStep.COMPLETED, NOW_S, result="/home/mira/r"))
        stand.look()
        assert stand.says("Result fetched")
        assert stand.says("Done")
        assert stand.button("Open folder").isVisible()
        node.sending.put(
            sending("coast-tiles", SendStep.FAILED, NOW_S, problem=Problem(code=FaultCode.NO_ENTRY_POINT))
        )
        stand.look()
        assert stand.says(
            "The task's archive has no Python script to start. Put a main.py at the top of the zip."
        )


@pytest.mark.parametrize("step", [SendStep.FAILED, SendStep.STOPPED])
def test_why_a_sent_task_failed_or_was_stopped_stands_below_it_as_plain_text(
    tmp_path: Path, node: FakeNode, step: SendStep
) -> None:
    said = "The worker reports: Stopped by <b>the owner</b> of the computer it ran on."
    with standing(tmp_path, "pools", node) as stand:
        node.sending.put(sending("coast-tiles", step, NOW_S, message=said, result="/home/mira/r"))
        stand.look()
        assert stand.says(said)
        label = next(each for each in stand.screen.findChildren(QLabel) if said in each.text())
        assert label.textFormat() is Qt.TextFormat.PlainText


def test_its_log_is_shown_without_what_a_terminal_would_act_upon(tmp_path: Path, node: FakeNode) -> None:
    node.sending.log["task_coast-tiles"] = ["\x1b[31mred\x1b[0m tile"]
    with standing(tmp_path, "pools", node) as stand:
        stand.press("Show log")
        shown = stand.screen.dialog.findChild(QPlainTextEdit)  # type: ignore[attr-defined]
        assert shown.toPlainText() == "red tile"
        stand.screen.dialog.accept()  # type: ignore[attr-defined]


def test_stopping_a_sent_task_asks_first(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "pools", node) as stand:
        stand.press("Stop…")
        answer(stand, "stop")
        assert node.sending.asked == [("stop", "task_coast-tiles")]


def test_a_first_start_has_no_empty_lists(tmp_path: Path) -> None:
    made = FakeNode(tmp_path)
    fresh(made)
    with standing(tmp_path, "pools", made) as stand:
        assert stand.says("No other pool is kept.")
        assert not stand.says("Sent before")
        assert stand.says("Try it on this computer")


def test_a_pool_that_is_asked_wants_an_invitation_and_no_password(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "pools", node) as stand:
        stand.press("Add a pool…")
        dialog = stand.screen.dialog  # type: ignore[attr-defined]
        assert isinstance(dialog, SignIn)
        assert dialog.password.isVisible() and not dialog.invited.isVisible()
        dialog.address.setText("tls://pool.example:4222")
        stand.look()
        assert dialog.invited.isVisible() and not dialog.password.isVisible()
        assert "no VPN and no open port" in dialog.invited.note.text()
        dialog.address.setText("10.0.0.1:50051")
        stand.look()
        assert dialog.password.isVisible() and not dialog.invited.isVisible()
        dialog.address.setText("hivemind-invitation-abc")  # pasted where the address belongs
        assert (dialog.address.text(), dialog.invited.proof.text()) == ("", "hivemind-invitation-abc")
        node.pools.refuse_with = Problem(code=FaultCode.CREDENTIAL_KEPT, about="larch, tls://old:4222")
        dialog.try_it()
        stand.look()
        assert dialog.invited.give_up.isVisible() and "as larch" in dialog.refused.text()
        node.pools.refuse_with = None
        dialog.invited.give_up.setChecked(True)
        dialog.try_it()
        assert node.pools.asked[-1] == ("join", "", "hivemind-invitation-abc", True)
        stand.look()
        assert question(stand).windowTitle() == "Switch to tls://pool.example:4222?"
        question(stand).reject()
