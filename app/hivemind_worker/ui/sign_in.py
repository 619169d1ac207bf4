"""Signing in to a pool: address, name, password. Only a login that works is kept; why not is said."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QCheckBox, QLineEdit, QWidget

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.faults import words
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.dialogs import Dialog
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.text import Label


class SignIn(Dialog):
    """`done` is called with the address once the login is kept."""

    def __init__(
        self, parent: QWidget | None, bridge: Bridge, *, address: str = "", user: str = "",
        done: Callable[[str], object] = lambda _address: None,
    ) -> None:  # fmt: skip
        super().__init__(parent, _("Sign in to a pool"))
        self._bridge, self._done = bridge, done
        said = _(
            "Name and password are the pool's. They are kept in the system's keyring where there is one."
        )
        self.content.addWidget(Label(said, "second", wrap=True))
        self.address = self._field(_("Pool's address, HOST:PORT"), address)
        self.user = self._field(_("Name"), user)
        self.password = self._field(_("Password"))
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.plain = QCheckBox(_("Sign in although others on the network may read the password"))
        self.plain.hide()
        self.refused = Label("", "refused", wrap=True)
        self.refused.hide()
        self.content.addWidget(self.plain)
        self.content.addWidget(self.refused)
        self.foot.addWidget(Button(_("Cancel"), pressed=self.reject))
        self.button = Button(_("Sign in"), kind="primary", pressed=self.try_it)
        self.button.setDefault(True)
        self.foot.addWidget(self.button)
        (self.password if address and user else self.user if address else self.address).setFocus()

    def _field(self, label: str, value: str = "") -> QLineEdit:
        named, field = Label(label, "small"), QLineEdit(value)
        named.setBuddy(field)
        field.setAccessibleName(label)
        self.content.addWidget(named)
        self.content.addWidget(field)
        return field

    def try_it(self) -> None:
        """Ask the pool; the window stays responsive meanwhile."""
        address, user, password = self.address.text().strip(), self.user.text().strip(), self.password.text()
        missing = next(
            (field for field in (self.address, self.user, self.password) if not field.text()), None
        )
        if missing is not None:
            self._refuse(_("{field} is missing.", field=missing.accessibleName()))
            missing.setFocus()
            return
        self.button.setEnabled(False)
        self.button.set_text(_("Signing in"))
        plain = self.plain.isChecked()
        self._bridge.query(
            "sign in",
            lambda node: node.pools.sign_in(address, user, password, plain=plain),
            lambda problem: self._answered(address, problem),
        )

    def _answered(self, address: str, problem: Problem | None) -> None:
        self.button.setEnabled(True)
        self.button.set_text(_("Sign in"))
        if problem is None:
            self.accept()
            self._done(address)
            return
        self.plain.setVisible(problem.code is FaultCode.PLAIN_LOGIN or self.plain.isChecked())
        self._refuse(" ".join(words(problem)))

    def _refuse(self, text: str) -> None:
        self.refused.setText(text)
        self.refused.show()
        self.setAccessibleDescription(text)
