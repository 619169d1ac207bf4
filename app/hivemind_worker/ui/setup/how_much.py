"""The step that says how much is lent, by presets and sliders, and when the owner goes first."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QDoubleSpinBox,
    QRadioButton,
    QSizePolicy,
    QSlider,
    QWidget,
)

from hivemind_worker.model.machine import Gpu, Sample
from hivemind_worker.model.rules import PRESETS as RULE_PRESETS
from hivemind_worker.model.rules import SLOTS_A_DAY, Rules, preset
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.amounts import unit_words
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.gpu import can_use_a_gpu, gpu_words
from hivemind_worker.presentation.page_facts import disk
from hivemind_worker.presentation.setup_words import (
    PRESETS,
    disk_of,
    kept_free,
    pauses_of,
    planned_words,
    share_of,
    stays_yours,
    weekday_of,
)
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.buttons import Switch
from hivemind_worker.ui.parts.flow import WANTS, Columns, Flow, flowing
from hivemind_worker.ui.parts.panels import Panel, column, line, row
from hivemind_worker.ui.parts.step import Step
from hivemind_worker.ui.parts.text import Figure, Label, set_kind
from hivemind_worker.ui.theme import theme
from hivemind_worker.ui.week_grid import DayStrip, Stretch, slot_time

NAME_PX, SLIDER_PX, NUMBER_PX = 90, 150, 200
"""The number is as wide for memory with its unit as for cores, so that the sliders end below each other."""


class Share(QWidget):
    """One slider with its number: for tasks at the left, yours at the right. Never nothing."""

    def __init__(self, name: str, unit: str, step: float, rest: Callable[[float, float], str]) -> None:
        """`rest` says of what is lent and of the whole what stays the owner's."""
        super().__init__()
        self._unit, self._step, self._whole, self._rest_words = unit, step, 1.0, rest
        self.slider, self.number = QSlider(Qt.Orientation.Horizontal), QDoubleSpinBox()
        self.slider.setAccessibleName(name)
        self.number.setAccessibleName(name)
        self.number.setSingleStep(step)
        self.number.setDecimals(0 if step >= 1 else 1)
        self.number.setFixedWidth(round(NUMBER_PX * theme().scale))
        self.number.lineEdit().setTextMargins(7, 0, 0, 0)
        self.rest = Figure("", "caption")
        middle, inside = QWidget(), column(2)
        inside.addWidget(self.slider)
        inside.addLayout(flowing(Label(_("for tasks"), "caption"), None, self.rest))
        middle.setLayout(inside)
        self.setLayout(share_row(name, middle, self.number))
        self.slider.valueChanged.connect(lambda at: self.number.setValue(at * self._step))
        self.number.valueChanged.connect(self._numbered)

    def set_whole(self, whole: float, least: float | None = None) -> None:
        """How much there is, and of it at least lent: one step where it is not said."""
        self._whole = whole
        self.number.setRange(self._step if least is None else least, whole)
        self.slider.setRange(0, max(1, round(whole / self._step)))
        unit = unit_words(whole, self._unit)
        self.number.setSuffix(" " + _("of {whole} {unit}", whole=f"{whole:g}", unit=unit))

    def _numbered(self, value: float) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(round(value / self._step))
        self.slider.blockSignals(False)  # at its lowest it still lends one step
        self.rest.setText(self._rest_words(value, self._whole))


def share_row(name: str, *parts: QWidget) -> Flow:
    """What is lent of one thing: its name, and what is to be set; in two lines where the window is narrow."""
    title = Label(name, "strong")
    title.setMinimumWidth(round(NAME_PX * theme().scale))
    for part in parts[:1]:
        part.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        part.setProperty(WANTS, round(SLIDER_PX * theme().scale))
    return flowing(title, *parts, spacing=16, margins=(16, 6, 16, 6))


class Graphics(QWidget):
    """Whether the graphics cards are lent; where there is none, or none that works, a line that says so."""

    def __init__(self) -> None:
        super().__init__()
        self.found, self.lend = Label("", "small", wrap=True), Switch(_("Lend it"))
        self.lend.setAccessibleDescription(_("Graphics"))
        self.lend.setChecked(True)
        self.setLayout(share_row(_("Graphics"), self.found, self.lend))

    def show_cards(self, cards: Sequence[Gpu]) -> None:
        """These were found."""
        self.found.setText(gpu_words(cards))
        self.lend.setVisible(can_use_a_gpu(cards))

    def chosen(self) -> dict[str, object]:
        """By the names of the rules: nothing, or that no level lends it."""
        if self.lend.isHidden() or self.lend.isChecked():
            return {}
        return dict.fromkeys(("light_gpu", "normal_gpu", "full_gpu"), False)


