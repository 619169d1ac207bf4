"""Signing in to a pool: address, name, password. Only a login that works is kept; why not is said."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QCheckBox, QLineEdit, QWidget

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pools import is_asked
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.dialogs import Dialog
from hivemind_worker.ui.invited import Invited
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import column
from hivemind_worker.ui.parts.text import Label
from hivemind_worker.ui.refusal import Refusal


class KeepSignedIn(QWidget):
    """Whether the password is kept: by the system's keyring unless told not to, in a file only if told to."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.box = QCheckBox(_("Keep me signed in"))
        self.where = Label("", "small", wrap=True)
        inside = column(2)
        inside.addWidget(self.box)
        inside.addWidget(self.where)
        self.setLayout(inside)
        self._chosen = False
        self.box.clicked.connect(self._choose)
        self._say(False)
        bridge.query("keyring", lambda node: node.pools.has_keyring(), self._say)

    def _choose(self) -> None:
        self._chosen = True

    def _say(self, keyring: bool) -> None:
        in_file = _("This computer keeps no passwords for us: it would lie in a file that only you can read.")
        self.where.setText(_("The password is kept in the system's keyring.") if keyring else in_file)
        self.box.setAccessibleDescription(self.where.text())
        if not self._chosen:
            self.box.setChecked(keyring)

    def wanted(self) -> bool:
        """Whether later starts are to be signed in too."""
        return self.box.isChecked()


class SignIn(Dialog):
    """`done` is called with the address once the login is kept."""

    def __init__(
        self, parent: QWidget | None, bridge: Bridge, *, address: str = "", user: str = "",
        done: Callable[[str], object] = lambda _address: None,
    ) -> None:  # fmt: skip
        super().__init__(parent, _("Sign in to a pool"))
        self._bridge, self._done = bridge, done
        note = Label(_("Name and password are the pool's."), "second", wrap=True)
        self.content.addWidget(note)
        self._plain_parts: list[QWidget] = []
        self.address = self._field(_("Pool's address, HOST:PORT or tls://HOST:PORT"), address)
        self._plain_parts = [note]  # the address is asked for in any case
        self.invited = Invited(bridge, self.address)
        self.content.addWidget(self.invited)
        self.user = self._field(_("Name"), user)
        self.password = self._field(_("Password"))
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.keep = KeepSignedIn(bridge)
        self.content.addWidget(self.keep)
        self.has_invitation = Button(_("I have an invitation…"), kind="link", pressed=self.invited.show_it)
        self.content.addWidget(self.has_invitation)
        self.plain = QCheckBox(_("Sign in although others on the network may read the password"))
        self.plain.hide()
        self.refused = Refusal(bridge)
        self.content.addWidget(self.plain)
        self.content.addWidget(self.refused)
        self.foot.addWidget(Button(_("Cancel"), pressed=self.reject))
        self.button = Button(_("Sign in"), kind="primary", pressed=self.try_it)
        self.button.setDefault(True)
        self.foot.addWidget(self.button)
        self.invited.changed.connect(self._look)
        self._look()
        (self.password if address and user else self.user if address else self.address).setFocus()

    def _field(self, label: str, value: str = "") -> QLineEdit:
        named, field = Label(label, "small"), QLineEdit(value)
        named.setBuddy(field)
        field.setAccessibleName(label)
        self.content.addWidget(named)
        self.content.addWidget(field)
        self._plain_parts += [named, field]
        return field

    def _look(self) -> None:
        """Only what this kind of pool wants."""
        for part in (*self._plain_parts, self.keep, self.has_invitation):
            part.setVisible(not self.invited.wanted)
        self._fit()

    def _fit(self) -> None:
        """As high as what is shown now needs."""
        layout = self.layout()
        if layout is not None:
            layout.activate()
        self.resize(self.width(), self.heightForWidth(self.width()) if self.hasHeightForWidth() else 0)

    def try_it(self) -> None:
        """Ask the pool; the window stays responsive meanwhile."""
        if self.invited.wanted and self.invited.ready:
            self._wait()
            self.invited.join(self._joined)
            return
        address, user, password = self.address.text().strip(), self.user.text().strip(), self.password.text()
        needed = [self.address, self.user, *(() if is_asked(address) else (self.password,))]
        missing = next((field for field in needed if not field.text()), None)
        if missing is not None:
            self.refused.say_words(_("{field} is missing.", field=missing.accessibleName()))
            self.setAccessibleDescription(self.refused.text())
            missing.setFocus()
            return
        self._wait()
        plain, keep = self.plain.isChecked(), self.keep.wanted()
        self._bridge.query(
            "sign in",
            lambda node: node.pools.sign_in(address, user, password, plain=plain, keep=keep),
            lambda problem: self._answered(address, problem),
        )

    def _wait(self) -> None:
        self.button.setEnabled(False)
        self.button.set_text(_("Signing in"))

    def _joined(self, told: str | Problem) -> None:
        if isinstance(told, Problem):
            self._answered("", told)
        else:
            self._answered(told, None)

    def _answered(self, address: str, problem: Problem | None) -> None:
        self.button.setEnabled(True)
        self.button.set_text(_("Sign in"))
        if problem is None:
            self.accept()
            self._done(address)
            return
        self.plain.setVisible(problem.code is FaultCode.PLAIN_LOGIN or self.plain.isChecked())
        self.refused.say(problem)
        self._fit()
        self.setAccessibleDescription(self.refused.text())
