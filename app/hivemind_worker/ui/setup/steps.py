"""The first four steps: welcome, this computer, how much, join."""

from __future__ import annotations

import os

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QRadioButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from hivemind_worker.model.checkup import Check
from hivemind_worker.model.machine import Sample
from hivemind_worker.model.pools import is_asked
from hivemind_worker.model.rules import PRESETS as RULE_PRESETS
from hivemind_worker.model.rules import SLOTS_A_DAY, Rules, preset
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _, language_in_use
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.setup_words import (
    PRESETS,
    PROMISES,
    check_look,
    pauses_of,
    planned_words,
    share_of,
    stays_yours,
    weekday_of,
)
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.fault_details import say_problem
from hivemind_worker.ui.invited import Invited
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.flow import flowing
from hivemind_worker.ui.parts.panels import Callout, FactLine, FactRows, Panel, column, row
from hivemind_worker.ui.parts.step import Step
from hivemind_worker.ui.parts.text import Figure, Label, set_kind
from hivemind_worker.ui.sign_in import KeepSignedIn
from hivemind_worker.ui.theme import theme
from hivemind_worker.ui.vpn_setup.window import VpnSetup
from hivemind_worker.ui.week_grid import DayStrip, Stretch, slot_time

TONES = {"check": "working", "cross": "offline"}
LANGUAGES = (("en", "English"), ("zh_TW", "繁體中文"))
NUMBER_PX = 200
"""As wide for memory with its unit as for cores, so that the sliders end below each other."""


class Welcome(Step):
    """What runs and what never does, and the language."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(
            bridge, _("Lend your computer, keep your computer"),
            _("HiveMind Worker runs other people’s computations while you do not need your computer."),
        )  # fmt: skip
        panel, promises = Panel(), FactRows(left=34, top=False)
        promises.show_lines([
            FactLine(look=Look(tone=TONES[icon], icon=icon, word=""), text=_(text)) for icon, text in PROMISES
        ])  # fmt: skip
        panel.body.addWidget(promises)
        self.body.addWidget(panel)
        self.language = QComboBox()
        self.language.setAccessibleName(_("Language"))
        for code, name in LANGUAGES:
            self.language.addItem(name, code)
        self.language.setCurrentIndex(max(0, self.language.findData(language_in_use())))
        self.language.currentIndexChanged.connect(self._choose)
        line = row(12)
        line.addWidget(Label(_("Language"), "strong"))
        line.addWidget(self.language)
        line.addStretch(1)
        self.body.addLayout(line)

    def _choose(self, number: int) -> None:
        self.bridge.change_settings({"language": self.language.itemData(number)})


class ThisComputer(Step):
    """What this computer can do, looked at live."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(
            bridge, _("What this computer can do"),
            _("What is missing is not needed to begin: the built-in sandbox works everywhere."),
        )  # fmt: skip
        self.panel = Panel(_("Looking…"))
        self.rows = FactRows(left=34)
        self.panel.body.addWidget(self.rows)
        self.body.addWidget(self.panel)
        self._found = False

    def opened(self) -> None:
        self.bridge.query("checkup", lambda node: node.care.checkup(), self._show)

    def _show(self, checks: tuple[Check, ...]) -> None:
        self._found = True
        self.panel.title.setText(_("Looked at this computer"))
        self.rows.show_lines([
            FactLine(look=check_look(check), text=f"{check.name}: {check.text}", right=check.next_step[:60])
            for check in checks
        ])  # fmt: skip
        self.changed.emit()


class Share(Panel):
    """One slider with its number: for tasks at the left, yours at the right. Never nothing."""

    def __init__(self, name: str, unit: str, step: float) -> None:
        super().__init__()
        self._unit, self._step, self._whole = unit, step, 1.0
        self.slider, self.number = QSlider(Qt.Orientation.Horizontal), QDoubleSpinBox()
        self.slider.setAccessibleName(name)
        self.number.setAccessibleName(name)
        self.number.setSingleStep(step)
        self.number.setDecimals(0 if step >= 1 else 1)
        self.number.setMinimumWidth(round(NUMBER_PX * theme().scale))
        self.number.lineEdit().setTextMargins(7, 0, 0, 0)
        self.rest = Figure("", "caption")
        title = Label(name, "strong")
        title.setMinimumWidth(round(90 * theme().scale))
        middle = column(2)
        middle.addWidget(self.slider)
        below = row()
        below.addWidget(Label(_("for tasks"), "caption"))
        below.addStretch(1)
        below.addWidget(self.rest)
        middle.addLayout(below)
        line = row(16, margins=(16, 9, 16, 9))
        line.addWidget(title)
        line.addLayout(middle, 1)
        line.addWidget(self.number)
        self.body.addLayout(line)
        self.slider.valueChanged.connect(lambda at: self.number.setValue(at * self._step))
        self.number.valueChanged.connect(self._numbered)

    def set_whole(self, whole: float) -> None:
        """How much there is; at least one step is lent."""
        self._whole = whole
        self.number.setRange(self._step, whole)
        self.slider.setRange(0, max(1, round(whole / self._step)))
        self.number.setSuffix(" " + _("of {whole} {unit}", whole=f"{whole:g}", unit=self._unit))

    def _numbered(self, value: float) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(round(value / self._step))
        self.slider.blockSignals(False)  # at its lowest it still lends one step
        self.rest.setText(stays_yours(value, self._whole, in_cores=self._step >= 1))


