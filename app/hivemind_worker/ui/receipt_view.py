"""The receipt of a task: what ran here, within which limits, which files went in and out; to be saved."""

from __future__ import annotations

import json
from collections.abc import Mapping

from PySide6.QtWidgets import QPlainTextEdit, QWidget

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.receipt_words import receipt_files, receipt_rows
from hivemind_worker.ui.dialogs import Dialog
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.pairs import Pairs
from hivemind_worker.ui.parts.text import Label
from hivemind_worker.ui.text_file import save_text
from hivemind_worker.ui.theme import theme

WIDTH, FILES_HEIGHT, MOST_FILES = 620, 150, 1000


class ReceiptView(Dialog):
    """Shows a receipt as `NodeFace.receipt` gives it."""

    def __init__(self, parent: QWidget, document: Mapping[str, object]) -> None:
        super().__init__(parent, _("Receipt"))
        self.setMinimumWidth(round(WIDTH * theme().scale))
        self._text = json.dumps(document, indent=1)
        receipt = document["receipt"]
        assert isinstance(receipt, dict)
        self.rows = Pairs()
        self.rows.show_rows(receipt_rows(receipt))
        self.files = QPlainTextEdit(_files_text(receipt))
        self.files.setReadOnly(True)
        self.files.setTabChangesFocus(True)
        self.files.setFont(theme().font("mono"))
        self.files.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.files.setAccessibleName(_("Files"))
        self.files.setFixedHeight(round(FILES_HEIGHT * theme().scale))
        signed = _("Signed by this computer: anybody can check that nothing was changed.")
        self.content.addWidget(Label(signed, "second", wrap=True))
        self.content.addWidget(self.rows)
        self.content.addWidget(self.files)
        self.foot.addWidget(Button(_("Save…"), "download", pressed=self._save))
        close = Button(_("Close"), kind="primary", pressed=self.accept)
        close.setDefault(True)
        self.foot.addWidget(close)

    def _save(self) -> None:
        save_text(self, self._text, "receipt.json")


def _files_text(receipt: Mapping[str, object]) -> str:
    lines: list[str] = []
    for title, files in receipt_files(receipt, MOST_FILES):
        lines.append(title)
        lines += [f"  {size:>10}  {digits:<16}  {name}" for name, size, digits in files]
    return "\n".join(lines)
