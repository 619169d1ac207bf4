"""The first step: where the profile comes from. Nothing is kept or changed here."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QFrame, QLayout, QLineEdit, QPlainTextEdit, QWidget

from hivemind_worker.engine.face import NodeFace
from hivemind_worker.model.task import Problem
from hivemind_worker.model.vpn import Review
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.fault_details import Told
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.vpn import finding_words
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.fault_details import say_problem, show_details
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import Callout, Panel, column, row
from hivemind_worker.ui.parts.step import Step
from hivemind_worker.ui.parts.text import Label
from hivemind_worker.ui.theme import theme

READ_LIMIT = 1 << 20
PASTE_PX = 150
PROFILE = "vpn_profile"
"""The code of a profile that is not used."""


class Drop(QFrame):
    """Takes a file that is dropped on it; the button beside does the same."""

    def __init__(self, took: Callable[[Path], object]) -> None:
        super().__init__()
        self._took = took
        self.setAcceptDrops(True)
        self.setProperty("kind", "panel")

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        files = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if files:
            event.acceptProposedAction()
            self._took(Path(files[0]))


class Source(Step):
    """A file, a text, or the pool's site; `content` is what it gave, `review` what it would do."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(
            bridge, _("Where is the profile?"),
            _("The pool's owner sent you a file, or a text, or the name of the pool's site."),
        )  # fmt: skip
        self.content, self.review = b"", Review(findings=())
        self.paste, self.site = QPlainTextEdit(), QLineEdit()
        self.paste.setAccessibleName(_("Text of the profile"))
        self.paste.setPlaceholderText("[Interface]\nPrivateKey = …\n\n[Peer]\nPublicKey = …")
        self.paste.setTabChangesFocus(True)
        self.paste.setFixedHeight(round(PASTE_PX * theme().scale))
        self.paste.setFont(theme().font("mono"))
        self.paste.textChanged.connect(self._pasted)
        self.site.setAccessibleName(_("The pool's site"))
        self.site.setPlaceholderText("https://pool.example")
        self.site.returnPressed.connect(self._ask_site)
        self.trouble = Callout()
        self.trouble.hide()
        self.key = Label("", "mono", wrap=True)
        self.key.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByKeyboard)
        self.key.hide()
        self._lay_out()

    def _lay_out(self) -> None:
        self.choose = Button(_("Choose a file…"), "folder", pressed=self._choose)
        drop, inside = Drop(self.read), row(12, margins=(16, 14, 16, 14))
        inside.addWidget(Label(_("Drop the file here, or"), "second"))
        inside.addWidget(self.choose)
        inside.addStretch(1)
        drop.setLayout(inside)
        text = Panel(_("Or paste its text"))
        padded = column(0, margins=(12, 10, 12, 12))
        padded.addWidget(self.paste)
        text.body.addLayout(padded)
        other, rows = Panel(), column(10, margins=(16, 12, 16, 12))
        rows.addLayout(_line(Label(_("Or ask the pool's site"), "second"), self.site,
                             Button(_("Ask"), pressed=self._ask_site)))  # fmt: skip
        rows.addLayout(_line(
            Label(_("Does the owner enrol by hand? Send him a public key; his file needs no private one."),
                  "second", wrap=True),
            Button(_("Make a key"), "lock", pressed=self._make_key),
        ))  # fmt: skip
        rows.addWidget(self.key)
        other.body.addLayout(rows)
        for widget in (self.trouble, drop, text, other):
            self.body.addWidget(widget)

    # --- what comes in ------------------------------------------------------------------------

    def _choose(self) -> None:
        dialog = QFileDialog(self, _("Choose a file…"), "", "WireGuard (*.conf);;* (*)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda name: self.read(Path(name)))
        dialog.open()

    def read(self, file: Path) -> None:
        """Take a file's content and go on, if it can be used."""
        try:
            with file.open("rb") as opened:
                self._take(opened.read(READ_LIMIT))
        except OSError as error:
            self.trouble.setVisible(True)
            self.trouble.say(_warning(), _("{file} cannot be read.", file=file.name), error.strerror or "")

    def _pasted(self) -> None:
        self.content = self.paste.toPlainText().encode("utf-8", "surrogatepass")
        self.changed.emit()

    def _ask_site(self) -> None:
        site = self.site.text().strip()

        async def ask(node: NodeFace) -> bytes | Problem:
            return await node.vpn.ask_site(site)

        def answered(given: bytes | Problem) -> None:
            if isinstance(given, Problem):
                self.trouble.setVisible(True)
                say_problem(self.trouble, self.bridge, given)
            else:
                self._take(given)

        if site:
            self.bridge.query("vpn site", ask, answered)

    def _make_key(self) -> None:
        def made(public: str | Problem) -> None:
            if isinstance(public, Problem):
                self.trouble.setVisible(True)
                say_problem(self.trouble, self.bridge, public)
                return
            self.key.setText(public)
            self.key.setVisible(True)
            QGuiApplication.clipboard().setText(public)  # the public half: it is meant to be sent

        self.bridge.query("vpn key", lambda node: node.vpn.new_key(), made)

    def _take(self, content: bytes) -> None:
        self.content = content
        self.changed.emit()
        if self.take():
            self.passed.emit()

    # --- going on -----------------------------------------------------------------------------

    def ready(self) -> bool:
        return bool(self.content.strip())

    def take(self) -> bool:
        """Read the profile; one that is refused is told line by line and nothing else happens."""
        if self.bridge.node is None:
            return False
        self.review = self.bridge.node.vpn.review(self.content)
        refused = [finding_words(each) for each in self.review.findings if each.refuses]
        self.trouble.setVisible(bool(refused))
        if refused:
            said = _("This profile is not used. Nothing was changed.")
            told = Told(code=PROFILE, at_s=time.time(), text=said, about="; ".join(refused))
            details = partial(show_details, self, self.bridge, told)
            self.trouble.say(_warning(), said, "\n".join(refused[:8]), details)
            return False
        self.paste.blockSignals(True)
        self.paste.clear()  # it holds a private key, and is not shown again
        self.paste.blockSignals(False)
        return True


def _warning() -> Look:
    return Look(tone="warning", icon="warning", word=_("trouble"))


def _line(label: Label, *widgets: QWidget) -> QLayout:
    made = row(12)
    made.addWidget(label, 0 if any(isinstance(each, QLineEdit) for each in widgets) else 1)
    for each in widgets:
        made.addWidget(each, 1 if isinstance(each, QLineEdit) else 0)
    return made