class Pauses(Panel):
    """When the owner goes first; each can be ticked off."""

    def __init__(self) -> None:
        super().__init__()
        self._boxes: dict[str, QCheckBox] = {}
        self._when: dict[str, Label] = {}
        inside = column(6, margins=(16, 10, 16, 10))
        for pause in pauses_of(Rules()):
            box, when = QCheckBox(pause.text), Label("", "caption")
            inside.addLayout(flowing(box, when))
            self._boxes[pause.rule], self._when[pause.rule] = box, when
        self.body.addLayout(inside)

    def show_rules(self, rules: Rules) -> None:
        """As these have it."""
        for pause in pauses_of(rules):
            self._boxes[pause.rule].setChecked(bool(getattr(rules, pause.rule)))
            self._boxes[pause.rule].setAccessibleDescription(pause.when)
            self._when[pause.rule].setText(pause.when)

    def chosen(self) -> dict[str, object]:
        """What is ticked, by the names of the rules."""
        return {rule: box.isChecked() for rule, box in self._boxes.items()}


class Weekday(Panel):
    """An ordinary weekday of a plan, and how much of a week it has."""

    EVERY = SLOTS_A_DAY // 8

    def __init__(self) -> None:
        super().__init__()
        self.strip, self.planned = DayStrip(), Figure("", "caption")
        self.strip.setAccessibleName(_("An ordinary weekday"))
        hours = row()
        for slot in range(0, SLOTS_A_DAY, self.EVERY):
            hours.addWidget(Label(slot_time(slot), "caption"), 1)
        inside = column(4, margins=(16, 9, 16, 9))
        inside.addLayout(flowing(Label(_("An ordinary weekday"), "strong"), None, self.planned))
        inside.addWidget(self.strip)
        inside.addLayout(hours)
        self.body.addLayout(inside)

    def show_rules(self, rules: Rules) -> None:
        """As these have it."""
        self.planned.setText(planned_words(rules))
        self.strip.show_parts([
            Stretch(each.first / SLOTS_A_DAY, each.last / SLOTS_A_DAY, each.level, works=True, name=each.name)
            for each in weekday_of(rules)
        ])  # fmt: skip


