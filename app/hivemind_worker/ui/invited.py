"""What a pool that is asked for tasks wants instead of name and password: an invitation or a credential."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QFileDialog, QLineEdit, QWidget

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import column, row
from hivemind_worker.ui.parts.text import Label

INVITATION, SECURE = "hivemind-invitation-", "tls://"


class Invited(QWidget):
    """Shown for an address that begins with tls://, or once the owner says that there is an invitation."""

    changed = Signal()

    def __init__(self, bridge: Bridge, address: QLineEdit) -> None:
        """`address`: an invitation pasted there comes here."""
        super().__init__()
        self._bridge, self._address = bridge, address
        self.note = Label(
            _("This computer asks such a pool for tasks: it needs no VPN and no open port."),
            "second",
            wrap=True,
        )
        name = _("Invitation, or the path of a credential file; empty for the one kept here")
        label, self.proof = Label(name, "small", wrap=True), QLineEdit()
        label.setBuddy(self.proof)
        self.proof.setAccessibleName(name)
        self.give_up = QCheckBox(_("Give up the credential that is kept here"))
        self.give_up.hide()
        line = row(8)
        line.addWidget(self.proof, 1)
        line.addWidget(Button(_("Choose a file…"), pressed=self._choose))
        inside = column(6)
        inside.addWidget(self.note)
        inside.addWidget(label)
        inside.addLayout(line)
        inside.addWidget(self.give_up)
        self.setLayout(inside)
        self.proof.textChanged.connect(lambda _text: self.changed.emit())
        address.textChanged.connect(self._look)
        self.hide()
        self._look(address.text())

    @property
    def wanted(self) -> bool:
        """Whether this, and not name and password, is what the pool wants."""
        return not self.isHidden()

    @property
    def ready(self) -> bool:
        """Whether there is something to try."""
        return bool(self._address.text().strip() or self.proof.text().strip())

    def show_it(self) -> None:
        """There is an invitation: its address is in it."""
        self.show()
        self.proof.setFocus(Qt.FocusReason.OtherFocusReason)
        self.changed.emit()

    def _look(self, text: str) -> None:
        if text.strip().startswith(INVITATION):
            self._address.clear()
            self.proof.setText(text.strip())
            self.show_it()
        elif text.strip():
            self.setVisible(text.strip().startswith(SECURE))
        self.changed.emit()

    def _choose(self) -> None:
        chooser = QFileDialog(self, _("Choose a file"))
        chooser.setFileMode(QFileDialog.FileMode.ExistingFile)
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chooser.fileSelected.connect(self.proof.setText)
        chooser.open()

    def join(self, then: Callable[[str | Problem], object]) -> None:
        """Ask the pool to let this computer in; `then` hears its address, or why not."""
        address, proof, give_up = self._address.text().strip(), self.proof.text(), self.give_up.isChecked()

        def answered(told: str | Problem) -> None:
            if isinstance(told, Problem) and told.code is FaultCode.CREDENTIAL_KEPT:
                self.give_up.show()
            then(told)

        self._bridge.query(
            "join", lambda node: node.pools.join(address, proof, give_up=give_up), answered
        )  # fmt: skip
