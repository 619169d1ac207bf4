"""The receipts of the last tasks: each checked against its signature, to be opened."""

from __future__ import annotations

from collections.abc import Mapping

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.receipts import KeptReceipt
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Problem, TaskKey
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.receipt_list import ReceiptLine, receipt_lines
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import Panel
from hivemind_worker.ui.parts.rows_table import Cell, Column, RowsTable
from hivemind_worker.ui.parts.text import Label
from hivemind_worker.ui.receipt_view import ReceiptView

MOST, EVERY_S = 12, 5.0


class ReceiptsPanel(Panel):
    """Enter, a double click or the button opens the receipt of the row."""

    def __init__(self, bridge: Bridge) -> None:
        self.open_button = Button(_("Open"), "receipt", "small", self._open_current)
        super().__init__(_("Receipts"), self.open_button, note=_("of the last tasks"))
        self.bridge = bridge
        self.receipts: tuple[KeptReceipt, ...] = ()
        self.view: ReceiptView | None = None
        self._tasks: frozenset[TaskKey] = frozenset()
        self._asked_s, self._is_old = 0.0, True
        self.nothing = Label(_("Each task that ends here leaves a signed receipt."), "hint", wrap=True)
        self.nothing.setContentsMargins(16, 12, 16, 12)
        self.table = RowsTable(
            (Column(_("Task"), wide=True), Column(_("Ended")), Column(_("What ran")),
             Column(_("Signature"))), _("Receipts"),
        )  # fmt: skip
        self.body.addWidget(self.nothing)
        self.body.addWidget(self.table)
        self.table.opened.connect(self._open)
        self.table.selectionModel().selectionChanged.connect(lambda *_both: self._allow())
        self._got(())

    def ask(self) -> None:
        """Look for them anew, now."""
        snapshot = self.bridge.snapshot
        if snapshot is not None:
            self._asked_s, self._is_old = snapshot.at_s, False
            self.bridge.query("receipts", lambda node: node.latest_receipts(MOST), self._got)

    def follow(self, snapshot: Snapshot) -> None:
        """Ask again when tasks have come or ended, seldom enough where many do."""
        tasks = frozenset(task.key for task in snapshot.tasks)
        self._is_old = self._is_old or tasks != self._tasks
        self._tasks = tasks
        if self._is_old and snapshot.at_s - self._asked_s >= EVERY_S:
            self.ask()

    def _got(self, receipts: tuple[KeptReceipt, ...]) -> None:
        self.receipts = receipts
        now_s = self.bridge.snapshot.at_s if self.bridge.snapshot is not None else 0.0
        self.table.show_rows([_cells(each) for each in receipt_lines(receipts, now_s)])
        self.table.fit_height(MOST)
        self.table.setVisible(bool(receipts))
        self.nothing.setVisible(not receipts)
        self._allow()

    def _allow(self) -> None:
        self.open_button.setEnabled(self.table.selectionModel().hasSelection())

    def _open_current(self) -> None:
        self._open(self.table.currentIndex().row())

    def _open(self, number: int) -> None:
        if 0 <= number < len(self.receipts):
            key = self.receipts[number].task.key
            self.bridge.query("receipt", lambda node: node.receipt(key), self._show)

    def _show(self, document: Mapping[str, object] | None) -> None:
        if document is None:
            self.bridge.refused.emit(Problem(code=FaultCode.NO_RECEIPT))
        elif self.view is None:
            self.view = ReceiptView(self, document)
            self.view.finished.connect(self._forget)
            self.view.open()

    def _forget(self) -> None:
        self.view = None


def _cells(each: ReceiptLine) -> tuple[Cell, ...]:
    said = f"{each.ran}, {each.outcome.word}"
    return (
        Cell(each.task, kind="mono"), Cell(each.ended),
        Cell(each.ran, each.outcome.icon, _ink(each.outcome), said=said),
        Cell(each.seal.word, each.seal.icon, _ink(each.seal)),
    )  # fmt: skip


def _ink(look: Look) -> str:
    return "text-2" if look.tone == "offline" else f"state-{look.tone}-ink"
