"""The last step: one real task through the pool that is built in, in the sandbox that is chosen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from PySide6.QtWidgets import QCheckBox

from hivemind_worker.engine.face import NodeFace
from hivemind_worker.model.checkup import Autostart
from hivemind_worker.model.events import RunModeAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pools import Leaving
from hivemind_worker.model.receipts import Seal
from hivemind_worker.model.sending import Sending
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem, TaskId, key_of
from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.receipt_list import seal_look
from hivemind_worker.presentation.receipt_words import receipt_brief
from hivemind_worker.presentation.setup_words import trial_headline, trial_lines
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.fault_details import say_problem
from hivemind_worker.ui.log_view import LogView
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.flow import Columns, flowing
from hivemind_worker.ui.parts.pairs import Pairs
from hivemind_worker.ui.parts.panels import Callout, FactLine, FactRows, Panel
from hivemind_worker.ui.parts.step import Step
from hivemind_worker.ui.parts.text import Label, Sentence, Shape
from hivemind_worker.ui.receipt_view import ReceiptView
from hivemind_worker.ui.theme import theme

LOOK_S, JOIN_LOOK_S, JOIN_LIMIT_S, LIMIT_S = 0.1, 0.3, 120.0, 170.0
RECEIPT_LIMIT_S, RECEIPTS = 10.0, 12
LEAST_PX = 280
"""Of the steps of the task and of what it prints, to stand beside one another."""


class FirstReceipt(Panel):
    """The signed receipt of the first task, its signature checked; to be opened and saved as any other."""

    def __init__(self, bridge: Bridge) -> None:
        self.seal, self.sealed = Shape(), Label("", "small")
        self.open = Button(_("Open"), "receipt", "small", self._open)
        super().__init__(_("Receipt"), self.seal, self.sealed, self.open)
        self._bridge = bridge
        self._document: Mapping[str, object] | None = None
        self.pairs = Pairs()
        self.pairs.setContentsMargins(16, 10, 16, 10)
        self.body.addWidget(self.pairs)

    async def read(self, node: NodeFace, sending: Sending) -> None:
        """Show the receipt of this task; the worker signs it when it has told the pool of the end."""
        key = key_of(TaskId(sending.task_id))
        end_s = time.monotonic() + RECEIPT_LIMIT_S
        while time.monotonic() < end_s:
            document = await node.receipt(key)
            if document is not None:
                kept = {each.task.key: each.seal for each in await node.latest_receipts(RECEIPTS)}
                self._show(document, kept.get(key, Seal.BROKEN), sending)
                return
            await asyncio.sleep(LOOK_S)

    def _show(self, document: Mapping[str, object], seal: Seal, sending: Sending) -> None:
        receipt = document["receipt"]
        assert isinstance(receipt, dict)
        self._document = document
        self.pairs.show_rows(receipt_brief(receipt, sending.result))
        look = seal_look(seal)
        self.seal.show_icon(look.icon, f"state-{look.tone}-ink", look.word)
        self.sealed.setText(look.word)
        self.show()

    def _open(self) -> None:
        if self._document is not None:
            view = ReceiptView(self, self._document)
            view.open()


class Trial(Step):
    """Runs the task when it is opened, shows what it prints and what is left of it."""

    def __init__(self, bridge: Bridge, *, keep_demo: bool = True) -> None:
        super().__init__(bridge, *trial_headline(None))
        self.keep_demo = keep_demo
        self.sending: Sending | None = None
        self._runs = False
        self.lines, self.output = FactRows(left=34, lines=False), LogView(_("What the task prints"))
        self.output.setMinimumHeight(150)
        for part in (self.lines, self.output):
            part.setMinimumWidth(round(LEAST_PX * theme().scale))
        self.body.addWidget(Columns(self.lines, self.output))
        self.receipt = FirstReceipt(bridge)
        self.receipt.hide()
        self.body.addWidget(self.receipt)
        self.trouble = Callout()
        self.trouble.hide()
        self.body.addWidget(self.trouble)
        hint = _("Close the window whenever you like: work goes on, and the tray says how.")
        self.hint = Sentence(hint, "small")
        self.body.addWidget(self.hint)
        self.autostart = QCheckBox(_("Start HiveMind Worker when I sign in"))
        self.again = Button(_("Run it again"), "refresh", "small", self.run)
        self.again.hide()
        self.body.addLayout(flowing(self.autostart, None, self.again))
        self._shown = 0

    def opened(self) -> None:
        if self.sending is None and not self._runs:
            self.run()
        self.bridge.query("autostart", lambda node: node.care.autostart(), self._autostart_is)

    def _autostart_is(self, found: Autostart | Problem) -> None:
        self.autostart.setVisible(not isinstance(found, Problem))
        self.autostart.setChecked(found is Autostart.ON)

    def run(self) -> None:
        """Run the task, once more where it ran already."""
        node = self.bridge.node
        if node is None or self._runs:
            return
        self._runs, self._shown = True, 0
        self.output.start_anew()
        for widget in (self.receipt, self.again, self.trouble):
            widget.hide()
        self.changed.emit()
        self.bridge.start("first task", self._run(node))

    async def _run(self, node: NodeFace) -> None:
        # Who runs this step sits at the computer: its rules would have the task wait until they are gone.
        by_rules = not node.snapshot().node.ignores_rules
        if by_rules:
            now_s = time.time()
            await node.ask(
                RunModeAsked(at_s=now_s, ignores_rules=True, until_s=now_s + JOIN_LIMIT_S + LIMIT_S)
            )
        try:
            problem = None if node.pools.demo_runs else await node.pools.start_demo(Leaving.STOP)
            if problem is None:
                await self._joined(node)
                self.sending = node.sending.send(resources() / "first-task")
                await self._watch(node, self.sending.task_id)
            else:
                self._say(problem)
            if not self.keep_demo and node.pools.demo_runs:
                await node.pools.stop_demo(Leaving.STOP)
        except TimeoutError:
            self._say(Problem(code=FaultCode.POOL_MUTE, about=node.snapshot().pool.address))
        finally:
            if by_rules:
                await node.ask(RunModeAsked(at_s=time.time(), ignores_rules=False))
            self._runs = False
            self.again.show()
            self.changed.emit()

    async def _joined(self, node: NodeFace) -> None:
        """Until the worker has left its pool for the built-in one; a task sent earlier would go elsewhere.

        On a computer where the sandbox is still being prepared that takes as long as this does.
        """
        async with asyncio.timeout(JOIN_LIMIT_S):
            while True:
                picture = node.snapshot()
                if node.pools.demo_runs and picture.pool.link is LinkState.REGISTERED:
                    return
                if picture.blocker is None:
                    node.reconnect()  # it stays silent while it could take no work
                await asyncio.sleep(JOIN_LOOK_S)

    async def _watch(self, node: NodeFace, task_id: str) -> None:
        async with asyncio.timeout(LIMIT_S):
            while True:
                found = next((each for each in node.sending.all() if each.task_id == task_id), None)
                if found is not None:
                    self._show(node, found)
                    if found.step.has_ended:
                        await self.receipt.read(node, found)
                        return
                await asyncio.sleep(LOOK_S)

    def _show(self, node: NodeFace, sending: Sending) -> None:
        self.sending = sending
        title, text = trial_headline(sending)
        self.title.setText(title)
        self.text.setText(text)
        self.lines.show_lines([
            FactLine(look=line.look, text=line.text, right=line.took) for line in trial_lines(sending)
        ])  # fmt: skip
        lines = node.sending.lines(sending.task_id)
        self.output.add("\n".join(lines[self._shown :]))
        self._shown = len(lines)
        if sending.step.has_ended and sending.problem is not None:
            self._say(sending.problem)

    def _say(self, problem: Problem) -> None:
        say_problem(self.trouble, self.bridge, problem)
        self.trouble.show()

    def ready(self) -> bool:
        return not self._runs

    def next_words(self) -> str:
        return _("Finish")

    def take(self) -> bool:
        wanted = self.autostart.isChecked() and not self.autostart.isHidden()
        if wanted:
            self.bridge.query("autostart", lambda node: node.care.set_autostart(True), lambda _done: None)
        return True
