"""Settings: the form made from the declared table, a switch for starting with the session, what waits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QWidget

from hivemind_worker.model.checkup import Autostart
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _, translate_many
from hivemind_worker.presentation.settings_form import FormGroup, form, waiting
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.icons import icon
from hivemind_worker.ui.parts.buttons import Button, Switch, ToolButton
from hivemind_worker.ui.parts.flow import flowing
from hivemind_worker.ui.parts.learn_more import LearnMore
from hivemind_worker.ui.parts.panels import box, column, line, row, scrolled
from hivemind_worker.ui.parts.text import Label, Shape
from hivemind_worker.ui.refusal import Refusal
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.setting_fields import FIELD_PX, LABEL_PX, LEFT, SettingRow, field_row
from hivemind_worker.ui.theme import theme

GROUPS_PX = 180
GENERAL = "general"


def _no_icon() -> QIcon:
    """Keeps the words of all groups in one line."""
    empty = QPixmap(18, 18)
    empty.fill(Qt.GlobalColor.transparent)
    return QIcon(empty)


class AutostartRow(QWidget):
    """Whether this program starts with the user's session."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        self.switch, self.hint, self.refused = Switch(), Label("", "small", wrap=True), Refusal(bridge)
        label = Label(_("Start with the system"))
        label.setFixedWidth(round(LABEL_PX * theme().scale))
        label.setBuddy(self.switch)
        self.switch.setAccessibleName(_("Start with the system"))
        self.switch.setFixedWidth(round(FIELD_PX * min(1.5, theme().scale)))
        self.switch.toggled.connect(self._wanted)
        self.repair = Button(_("Repair"), kind="small", pressed=partial(self._wanted, True))
        beside, what = row(16), QWidget()
        beside.addWidget(self.hint, 1)
        beside.addWidget(self.refused, 1)
        beside.addWidget(self.repair)
        what.setLayout(beside)
        whole = column()
        whole.addWidget(field_row(label, self.switch, what))
        self.setLayout(whole)
        self.show_state(Autostart.OFF)

    def ask(self) -> None:
        """Look at the entry."""
        self._bridge.query("autostart", lambda node: node.care.autostart(), self.show_state)

    def show_state(self, found: Autostart | Problem) -> None:
        """Say how the entry stands."""
        self.switch.blockSignals(True)
        self.switch.setChecked(found in (Autostart.ON, Autostart.STALE))
        self.switch.blockSignals(False)
        self.repair.setVisible(found is Autostart.STALE)
        said = _("For your account only, hidden in the tray. Off until you ask for it.")
        if found is Autostart.STALE:
            said = _("Its entry starts another program, or one that is gone.")
        self.refused.say(found if isinstance(found, Problem) else None)
        self.hint.setText(said)
        self.hint.setHidden(bool(self.refused.text()))
        self.switch.setAccessibleDescription(self.refused.text() or said)

    def _wanted(self, on: bool) -> None:
        self._bridge.query("set autostart", lambda node: node.care.set_autostart(on), self._answered)

    def _answered(self, problem: Problem | None) -> None:
        if problem is not None:
            self.show_state(problem)
        else:
            self.ask()


