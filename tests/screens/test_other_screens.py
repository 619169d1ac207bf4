"""History, Account, Doctor, Network, Rules: every figure follows the worker, every button does something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QPlainTextEdit

from hivemind_worker.model.checkup import Check, CheckState
from hivemind_worker.model.days import day_of
from hivemind_worker.model.events import RunModeAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.judgement import RuleCode
from hivemind_worker.model.pools import Balance
from hivemind_worker.model.preview import Preview
from hivemind_worker.model.receipts import Seal
from hivemind_worker.model.rules import DAYS, preset
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem, TaskState
from hivemind_worker.model.vpn import Exposure, Rung, RungResult, RungState, VpnState
from hivemind_worker.model.worked import EnergySource, Place, Work
from hivemind_worker.model.yields import Yielding, yield_times
from hivemind_worker.ui.dialogs import Question
from hivemind_worker.ui.receipt_view import ReceiptView
from hivemind_worker.ui.screens.rules import RuleEditor, RuleRow
from hivemind_worker.ui.theme import theme
from tests.fakes.node import NOW_S, FakeNode, make_receipt, make_task
from tests.screens.scenes import ACTIVE, fresh
from tests.screens.stand import Stand, standing

# --- history ------------------------------------------------------------------------------------


def test_history_counts_what_the_journal_holds(tmp_path: Path, node: FakeNode) -> None:
    node.ended = [
        make_task("a", TaskState.COMPLETED, ended_at_s=NOW_S - 60, started_at_s=NOW_S - 3660, trust_change=2),
        make_task("b", TaskState.FAILED, ended_at_s=NOW_S - 90, started_at_s=NOW_S - 100, trust_change=-5,
                  problem=Problem(code=FaultCode.OUT_OF_MEMORY, about="1 GiB")),
    ]  # fmt: skip
    place = Place(day_of(NOW_S), ACTIVE, "cpython-3.12.0-small")
    node.work = [Work(place=place, completed=1, failed=1, wall_s=3600, cpu_s=1800,
                      joules={EnergySource.ESTIMATE: 3.6e5})]  # fmt: skip
    with standing(tmp_path, "history", node) as stand:
        rows = stand.screen.lines.texts()  # type: ignore[attr-defined]
        assert rows[0] == ("Today", "1", "1", "–", "1.00", "0.50", "11", "≈ 100.00", "≈ 0.03")
        assert rows[-1][0] == "14 days"
        assert stand.says("≈ 100.00 Wh, 0.03 EUR")
        assert stand.says("Whose fault was the 1 failure?")
        assert stand.says("The task: The task needed more memory than its limit of 1 GiB.")
        ledger = stand.screen.ledger.texts()  # type: ignore[attr-defined]
        assert [(line[2], line[3], line[4]) for line in ledger] == [
            ("Completed", "+2", "62"), ("Failed: the task", "−5", "60"),
        ]  # fmt: skip
        stand.press("7 days")
        assert len(stand.screen.lines.texts()) == 8  # type: ignore[attr-defined]
        stand.press("By image")
        assert [line[0] for line in stand.screen.lines.texts()][:1] == [place.image]  # type: ignore[attr-defined]


def test_a_place_where_history_cannot_be_saved_is_told(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "history", node) as stand:
        refused: list[Problem] = []
        stand.bridge.refused.connect(refused.append)
        stand.screen.save(tmp_path / "no" / "where.csv", "csv")  # type: ignore[attr-defined]
        assert refused[0].code is FaultCode.NO_PERMISSION


def test_history_without_tasks_says_so(tmp_path: Path) -> None:
    made = FakeNode(tmp_path)
    fresh(made)
    with standing(tmp_path, "history", made) as stand:
        assert stand.says("No task has ended yet.")
        assert stand.says("Nothing is known yet: the balance is noted from now on.")
        assert not stand.button("Save as CSV…").isEnabled()


# --- account ------------------------------------------------------------------------------------


def test_the_account_follows_the_pool(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "account", node) as stand:
        assert stand.says(f"mira at {ACTIVE}")
        assert stand.says("1,206 CPT, heard 2 seconds ago")
        assert stand.says("2 other accounts are kept under Pools")
        table = stand.screen.table.texts()  # type: ignore[attr-defined]
        assert table[0] == ("Today", "+11", "–", "1,206")
        assert ("Tue 17 Nov", "–", "−30", "1,060") in table
        node.pools.history[ACTIVE].append(Balance(at_s=NOW_S, amount=1250))
        node.picture = replace(node.picture, pool=replace(node.picture.pool, balance=1250))
        stand.look()
        assert stand.says("1,250 CPT")
        assert stand.screen.table.texts()[0] == ("Today", "+55", "–", "1,250")  # type: ignore[attr-defined]


def test_signing_out_asks_first(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "account", node) as stand:
        stand.press("Sign out…")
        asked = stand.screen.dialog  # type: ignore[attr-defined]
        assert isinstance(asked, Question)
        asked.buttons["out"].click()
        stand.look()
        assert node.pools.asked == [("sign out", ACTIVE)]
        node.picture = replace(node.picture, pool=replace(node.picture.pool, link=LinkState.NOT_LOGGED_IN))
        stand.look()
        assert stand.says(f"Not signed in at {ACTIVE}")
        assert stand.button("Sign in…").isVisible()


def test_a_refused_login_says_what_the_pool_said(tmp_path: Path, node: FakeNode) -> None:
    problem = Problem(code=FaultCode.WRONG_PASSWORD, about="no such user")
    node.picture = replace(
        node.picture, pool=replace(node.picture.pool, link=LinkState.LOGIN_REFUSED, problem=problem)
    )
    with standing(tmp_path, "account", node) as stand:
        assert stand.says("The pool did not accept the name and password: no such user")


def test_the_receipts_of_the_last_tasks_are_listed_with_what_their_signatures_say_and_opened(
    tmp_path: Path, node: FakeNode
) -> None:
    ours = make_task("over", TaskState.COMPLETED, ended_at_s=NOW_S - 60, runtime="wasm")
    forged = make_task("odd\x1b[2J", TaskState.FAILED, ended_at_s=NOW_S - 90, image="sand:1.4@sha256:ab")
    without = make_task("old", TaskState.STOPPED, ended_at_s=NOW_S - 120)
    node.ended = [ours, forged, without]
    node.receipts = {task.key: make_receipt(task) for task in (ours, forged)}
    node.seals = {forged.key: Seal.BROKEN}
    with standing(tmp_path, "account", node) as stand:
        panel = stand.screen.receipts  # type: ignore[attr-defined]
        first, second = panel.table.texts()
        assert (first[0], first[2], first[3]) == ("over", "Built-in", "valid")
        assert (second[2], second[3]) == ("sand:1.4", "not valid")
        assert "\x1b" not in second[0]
        said = panel.table.model().index(1, 2).data(Qt.ItemDataRole.AccessibleTextRole)
        assert said == "sand:1.4, Failed"
        assert not panel.open_button.isEnabled()
        panel.table.setFocus()
        panel.table.selectRow(0)
        QTest.keyClick(panel.table, Qt.Key.Key_Return)
        assert isinstance(panel.view, ReceiptView)
        assert panel.view.rows._rows[0][1].whole() == "over"
        panel.view.accept()
        panel.table.selectRow(1)
        stand.press("Open")
        assert panel.view is not None
        panel.view.accept()
        del node.receipts[ours.key]
        told: list[Problem] = []
        stand.bridge.refused.connect(told.append)
        panel.table.selectRow(0)
        stand.press("Open")
        assert [problem.code for problem in told] == [FaultCode.NO_RECEIPT]
        assert panel.view is None


def test_a_receipt_comes_into_the_list_when_its_task_has_ended_but_not_more_often_than_every_5_s(
    tmp_path: Path, node: FakeNode
) -> None:
    fresh(node)
    node.ended = []
    with standing(tmp_path, "account", node) as stand:
        panel = stand.screen.receipts  # type: ignore[attr-defined]
        assert panel.table.isHidden()
        assert stand.says("Each task that ends here leaves a signed receipt.")
        over = make_task("over", TaskState.COMPLETED, ended_at_s=NOW_S)
        node.put(make_task("over"))
        stand.look()
        node.ended, node.receipts = [over], {over.key: make_receipt(over)}
        node.picture = replace(node.picture, tasks=())
        stand.look()
        assert panel.table.texts() == []
        node._clock = lambda: NOW_S + 6
        stand.look()
        assert [row[0] for row in panel.table.texts()] == ["over"]


# --- doctor -------------------------------------------------------------------------------------


def test_the_checks_are_shown_with_what_to_do(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "doctor", node) as stand:
        assert node.care.asked == [("checkup",)]
        assert stand.says("2 fine")
        node.care.checks = [
            Check(name="Start with system", state=CheckState.WARN, text="Its entry starts another program",
                  next_step="Have the entry written anew.", remedy="repair_autostart"),
            Check(name="Disk", state=CheckState.FAIL, text="0.1 GiB free"),
        ]  # fmt: skip
        stand.press("Run all checks")
        assert stand.says("1 fails, 1 could be better")
        assert stand.says("0.1 GiB free")
        stand.press("Repair")
        assert ("autostart", True) in node.care.asked


def test_the_report_is_seen_before_it_is_saved_and_saved_as_it_was_seen(
    tmp_path: Path, node: FakeNode
) -> None:
    with standing(tmp_path, "doctor", node) as stand:
        stand.press("Preview…")
        preview = stand.screen.dialog  # type: ignore[attr-defined]
        names, text = preview.findChild(QComboBox), preview.findChild(QPlainTextEdit)
        assert [names.itemText(n) for n in range(names.count())] == list(node.care.files)
        names.setCurrentText("worker.log")
        assert text.toPlainText() == node.care.files["worker.log"]
        shown = preview.files
        preview.reject()
        stand.screen.save(shown, tmp_path / "r.zip")  # type: ignore[attr-defined]
        assert node.care.asked[-1] == ("save", str(tmp_path / "r.zip"), tuple(node.care.files))


def test_what_the_app_itself_costs_is_measured_between_two_looks(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "doctor", node) as stand:
        assert stand.says("118.0 MiB")
        now_s = [NOW_S]
        node._clock = lambda: now_s[0]
        stand.look()
        now_s[0] += 10
        node.care.own_costs = lambda: (12.55, 120 << 20)  # type: ignore[method-assign]
        stand.look()
        assert stand.says("0.5 % of a core")
        assert stand.says("120.0 MiB")


def test_about_tells_how_fast_the_computer_was_given_back_and_how_the_times_lie(
    tmp_path: Path, node: FakeNode
) -> None:
    with standing(tmp_path, "doctor", node) as stand:
        assert stand.says("No input has met a running task yet.")
        took = (20.0,) * 30 + (90.0,) * 2 + (2000.0,)
        node.rules.yields = yield_times([Yielding(at_s=NOW_S, tasks=4, took_ms=each) for each in took])
        stand.screen.opened()
        stand.look()
        assert stand.says("From your first input to all tasks frozen: 20 ms in the middle, 90 ms")
        assert stand.says("up to 50 ms 30 times, up to 120 ms 2 times, longer once")
        assert stand.says(node.picture.version)


# --- network ------------------------------------------------------------------------------------


def test_the_network_says_how_the_tunnel_is_by_its_handshake(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "network", node) as stand:
        assert stand.says("Not set up")
        node.vpn.show(state=VpnState.CONNECTED, handshake_s=NOW_S - 12, interface="hivemind0", peers=1,
                      rx_bytes=1 << 20, tx_bytes=2 << 20, has_profile=True, is_ours=True)  # fmt: skip
        stand.look()
        assert stand.says("12 seconds ago")
        assert stand.says("2.0 MiB up, 1.0 MiB down")
        node.vpn.show(state=VpnState.STALE, handshake_s=NOW_S - 420)
        stand.look()
        assert stand.says("VPN is up but silent")
        assert stand.says("No handshake for 7 minutes.")


def test_the_network_names_who_can_reach_the_app_and_every_address(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "network", node) as stand:
        doors = stand.screen.door_table.texts()  # type: ignore[attr-defined]
        assert doors[0] == ("Tasks from the pool", "10.0.0.7:50053", "pool only", "no")
        assert doors[1] == ("Web dashboard", "127.0.0.1:5000", "no", "no")
        assert ("wg0", "10.0.0.7", "VPN") in stand.screen.address_table.texts()  # type: ignore[attr-defined]
        node.vpn.rows = [Exposure(name="tasks", address="0.0.0.0", port=50053, vpn="whole_network", lan=True)]
        stand.press("Look again")
        doors = stand.screen.door_table.texts()  # type: ignore[attr-defined]
        assert doors == [("Tasks from the pool", "0.0.0.0:50053", "the whole pool network", "yes")]


def test_the_tunnel_is_taken_down_and_up_and_the_previous_profile_put_back(
    tmp_path: Path, node: FakeNode
) -> None:
    node.vpn.show(state=VpnState.CONNECTED, interface="hivemind0", has_profile=True, is_ours=True,
                  has_previous=True)  # fmt: skip
    with standing(tmp_path, "network", node) as stand:
        stand.press("Disconnect")
        stand.press("Connect")
        stand.press("Previous profile")
        assert node.vpn.asked == [("down",), ("up",), ("back",)]
        node.vpn.refuse_with = Problem(code=FaultCode.VPN_RANGE_IN_USE, about="10.0.0.0/24 on eth0")
        stand.press("Disconnect")
        assert stand.says("10.0.0.0/24 on eth0")


def test_the_checks_name_the_first_that_fails_with_what_to_do(tmp_path: Path, node: FakeNode) -> None:
    node.vpn.show(has_profile=True)
    node.vpn.results = [
        RungResult(rung=Rung.PROFILE, state=RungState.PASSED, fields=(("file", "hivemind0.conf"),)),
        RungResult(rung=Rung.PERMISSION, state=RungState.SKIPPED, reason="up_by_hand"),
        RungResult(rung=Rung.TOOL, state=RungState.PASSED, fields=(("tool", "kernel"),)),
        RungResult(rung=Rung.INTERFACE, state=RungState.FAILED, reason="interface_missing",
                   fields=(("interface", "hivemind0"),)),
    ]  # fmt: skip
    with standing(tmp_path, "network", node) as stand:
        stand.press("Run checks")
        assert stand.says("stopped at 4 of 11")
        assert stand.says("The tunnel is down: there is no interface hivemind0.")
        assert stand.says("not checked")
        stand.press("Reconnect")
        assert node.vpn.asked == [("check",), ("up",), ("check",)]


def test_a_pool_that_cannot_be_reached_is_told_with_what_to_press(tmp_path: Path, node: FakeNode) -> None:
    node.picture = replace(node.picture, grpc_address="127.0.0.1:50053")
    with standing(tmp_path, "network", node) as stand:
        assert stand.says("cannot send tasks here")
        stand.press("Try now")
        assert node.reconnects == 1


# --- rules --------------------------------------------------------------------------------------


def rule_row(stand: Stand, title: str) -> RuleRow:
    found = stand.screen.rows[title]  # type: ignore[attr-defined]
    assert isinstance(found, RuleRow)
    return found


def test_each_rule_says_what_is_measured_and_whether_it_allows_work(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "rules", node) as stand:
        load = rule_row(stand, "Other programs")
        assert (load.now.whole(), load.verdict.whole()) == ("9 % on average", "allows work")
        views = tuple(
            view._replace(value=61.0, blocks=True) if view.code is RuleCode.LOAD else view
            for view in node.picture.judgement.rules
        )
        node.picture = replace(node.picture, judgement=replace(node.picture.judgement, rules=views))
        stand.look()
        assert (load.now.whole(), load.verdict.whole()) == ("61 % on average", "holds work back")
        assert "holds work back" in load.switch.accessibleDescription()


def test_a_rule_is_switched_and_the_change_can_be_undone(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "rules", node) as stand:
        assert node.rules.current.load_on
        QTest.keyClick(rule_row(stand, "Other programs").switch, Qt.Key.Key_Space)
        stand.look()
        assert not node.rules.current.load_on
        assert rule_row(stand, "Other programs").verdict.whole() == "off"
        stand.press("Undo")
        assert node.rules.current.load_on


def test_the_week_is_painted_by_keys_and_by_pointer(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "rules", node) as stand:
        week = stand.screen.week  # type: ignore[attr-defined]
        assert week.days() == {day: getattr(node.rules.current, day) for day in DAYS}
        week.setFocus()
        for key in (Qt.Key.Key_Down, Qt.Key.Key_Right, Qt.Key.Key_0):
            QTest.keyClick(week, key)
        assert node.rules.current.tuesday[:3] == "303"
        assert week.accessibleDescription() == "Tue 00:30: Off"
        stand.press("Off")
        cell, last = week._cell(2, 10).center().toPoint(), week._cell(2, 12).center().toPoint()
        QTest.mousePress(week, Qt.MouseButton.LeftButton, pos=cell)
        QTest.mouseMove(week, week._cell(2, 11).center().toPoint())
        QTest.mouseMove(week, last)
        assert node.rules.current.wednesday[10] == "3", "a stroke counts when it ends"
        QTest.mouseRelease(week, Qt.MouseButton.LeftButton, pos=last)
        assert node.rules.current.wednesday[10:13] == "000"


def test_each_level_is_drawn_beside_its_name_and_differs_by_its_height(
    tmp_path: Path, node: FakeNode
) -> None:
    with standing(tmp_path, "rules", node) as stand:
        swatches, legend = stand.screen.swatches, stand.screen.legend  # type: ignore[attr-defined]
        assert [each.accessibleName() for each in swatches] == ["Full", "Normal", "Light", "Off"]
        assert all(text.whole().startswith(each.accessibleName())
                   for each, text in zip(swatches, legend, strict=True))  # fmt: skip
        pictures = [each.grab().toImage() for each in swatches]
        accent = theme().colour("accent")
        filled = [sum(image.pixelColor(image.width() // 2, y) == accent for y in range(image.height()))
                  for image in pictures]  # fmt: skip
        assert filled == sorted(set(filled), reverse=True), "each is less full than the one before"
        assert filled[-1] == 0


def test_a_preset_changes_the_whole_week_at_once(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "rules", node) as stand:
        stand.screen.presets.menu().actions()[0].trigger()  # type: ignore[attr-defined]
        stand.look()
        assert node.rules.current.heat_cpu_c == 80.0
        assert stand.screen.week.days()["saturday"] == "2" * 48  # type: ignore[attr-defined]


def test_the_numbers_of_a_rule_are_edited_and_a_contradiction_is_refused(
    tmp_path: Path, node: FakeNode
) -> None:
    with standing(tmp_path, "rules", node) as stand:
        rule_row(stand, "Temperature").change.click()
        editor = stand.screen.dialog  # type: ignore[attr-defined]
        assert isinstance(editor, RuleEditor)
        back = editor.fields["heat_back_c"]
        assert isinstance(back, QDoubleSpinBox)
        back.setValue(99)
        editor.take()
        assert "heat_back_c must be below" in editor.refused.text()
        back.setValue(60)
        editor.take()
        stand.look()
        assert node.rules.current.heat_back_c == 60
        assert "go on at 60 °C" in rule_row(stand, "Temperature").value.whole()


def test_what_a_level_lends_and_how_long_a_pause_may_last_are_edited(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "rules", node) as stand:
        stand.press("Light")
        stand.press("Change this level…")
        editor = stand.screen.dialog  # type: ignore[attr-defined]
        assert set(editor.fields) == {
            "light_cores", "light_cpu_percent", "light_memory_gb", "light_gpu", "light_tasks"
        }  # fmt: skip
        editor.fields["light_cores"].setValue(2)
        editor.fields["light_tasks"].setValue(3)
        editor.take()
        stand.look()
        assert (node.rules.current.light_cores, node.rules.current.light_tasks) == (2, 3)
        assert stand.says("Light: 2 cores at 50 %")
        stand.press("Off")
        assert not stand.button("Change this level…").isEnabled()
        assert stand.says("A task that has been paused for 1 day is ended")
        stand.screen.change_pause.click()  # type: ignore[attr-defined]
        editor = stand.screen.dialog  # type: ignore[attr-defined]
        editor.fields["pause_ends_task_h"].setValue(0)
        editor.take()
        stand.look()
        assert stand.says("A paused task waits for as long as the pause lasts.")


def test_a_preset_takes_the_place_of_all_rules_also_of_those_that_it_leaves_at_their_defaults(
    tmp_path: Path, node: FakeNode
) -> None:
    with standing(tmp_path, "rules", node) as stand:
        for number, name in ((0, "gentle"), (2, "server")):
            stand.screen.presets.menu().actions()[number].trigger()  # type: ignore[attr-defined]
            assert node.rules.current == preset(name)
        stand.press("Undo")
        assert node.rules.current == preset("gentle")


def test_the_day_ahead_follows_the_simulation(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "rules", node) as stand:
        assert stand.says("20 hours of work, 4 hours paused")
        assert stand.says("Last 7 days: 20 of 24 hours, paused 1 time")
        node.rules.preview = Preview()
        stand.screen.opened()
        stand.look()
        assert stand.says("Nothing is remembered yet")


def test_the_run_mode_is_the_engines(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "rules", node) as stand:
        stand.press("Run whatever they say")
        assert isinstance(node.asked[-1], RunModeAsked)
        assert node.asked[-1].ignores_rules
        assert stand.screen.mode.choice() == "always"  # type: ignore[attr-defined]
