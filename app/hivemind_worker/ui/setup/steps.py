"""The steps around the one that says how much: welcome, this computer, join."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QLineEdit,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from hivemind_worker.model.checkup import Check
from hivemind_worker.model.pools import is_asked
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _, language_in_use
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.setup_words import (
    PROMISES,
    check_look,
)
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.fault_details import say_problem
from hivemind_worker.ui.invited import Invited
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import Callout, FactLine, FactRows, Panel, column, row
from hivemind_worker.ui.parts.step import Step
from hivemind_worker.ui.parts.text import Label
from hivemind_worker.ui.sign_in import KeepSignedIn
from hivemind_worker.ui.theme import theme
from hivemind_worker.ui.vpn_setup.window import VpnSetup

TONES = {"check": "working", "cross": "offline"}
LANGUAGES = (("en", "English"), ("zh_TW", "繁體中文"))


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
