"""Settings: made from the table, refused beside the field, at once where no restart is needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QSpinBox

from hivemind_worker.model.checkup import Autostart
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.settings import Settings, rows
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.page_facts import rules
from hivemind_worker.presentation.settings_form import shown
from hivemind_worker.ui.setting_fields import SettingRow
from tests.fakes.node import FakeNode
from tests.screens.stand import Stand, language, standing


def row(stand: Stand, name: str) -> SettingRow:
    found = stand.screen.rows[name]  # type: ignore[attr-defined]
    assert isinstance(found, SettingRow)
    return found


def test_every_setting_has_a_field_with_a_name(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "settings", node) as stand:
        for setting in rows():
            made = row(stand, setting.name)
            assert made.field.accessibleName() == made.form.label != ""
            assert made.isVisible()


def test_a_change_is_kept_and_acts_at_once_where_it_may(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "settings", node) as stand:
        field = row(stand, "trust_threshold").field
        assert isinstance(field, QSpinBox)
        field.setValue(70)
        assert node.kept["trust_threshold"] == 70
        assert node.settings.trust_threshold == 70
        assert "Waits for a restart" not in row(stand, "trust_threshold").hint.text()


def test_a_change_that_waits_says_so_and_can_be_undone(tmp_path: Path, node: FakeNode) -> None:
    node.kept = {}
    with standing(tmp_path, "settings", node) as stand:
        assert not stand.screen.foot.isVisible()  # type: ignore[attr-defined]
        box = row(stand, "runtime").field
        assert isinstance(box, QComboBox)
        box.setCurrentIndex(box.findData("wasm"))
        box.activated.emit(box.currentIndex())
        stand.look()
        assert node.kept == {"runtime": "wasm"}
        assert "Waits for a restart; until then Automatic." in row(stand, "runtime").hint.text()
        assert stand.says("1 change waits for a restart")
        stand.press("Undo")
        assert node.kept == {}
        assert box.currentData() == "auto"
        assert not stand.screen.foot.isVisible()  # type: ignore[attr-defined]


def test_a_refused_value_says_why_beside_the_field_and_changes_nothing(
    tmp_path: Path, node: FakeNode
) -> None:
    node.kept = {}
    with standing(tmp_path, "settings", node) as stand:
        made = row(stand, "web_port")
        assert isinstance(made.field, QSpinBox)
        made.field.setValue(70_000)
        assert made.reason.text() == "70000 is refused: it must be at most 65535."
        assert made.reason.isVisible()
        assert made.property("refused") == "true"
        assert made.field.accessibleDescription() == made.reason.text()
        assert node.kept == {}
        item = next(
            stand.screen.list.item(n)
            for n in range(stand.screen.list.count())  # type: ignore[attr-defined]
            if stand.screen.list.item(n).text() == "Web dashboard"
        )  # type: ignore[attr-defined]
        assert item.toolTip() in ("a value is refused", "")
        made.back.click()
        assert made.field.value() == 5000
        assert not made.reason.isVisible()


def test_what_only_the_worker_can_refuse_is_said_at_the_same_place(tmp_path: Path, node: FakeNode) -> None:
    async def refuse(_values: object) -> tuple[Problem, ...]:
        return (Problem(code=FaultCode.BAD_ADDRESS, about="nowhere"),)

    node.change_settings = refuse  # type: ignore[method-assign,assignment]
    with standing(tmp_path, "settings", node) as stand:
        made = row(stand, "master_address")
        made.take("nowhere")
        assert made.reason.text().startswith("This is not an address: nowhere.")


def test_a_value_of_the_environment_is_locked(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "settings", node) as stand:
        made = row(stand, "node_port")
        assert not made.field.isEnabled()
        assert made.hint.text() == "Set by the environment, so it cannot be changed here."


def test_the_default_can_be_taken_again(tmp_path: Path, node: FakeNode) -> None:
    node.kept = {"trust_threshold": 70}
    with standing(tmp_path, "settings", node) as stand:
        made = row(stand, "trust_threshold")
        assert made.default.isVisible()
        made.default.click()
        stand.look()
        assert node.kept == {}
        assert not made.default.isVisible()


def test_settings_are_found_by_what_they_are_called(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "settings", node) as stand:
        stand.screen.look_for()
        QTest.keyClicks(stand.screen.search, "FLASK_PORT")  # type: ignore[attr-defined]
        shown = [name for name in stand.screen.rows if row(stand, name).isVisible()]  # type: ignore[attr-defined]
        assert shown == ["web_port"]
        assert not stand.says("Limits")
        stand.screen.search.setText("nothing like it")  # type: ignore[attr-defined]
        assert stand.says("No setting fits what you look for.")
        stand.screen.search.clear()  # type: ignore[attr-defined]
        stand.press("Only changed")
        shown = [name for name in stand.screen.rows if row(stand, name).isVisible()]  # type: ignore[attr-defined]
        assert sorted(shown) == ["max_concurrent_tasks", "node_id"]


def test_a_change_from_elsewhere_is_shown(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "settings", node) as stand:
        node.kept = {**node.kept, "trust_threshold": 33}
        stand.bridge.settings_changed.emit()
        field = row(stand, "trust_threshold").field
        assert isinstance(field, QSpinBox)
        assert field.value() == 33


def test_starting_with_the_system_is_off_until_asked_for(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "settings", node) as stand:
        switch = stand.screen.autostart.switch  # type: ignore[attr-defined]
        assert not switch.isChecked()
        QTest.keyClick(switch, Qt.Key.Key_Space)
        assert node.care.asked == [("autostart", True)]
        assert switch.isChecked()
        node.care.refuse_with = Problem(code=FaultCode.NO_PERMISSION, about="~/.config/autostart")
        QTest.keyClick(switch, Qt.Key.Key_Space)
        assert stand.says("Not allowed to write: ~/.config/autostart.")


def test_a_stale_entry_can_be_repaired(tmp_path: Path, node: FakeNode) -> None:
    node.care.starts = Autostart.STALE
    with standing(tmp_path, "settings", node) as stand:
        assert stand.says("Its entry starts another program, or one that is gone.")
        stand.press("Repair")
        assert node.care.starts is Autostart.ON
        assert not stand.says("Its entry starts another program, or one that is gone.")


@pytest.mark.parametrize(("code", "one", "two"), [("en", " core", " cores"), ("zh_TW", " 核心", " 核心")])
def test_a_unit_agrees_with_its_number(tmp_path: Path, node: FakeNode, code: str, one: str, two: str) -> None:
    """As it is shown first, changed by hand, and put back."""
    node.settings = replace(node.settings, max_cpu_cores=1.0)
    with language(code), standing(tmp_path, "settings", node) as stand:
        cores = row(stand, "max_cpu_cores")
        assert isinstance(cores.field, QDoubleSpinBox)
        assert cores.field.text() == f"1{one}"
        cores.field.setValue(2)
        assert cores.field.text() == f"2{two}"
        assert shown("max_cpu_cores", 1.0, "cores") == f"1{one}"
        cores.field.setValue(-1)
        cores.put_back()
        assert cores.field.text() == f"2{two}"


def test_the_limits_on_the_dashboard_agree_with_their_numbers() -> None:
    said = {name: value for name, value, _means, _source in rules(Settings(max_cpu_cores=1.0), {})}
    assert said["max_cpu_cores"] == "1 core"
    assert said["result_keep_days"] == "7 days"