class Settings(Screen):
    """The form. Every change is kept at once; what a row does not take stands beside it with its reason."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.rows: dict[str, SettingRow] = {}
        self._heads: dict[str, QWidget] = {}
        self._groups: tuple[FormGroup, ...] = ()
        self.search = QLineEdit()
        self.search.setPlaceholderText(_("Name, key or help text"))
        self.search.setAccessibleName(_("Find a setting"))
        self.search.setClearButtonEnabled(True)
        self.search.setMaximumWidth(round(240 * theme().scale))
        self.search.textChanged.connect(lambda _text: self._filter())
        self.only_changed = ToolButton(_("Only changed"), "filter", "")
        self.only_changed.setCheckable(True)
        self.only_changed.toggled.connect(lambda _on: self._filter())
        self.list = QListWidget()
        self.list.setProperty("kind", "groups")
        self.list.setAccessibleName(_("Groups of settings"))
        self.list.setFixedWidth(round(GROUPS_PX * min(1.4, theme().scale)))
        self.list.currentRowChanged.connect(self._go_to)
        self.autostart = AutostartRow(bridge)
        self._form = column()
        self.nothing = Label(_("No setting fits what you look for."), "hint")
        self.nothing.setContentsMargins(LEFT, 14, LEFT, 14)
        self.nothing.hide()  # until the settings have come and been looked through
        self._lay_out()
        bridge.settings_changed.connect(self._look_again)

    def _lay_out(self) -> None:
        gutter = theme().size("gutter")
        title, more = Label(_("Settings"), "title"), LearnMore(self.bridge)
        edges = (gutter, 10, gutter, 10)
        bar = flowing(title, None, self.search, self.only_changed, more, margins=edges)
        page = QWidget()
        inside = column()
        inside.addLayout(self._form)
        inside.addWidget(self.nothing)
        inside.addStretch(1)
        page.setLayout(inside)
        self.area = scrolled(page)
        middle = row()
        middle.addWidget(self.list)
        middle.addWidget(line(upright=True))
        middle.addWidget(self.area, 1)
        self.due, self.undo = Label("", "body", wrap=True), Button(_("Undo"), pressed=self._undo)
        foot = row(10, margins=(gutter, 9, gutter, 9))
        foot.addWidget(Shape("refresh", "link"))
        foot.addWidget(self.due, 1)
        foot.addWidget(self.undo)
        self.foot = box("action-bar", foot)
        self.foot.hide()
        whole = column()
        whole.addWidget(box("bar", bar))
        whole.addLayout(middle, 1)
        whole.addWidget(self.foot)
        self.setLayout(whole)

    # --- what is asked ------------------------------------------------------------------------

    def opened(self) -> None:
        self._look_again()
        self.autostart.ask()

    def look_for(self) -> None:
        self.search.setFocus()
        self.search.selectAll()

    def _look_again(self) -> None:
        self.bridge.query("kept settings", lambda node: node.kept_settings(), self._got)

    def _got(self, kept: Mapping[str, object] | Problem) -> None:
        node = self.bridge.node
        if isinstance(kept, Problem):
            self.bridge.refused.emit(kept)
            return
        if node is not None:
            self.show_groups(form(node.settings, kept, node.setting_sources()))

    # --- what is shown ------------------------------------------------------------------------

    def render_picture(self, snapshot: Snapshot) -> None:
        """Settings do not follow the worker's picture."""

    def show_groups(self, groups: tuple[FormGroup, ...]) -> None:
        """The rows are made once, then filled anew."""
        self._groups = groups
        if not self.rows:
            self._build(groups)
        for group in groups:
            for shown in group.rows:
                self.rows[shown.name].show_row(shown)
        self._show_due()
        self._mark_groups()
        self._filter()

    def _build(self, groups: tuple[FormGroup, ...]) -> None:
        self._add_head(GENERAL, _("General"), "")
        self._form.addWidget(self.autostart)
        self._form.addWidget(line())
        for group in groups:
            self._add_head(group.name, group.title, group.note)
            for shown in group.rows:
                made = self.rows[shown.name] = SettingRow(self.bridge, shown, self._change, self._reset)
                self._form.addWidget(made)
        bar = self.list.verticalScrollBar().sizeHint().width()
        needed = self.list.sizeHintForColumn(0) + 2 * LEFT + bar
        self.list.setFixedWidth(max(self.list.width(), needed))
        self.list.setCurrentRow(0)

    def _add_head(self, name: str, title: str, note: str) -> None:
        head = row(10, margins=(LEFT, 14, LEFT, 8))
        head.addWidget(Label(title, "strong"))
        head.addWidget(Label(note, "small"))
        head.addStretch(1)
        holder, inside = QWidget(), column()
        inside.addLayout(head)
        inside.addWidget(line())
        holder.setLayout(inside)
        self._heads[name] = holder
        self._form.addWidget(holder)
        item = QListWidgetItem(title)
        item.setData(Qt.ItemDataRole.UserRole, name)
        self.list.addItem(item)

    def _mark_groups(self) -> None:
        """A group with a refused value or a change that waits says so by a shape."""
        for number in range(self.list.count()):
            item = self.list.item(number)
            own = [self.rows[name] for name in self._names(str(item.data(Qt.ItemDataRole.UserRole)))]
            refused, due = any(made.is_refused for made in own), any(made.form.due for made in own)
            name = "cross" if refused else "refresh" if due else ""
            item.setIcon(icon(name, "state-error-ink" if refused else "link") if name else _no_icon())
            item.setToolTip(_("a value is refused") if refused else _("waits for a restart") if due else "")

    def _names(self, group_name: str) -> list[str]:
        return [shown.name for group in self._groups if group.name == group_name for shown in group.rows]

    def _show_due(self) -> None:
        found = waiting(self._groups)
        self.foot.setVisible(bool(found))
        if found:
            said = translate_many(
                "{count} change waits for a restart; everything else is in force.",
                "{count} changes wait for a restart; everything else is in force.", len(found),
            )  # fmt: skip
            self.due.setText(said)

    def _filter(self) -> None:
        text, changed = self.search.text().strip(), self.only_changed.isChecked()
        there = 0
        for group in self._groups:
            shown = [
                self.rows[each.name] for each in group.rows
                if each.matches(text) and (each.changed or not changed)
            ]  # fmt: skip
            for each in group.rows:
                self.rows[each.name].setVisible(self.rows[each.name] in shown)
            self._heads[group.name].setVisible(bool(shown))
            there += len(shown)
        whole = not text and not changed
        for part in (self._heads.get(GENERAL), self.autostart):
            if part is not None:
                part.setVisible(whole)
        self.nothing.setVisible(not there and bool(self._groups))

    def _go_to(self, number: int) -> None:
        item = self.list.item(number)
        head = self._heads.get(str(item.data(Qt.ItemDataRole.UserRole))) if item is not None else None
        if head is not None:
            self.area.verticalScrollBar().setValue(head.y())

    # --- what is done -------------------------------------------------------------------------

    def _change(self, name: str, value: Any) -> None:
        self._keep({name: value})

    def _reset(self, name: str) -> None:
        self._keep({name: None})

    def _undo(self) -> None:
        self._keep({row.name: None for row in waiting(self._groups)})

    def _keep(self, values: dict[str, object]) -> None:
        """Each under its own name: two changes one after another both count."""
        name = f"settings {', '.join(values)}"
        self.bridge.query(name, lambda node: node.change_settings(values), partial(self._kept, tuple(values)))

    def _kept(self, names: tuple[str, ...], problems: tuple[Problem, ...]) -> None:
        for name in names:
            self.rows[name].refuse(problems[0] if problems else None)
        self._look_again()
        self._mark_groups()