class HowMuch(Step):
    """A preset, how much of processor and memory, and when the owner goes first."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(
            bridge, _("How much may it use?"),
            _("Start from a preset and adjust. The grey part stays yours; all of this can be changed later."),
        )  # fmt: skip
        self.presets: dict[str, QRadioButton] = {}
        self._cards: dict[str, Panel] = {}
        group, line = QButtonGroup(self), row(12)
        for key, name, text in PRESETS:
            button = QRadioButton(_(name))
            button.setAccessibleDescription(_(text))
            group.addButton(button)
            card = Panel()
            inside = column(2, margins=(12, 10, 12, 10))
            inside.addWidget(button)
            inside.addWidget(Label(_(text), "small", wrap=True))
            card.body.addLayout(inside)
            self.presets[key] = button
            self._cards[key] = card
            line.addWidget(card, 1)
            button.toggled.connect(lambda on, key=key: self._choose(key) if on else None)
        self.body.addLayout(line)
        self.cores, self.memory = Share(_("Processor"), _("cores"), 1.0), Share(_("Memory"), "GiB", 0.5)
        self.pauses, self.weekday = Pauses(), Weekday()
        for panel in (self.cores, self.memory, self.pauses, self.weekday):
            self.body.addWidget(panel)
        self._cores, self._memory_gb = float(os.cpu_count() or 1), 0.0

    def opened(self) -> None:
        sample = self.bridge.sample
        if sample is None:
            self.bridge.query("setup sample", lambda node: node.sample(), self._sampled)
            return
        self._sampled(sample)

    def _sampled(self, sample: Sample) -> None:
        if self._memory_gb:
            return
        self._memory_gb = max(1.0, round(sample.memory_total_gb * 2) / 2)
        self.cores.set_whole(self._cores)
        self.memory.set_whole(self._memory_gb)
        self.presets["night"].setChecked(True)

    def _choose(self, key: str) -> None:
        for other, card in self._cards.items():
            set_kind(card, "panel", current="true" if other == key else "false")
        if self._memory_gb:
            cores, memory_gb = share_of(key, int(self._cores), self._memory_gb)
            self.cores.number.setValue(cores)
            self.memory.number.setValue(memory_gb)
        self.pauses.show_rules(preset(key))
        self.weekday.show_rules(preset(key))

    def take(self) -> bool:
        key = next((key for key, button in self.presets.items() if button.isChecked()), "night")
        rules = {**RULE_PRESETS[key], **self.pauses.chosen()}
        self.bridge.query("setup rules", lambda node: node.rules.change(rules), self._changed)
        self.bridge.change_settings(
            {"max_cpu_cores": self.cores.number.value(), "max_memory_gb": self.memory.number.value()},
            self._changed,
        )
        return True

    def _changed(self, problems: tuple[Problem, ...]) -> None:
        """Nothing is taken for kept that is not: the notice stands in the window below."""
        if problems:
            self.bridge.refused.emit(problems[0])


class Join(Step):
    """The demo, or a pool with a login."""

    def __init__(self, bridge: Bridge) -> None:
        self._asking = False
        super().__init__(bridge, _("Whose work?"), _("You can add, change and leave pools at any time."))
        self.demo = QRadioButton(_("Just try it: a small pool inside this app"))
        self.demo.setAccessibleDescription(
            _("Needs no account and no network; nothing leaves this computer.")
        )
        self.pool = QRadioButton(_("A pool that I have an account at"))
        self.demo.setChecked(True)
        self.address, self.user, self.password = QLineEdit(), QLineEdit(), QLineEdit()
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.trouble = Callout()
        self.trouble.hide()
        first, second = Panel(), Panel()
        calm = _("Needs no account and no network; nothing leaves this computer.")
        first.body.addLayout(self._card(self.demo, calm))
        inside = self._card(
            self.pool, _("Its address, and what it gave you: a name and password, or an invitation.")
        )
        self.invited = Invited(self.bridge, self.address)
        inside.addWidget(self._field(_("Address"), self.address))
        inside.addWidget(self.invited)
        self._plain_parts = (
            self._field(_("Name"), self.user), self._field(_("Password"), self.password),
        )  # fmt: skip
        for part in self._plain_parts:
            inside.addWidget(part)
        self.address.setPlaceholderText("10.0.0.1:50051, tls://pool.example.org:4222")
        self.keep = KeepSignedIn(self.bridge)
        inside.addWidget(self.keep)
        sent = _("It sent me a VPN profile: set that up first…")
        self.has_profile = Button(sent, kind="link", pressed=self._set_up_vpn)
        self.has_invitation = Button(_("I have an invitation…"), kind="link", pressed=self._invited)
        inside.addWidget(self.has_profile)
        inside.addWidget(self.has_invitation)
        self.invited.changed.connect(self._chosen)
        second.body.addLayout(inside)
        self.body.addWidget(first)
        self.body.addWidget(second)
        self.body.addWidget(self.trouble)
        group = QButtonGroup(self)
        for button in (self.demo, self.pool):
            group.addButton(button)
            button.toggled.connect(lambda _on: self._chosen())
        self._chosen()

    def _field(self, name: str, field: QLineEdit) -> QWidget:
        field.setAccessibleName(name)
        field.textChanged.connect(lambda _text: self.changed.emit())
        whole, line, label = QWidget(), row(12), Label(name, "second")
        label.setMinimumWidth(round(90 * theme().scale))
        line.addWidget(label)
        line.addWidget(field, 1)
        whole.setLayout(line)
        return whole

    def _invited(self) -> None:
        self.pool.setChecked(True)
        self.invited.show_it()

    def _set_up_vpn(self) -> None:
        VpnSetup(self.bridge, self.window()).open()

    def _card(self, button: QRadioButton, text: str) -> QVBoxLayout:
        inside = column(4, margins=(12, 10, 12, 10))
        inside.addWidget(button)
        inside.addWidget(Label(text, "small", wrap=True))
        return inside

    def _chosen(self) -> None:
        for field in (self.address, self.user, self.password, self.keep, self.invited):
            field.setEnabled(self.pool.isChecked())
        for part in (*self._plain_parts, self.keep, self.has_profile, self.has_invitation):
            part.setVisible(not self.invited.wanted)
        self.changed.emit()

    def ready(self) -> bool:
        if self._asking:
            return False
        if self.demo.isChecked():
            return True
        if self.invited.wanted:
            return self.invited.ready
        password = is_asked(self.address.text()) or bool(self.password.text())  # of a trial on this computer
        return password and bool(self.address.text().strip() and self.user.text().strip())

    def next_words(self) -> str:
        return _("Next") if self.demo.isChecked() else _("Sign in")

    def take(self) -> bool:
        if self.demo.isChecked():
            return True
        self._asking = True
        self.changed.emit()
        if self.invited.wanted:
            self.invited.join(self._joined)
            return False
        address, user, password = self.address.text().strip(), self.user.text().strip(), self.password.text()
        keep = self.keep.wanted()
        self.bridge.query(
            "sign in", lambda node: node.pools.sign_in(address, user, password, keep=keep), self._answered
        )
        return False

    def _joined(self, told: str | Problem) -> None:
        if not isinstance(told, Problem):
            self.address.setText(told)
        self._answered(told if isinstance(told, Problem) else None)

    def _answered(self, problem: Problem | None) -> None:
        self._asking = False
        self.changed.emit()
        self.trouble.setVisible(problem is not None)
        if problem is not None:
            say_problem(self.trouble, self.bridge, problem)
            return
        self.password.clear()
        self.bridge.change_settings({"master_address": self.address.text().strip()})
        self.passed.emit()
