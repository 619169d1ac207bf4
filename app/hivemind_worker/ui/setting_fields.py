"""One row of the settings form: label, field, and beside it what it means or why a value is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QFrame, QLineEdit, QSpinBox, QWidget

from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.amounts import unit_words
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.settings_form import (
    CHOICE,
    FLAG,
    NUMBER,
    WHOLE,
    FormRow,
    reason_against,
    shown,
)
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.buttons import Button, Switch
from hivemind_worker.ui.parts.flow import Stacking
from hivemind_worker.ui.parts.panels import column, row
from hivemind_worker.ui.parts.text import Label, Shape, set_kind
from hivemind_worker.ui.refusal import Refusal
from hivemind_worker.ui.theme import theme

LABEL_PX, FIELD_PX, BESIDE_PX, LEFT = 190, 176, 170, 20
WIDEST = 1_000_000_000
"""Fields take more than a setting does: a value out of bounds is refused with its reason, never cut."""

Changed = Callable[[str, Any], object]


class _NoWheel(QObject):
    """Turning the wheel scrolls the page; it does not change what happens to lie under the pointer."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QWheelEvent) and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


def field_row(label: QWidget, field: QWidget, beside: QWidget) -> Stacking:
    """A label, its field, and what is said beside it; below it where the window is narrow."""
    least = round(BESIDE_PX * theme().scale)
    return Stacking(label, field, beside, spacing=16, margins=(LEFT, 8, LEFT, 8), least_last_px=least)