class Shares(Panel):
    """How much is lent of processor, memory, disk and graphics."""

    def __init__(self) -> None:
        super().__init__()
        self.cores = Share(_("Processor"), "cores", 1.0, partial(stays_yours, in_cores=True))
        self.memory = Share(_("Memory"), "GiB", 0.5, partial(stays_yours, in_cores=False))
        self.disk = Share(_("Disk"), "GiB", 1.0, kept_free)
        self.no_disk, self.graphics = Label("", "small", wrap=True), Graphics()
        self._short = QWidget()
        self._short.setLayout(share_row(_("Disk"), self.no_disk))
        for number, part in enumerate((self.cores, self.memory, self.disk, self._short, self.graphics)):
            if number not in (0, 3):  # of the disk's two rows one is shown
                self.body.addWidget(line())
            self.body.addWidget(part)
        self.free_gb = self.least_disk_gb = self.memory_gb = 0.0
        self.whole_cores = float(os.cpu_count() or 1)

    def measure(self, sample: Sample, settings: Settings) -> None:
        """This is the computer."""
        self.memory_gb = max(1.0, round(sample.memory_total_gb * 2) / 2)
        self.free_gb, self.least_disk_gb = float(int(sample.disk_available_gb)), settings.task_disk_gb
        self.cores.set_whole(self.whole_cores)
        self.memory.set_whole(self.memory_gb)
        self.disk.set_whole(self.free_gb, self.least_disk_gb)
        self.disk.setVisible(self.has_disk)
        self._short.setVisible(not self.has_disk)
        self.no_disk.setText(disk(sample, settings).text)
        self.graphics.show_cards(sample.gpus)

    @property
    def has_disk(self) -> bool:
        """Whether the disk has room for a task and more."""
        return self.free_gb > self.least_disk_gb

    def take_preset(self, key: str) -> None:
        """As this preset has it, once the computer is known."""
        if self.memory_gb:
            cores, memory_gb = share_of(key, int(self.whole_cores), self.memory_gb)
            self.cores.number.setValue(cores)
            self.memory.number.setValue(memory_gb)
            self.disk.number.setValue(disk_of(key, self.free_gb, self.least_disk_gb))

    def chosen(self) -> dict[str, object]:
        """By the names of the settings."""
        kept = {"keep_free_gb": self.free_gb - self.disk.number.value()} if self.has_disk else {}
        return {
            "max_cpu_cores": self.cores.number.value(), "max_memory_gb": self.memory.number.value(), **kept,
        }  # fmt: skip


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
    """A preset, how much of each part of the computer, and when the owner goes first."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(
            bridge, _("How much may it use?"),
            _("Start from a preset and adjust. The grey part stays yours; all of this can be changed later."),
        )  # fmt: skip
        self.presets: dict[str, QRadioButton] = {}
        self._cards: dict[str, Panel] = {}
        group = QButtonGroup(self)
        for key, name, text in PRESETS:
            button = QRadioButton(_(name))
            button.setAccessibleDescription(_(text))
            group.addButton(button)
            card = Panel()
            inside = column(2, margins=(12, 10, 12, 10))
            inside.addWidget(button)
            inside.addWidget(Label(_(text), "small", wrap=True))
            inside.addStretch(1)
            card.body.addLayout(inside)
            self.presets[key] = button
            self._cards[key] = card
            button.toggled.connect(lambda on, key=key: self._choose(key) if on else None)
        self.shares, self.pauses, self.weekday = Shares(), Pauses(), Weekday()
        cards = Columns(*self._cards.values(), framed=False, gap=12)
        for panel in (cards, self.shares, self.pauses, self.weekday):
            self.body.addWidget(panel)

    def opened(self) -> None:
        sample = self.bridge.sample
        if sample is None:
            self.bridge.query("setup sample", lambda node: node.sample(), self._sampled)
            return
        self._sampled(sample)

    def _sampled(self, sample: Sample) -> None:
        if self.shares.memory_gb or self.bridge.node is None:
            return
        self.shares.measure(sample, self.bridge.node.settings)
        self.presets["night"].setChecked(True)

    def _choose(self, key: str) -> None:
        for other, card in self._cards.items():
            set_kind(card, "panel", current="true" if other == key else "false")
        self.shares.take_preset(key)
        self.pauses.show_rules(preset(key))
        self.weekday.show_rules(preset(key))

    def take(self) -> bool:
        key = next((key for key, button in self.presets.items() if button.isChecked()), "night")
        rules = {**RULE_PRESETS[key], **self.pauses.chosen(), **self.shares.graphics.chosen()}
        self.bridge.query("setup rules", lambda node: node.rules.change(rules), self._changed)
        self.bridge.change_settings(self.shares.chosen(), self._changed)
        return True

    def _changed(self, problems: tuple[Problem, ...]) -> None:
        """Nothing is taken for kept that is not: the notice stands in the window below."""
        if problems:
            self.bridge.refused.emit(problems[0])
