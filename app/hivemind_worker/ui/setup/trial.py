"""The last step: one real task through the pool that is built in, in the sandbox that is chosen."""

from __future__ import annotations

import asyncio
import time

from PySide6.QtWidgets import QCheckBox

from hivemind_worker.engine.face import NodeFace
from hivemind_worker.model.checkup import Autostart
from hivemind_worker.model.events import RunModeAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pools import Leaving
from hivemind_worker.model.sending import Sending
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem
from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.setup_words import trial_headline, trial_lines, trial_receipt
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.fault_details import say_problem
from hivemind_worker.ui.log_view import LogView
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.flow import Columns
from hivemind_worker.ui.parts.pairs import Pairs
from hivemind_worker.ui.parts.panels import Callout, FactLine, FactRows, Panel
from hivemind_worker.ui.parts.step import Step
from hivemind_worker.ui.parts.text import Sentence

LOOK_S, JOIN_LOOK_S, JOIN_LIMIT_S, LIMIT_S = 0.1, 0.3, 120.0, 170.0


class Trial(Step):
    """Runs the task when it is opened, shows what it prints and what is left of it."""

    def __init__(self, bridge: Bridge, *, keep_demo: bool = True) -> None:
        super().__init__(bridge, *trial_headline(None))
        self.keep_demo = keep_demo
        self.sending: Sending | None = None
        self._runs = False
        self.lines, self.output = FactRows(left=34, lines=False), LogView(_("What the task prints"))
        self.output.setMinimumHeight(150)
        self.body.addWidget(Columns(self.lines, self.output))
        self.receipt, self.pairs = Panel(_("Receipt")), Pairs()
        self.pairs.setContentsMargins(16, 10, 16, 10)
        self.receipt.body.addWidget(self.pairs)
        self.receipt.hide()
        self.body.addWidget(self.receipt)
        self.trouble = Callout()
        self.trouble.hide()
        self.body.addWidget(self.trouble)
        hint = _("Close the window whenever you like: work goes on, and the tray says how.")
        self.hint = Sentence(hint, "small")
        self.body.addWidget(self.hint)
        self.autostart = QCheckBox(_("Start HiveMind Worker when I sign in"))
        self.body.addWidget(self.autostart)
        self.again = Button(_("Run it again"), "refresh", "small", self.run)
        self.again.hide()
        self.body.addWidget(self.again)
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
        if sending.result:
            self.pairs.show_rows(trial_receipt(sending, len(lines)))
            self.receipt.show()
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