class SettingRow(QFrame):
    """Shows a `FormRow`. `changed` is called with a value that fits; another one is refused here."""

    def __init__(
        self, bridge: Bridge, form: FormRow, changed: Changed, reset: Callable[[str], object]
    ) -> None:
        super().__init__()
        self.form, self._changed, self._reset = form, changed, reset
        self._quiet = _NoWheel(self)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setProperty("kind", "setting")
        self.label, self.env = Label(form.label), Label(form.env, "variable")
        self.field = self._made_field()
        self.field.setAccessibleName(form.label)
        self.field.installEventFilter(self._quiet)
        self.label.setBuddy(self.field)
        self.hint = Label("", "small", wrap=True)
        self.mark = Shape(px="icon_small")
        self.reason = Refusal(bridge)
        self.back = Button("", kind="link", pressed=self.put_back)
        self.default = Button(_("Use the default"), kind="link", pressed=lambda: self._reset(form.name))
        self._lay_out()
        self.show_row(form)

    def _lay_out(self) -> None:
        scale = theme().scale
        names, beside, reason, what = column(1), column(1), row(6), QWidget()
        names.addWidget(self.label)
        names.addWidget(self.env)
        names.addStretch(1)
        reason.addWidget(self.mark, 0, Qt.AlignmentFlag.AlignTop)
        reason.addWidget(self.reason, 1)
        links = row(14)
        links.addWidget(self.back)
        links.addWidget(self.default)
        links.addStretch(1)
        beside.addLayout(reason)
        beside.addWidget(self.hint)
        beside.addLayout(links)
        beside.addStretch(1)
        box, holder = QWidget(), QWidget()
        box.setLayout(names)
        what.setLayout(beside)
        at_top = column()
        at_top.addWidget(self.field)
        at_top.addStretch(1)
        holder.setLayout(at_top)
        box.setFixedWidth(round(LABEL_PX * scale))
        self.field.setFixedWidth(round(FIELD_PX * min(1.5, scale)))
        holder.setFixedWidth(self.field.width())
        whole = column()
        whole.addWidget(field_row(box, holder, what))
        self.setLayout(whole)

    # --- fields -------------------------------------------------------------------------------

    def _made_field(self) -> QWidget:
        form = self.form
        if form.kind == FLAG:
            switch = Switch()
            switch.toggled.connect(self.take)
            return switch
        if form.kind == CHOICE:
            box = QComboBox()
            for value, word in form.choices:
                box.addItem(word, value)
            box.activated.connect(lambda _index: self.take(box.currentData()))
            return box
        if form.kind in (WHOLE, NUMBER):
            return self._number_field(form)
        line = QLineEdit()
        line.setPlaceholderText(shown(form.name, "", ""))
        line.editingFinished.connect(lambda: self.take(line.text()))
        return line

    def _number_field(self, form: FormRow) -> QWidget:
        spin: QSpinBox | QDoubleSpinBox
        if form.kind == WHOLE:
            spin = QSpinBox()
        else:
            spin = QDoubleSpinBox()
            spin.setDecimals(3)
            spin.textFromValue = lambda value: f"{value:g}"  # type: ignore[method-assign]
        spin.setRange(-WIDEST, WIDEST)
        spin.valueChanged.connect(lambda _value: self._show_unit(spin))
        self._show_unit(spin)
        spin.setKeyboardTracking(False)
        spin.lineEdit().setTextMargins(7, 0, 0, 0)
        spin.valueChanged.connect(self.take)
        return spin

    def _show_unit(self, spin: QSpinBox | QDoubleSpinBox) -> None:
        """One core, two cores."""
        spin.setSuffix(f" {unit_words(spin.value(), self.form.unit)}".rstrip())

    def _put(self, value: Any) -> None:
        """Show a value without taking it for the owner's wish."""
        field = self.field
        field.blockSignals(True)
        if isinstance(field, Switch):
            field.setChecked(bool(value))
        elif isinstance(field, QComboBox):
            field.setCurrentIndex(max(0, field.findData(value)))
        elif isinstance(field, QSpinBox):
            field.setValue(int(value))
            self._show_unit(field)
        elif isinstance(field, QDoubleSpinBox):
            field.setValue(float(value))
            self._show_unit(field)
        elif isinstance(field, QLineEdit) and field.text() != str(value):
            field.setText(str(value))
        field.blockSignals(False)

    # --- what happens -------------------------------------------------------------------------

    def take(self, value: Any) -> None:
        """The owner wants this value."""
        if value == self.form.value:
            self.refuse(None)
            return
        reason = reason_against(self.form.name, value)
        self.reason.say_setting(self.form.name, reason)
        self._mark()
        if not reason:
            self._changed(self.form.name, value)

    def refuse(self, problem: Problem | None) -> None:
        """Say why the value was not kept; None takes that back."""
        self.reason.say(problem)
        self._mark()

    def _mark(self) -> None:
        """A refused value is marked, and can be put back."""
        reason = self.reason.text()
        set_kind(self, "setting", refused="true" if reason else "false")
        set_kind(self.field, self.field.property("kind") or "", refused="true" if reason else "false")
        self.mark.show_icon("cross", "state-error-ink", _("refused"))
        self.mark.setVisible(bool(reason))
        self.back.setVisible(bool(reason))
        self.back.set_text(
            _("Put {value} back", value=shown(self.form.name, self.form.value, self.form.unit))
        )
        self.field.setAccessibleDescription(reason or self.hint.text())

    @property
    def is_refused(self) -> bool:
        """Whether the field shows a value that is not taken."""
        return bool(self.reason.text())

    def put_back(self) -> None:
        """Show the value that holds again."""
        self._put(self.form.value)
        self.refuse(None)

    def show_row(self, form: FormRow) -> None:
        """What is kept and what holds has changed; a refused value stays until it is mended."""
        self.form = form
        if not self.is_refused:
            self._put(form.value)
            self.refuse(None)
        self.field.setEnabled(not form.locked)
        parts = [form.locked or form.hint]
        if form.due:
            parts.append(_("Waits for a restart; until then {value}.", value=form.holds))
        elif form.restart and not form.locked:
            parts.append(_("Needs a restart."))
        self.hint.setText(" ".join(parts))
        self.default.setVisible(form.changed and not form.locked)
