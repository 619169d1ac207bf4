"""Sending a folder as a task to the active pool: where it is dropped, where it is, what came before it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QPlainTextEdit, QWidget

from hivemind_worker.model.sending import Sending, SendStep
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.plain_text import shown_line, shown_log
from hivemind_worker.presentation.pool_words import end_look, end_words, step_lines
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.dialogs import Choice, Dialog, Question
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import FactLine, FactRows, Panel, column, line, row
from hivemind_worker.ui.parts.text import Label, Sentence, Shape, set_kind
from hivemind_worker.ui.refusal import Refusal

SENT_BEFORE = 5


class DropZone(QFrame):
    """A folder or a zip is dropped here; the button does the same."""

    def __init__(self, panels: SendingPanels) -> None:
        super().__init__()
        self._panels = panels
        self.setAcceptDrops(True)
        set_kind(self, "drop", over="false")
        self.setAccessibleName(_("Drop a folder or a .zip here"))
        inside = column(4, margins=(12, 18, 12, 16))
        centre = Qt.AlignmentFlag.AlignHCenter
        inside.addWidget(Shape("upload", "text-2", "icon_grid"), 0, centre)
        title = Label(_("Drop a folder or a .zip here"), "strong")
        hint = Label(_("with a main.py in it, up to 100 MiB"), "small", wrap=True)
        hint.setAlignment(centre)
        inside.addWidget(title, 0, centre)
        inside.addWidget(hint)
        inside.addSpacing(6)
        self.button = Button(_("Choose a folder…"), "folder", pressed=panels.choose_folder)
        inside.addWidget(self.button, 0, centre)
        self.setLayout(inside)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()
            set_kind(self, "drop", over="true")

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        set_kind(self, "drop", over="false")

    def dropEvent(self, event: QDropEvent) -> None:
        set_kind(self, "drop", over="false")
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self._panels.send(Path(url.toLocalFile()))
        event.acceptProposedAction()


class UnderWay(Panel):
    """The latest task that was sent: its steps, its log, its result."""

    def __init__(self, panels: SendingPanels) -> None:
        super().__init__()
        self.sending: Sending | None = None
        self.name, self.task_id = Sentence("", "strong"), Label("", "mono")
        head = row(8, margins=(16, 8, 16, 8))
        head.addWidget(Shape("folder"))
        head.addWidget(self.name, 1)
        head.addWidget(self.task_id)
        self.steps = FactRows(left=28, lines=False)
        self.trouble = Refusal(panels.bridge)
        self.trouble.setContentsMargins(16, 0, 16, 6)
        self.log = Button(_("Show log"), "logs", "small", lambda: panels.show_log(self.sending))
        self.stop = Button(_("Stop…"), "stop", "small", lambda: panels.ask_to_stop(self.sending))
        self.open = Button(_("Open folder"), "folder", "small", lambda: panels.open_result(self.sending))
        foot = row(8, margins=(16, 8, 16, 8))
        for button in (self.log, self.stop, self.open):
            foot.addWidget(button)
        foot.addStretch(1)
        self.body.addLayout(head)
        self.body.addWidget(line())
        self.body.addSpacing(4)
        self.body.addWidget(self.steps)
        self.body.addSpacing(4)
        self.body.addWidget(self.trouble)
        self.body.addWidget(line())
        self.body.addLayout(foot)

    def show_sending(self, sending: Sending, now_s: float, has_log: bool) -> None:
        """Say where it is."""
        self.sending = sending
        self.name.setText(shown_line(sending.name))
        self.task_id.setText(sending.task_id[:18] + ("…" if len(sending.task_id) > 18 else ""))
        self.task_id.setToolTip(sending.task_id)
        lines = [
            FactLine(look=step.look, text=step.text, right=step.right) for step in step_lines(sending, now_s)
        ]
        if sending.step.has_ended:
            look = end_look(sending)
            lines.append(FactLine(look=look, text=look.word.capitalize(), right=end_words(sending, now_s)
                                  if sending.problem is None else ""))  # fmt: skip
        self.steps.show_lines(lines)
        if sending.problem is None and sending.step in (SendStep.FAILED, SendStep.STOPPED):
            self.trouble.say_words(sending.message)
        else:
            self.trouble.say(sending.problem)
        self.log.setEnabled(has_log)
        self.stop.setVisible(not sending.step.has_ended)
        self.open.setVisible(bool(sending.result))


class SendingPanels:
    """The three panels, and what is done in them. Everything goes through `NodeFace.sending`."""

    def __init__(
        self,
        bridge: Bridge,
        window: QWidget,
        ask: Callable[[Dialog], None],
        told: Callable[[Problem | None], None],
    ) -> None:
        """`window`: over which questions are asked; `ask` opens one, `told` takes what was refused."""
        self.bridge, self._window, self._ask, self._told = bridge, window, ask, told
        self.send_panel = Panel(_("Send a task"))
        self.drop = DropZone(self)
        holder = column(margins=(16, 14, 16, 14))
        holder.addWidget(self.drop)
        self.send_panel.body.addLayout(holder)
        self.under_way, self.before = UnderWay(self), Panel(_("Sent before"))
        self.before_rows = FactRows(left=28)
        self.before.body.addWidget(self.before_rows)

    def all(self) -> tuple[Panel, Panel, Panel]:
        """From top to bottom."""
        return self.send_panel, self.under_way, self.before

    def look(self, now_s: float) -> None:
        """Say where each is."""
        node = self.bridge.node
        if node is None:
            return
        sendings = node.sending.all()
        self.under_way.setVisible(bool(sendings))
        if sendings:
            self.under_way.show_sending(sendings[0], now_s, bool(node.sending.lines(sendings[0].task_id)))
        earlier = sendings[1 : 1 + SENT_BEFORE]
        self.before.setVisible(bool(earlier))
        self.before_rows.show_lines([self._earlier_line(each, now_s) for each in earlier])

    def _earlier_line(self, sending: Sending, now_s: float) -> FactLine:
        name = shown_line(sending.name)
        if not sending.step.has_ended:
            look = Look(tone="finishing", icon="play", word=_("under way"))
            return FactLine(look=look, text=name, link=_("Stop…"), pressed=partial(self.ask_to_stop, sending))
        text = f"{name} · {end_words(sending, now_s)}"
        if sending.result:
            return FactLine(look=end_look(sending), text=text, link=_("Open folder"),
                            pressed=partial(self.open_result, sending))  # fmt: skip
        return FactLine(look=end_look(sending), text=text)

    def choose_folder(self) -> None:
        """The system's own window to choose a folder in; it is opened, not executed."""
        chooser = QFileDialog(self._window, _("Choose a folder"))
        chooser.setFileMode(QFileDialog.FileMode.Directory)
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chooser.fileSelected.connect(lambda path: self.send(Path(path)))
        chooser.open()

    def send(self, path: Path) -> None:
        """Send a folder or a .zip to the active pool."""
        if self.bridge.node is not None:
            self.bridge.node.sending.send(path)
        if self.bridge.snapshot is not None:
            self.look(self.bridge.snapshot.at_s)

    def ask_to_stop(self, sending: Sending | None) -> None:
        """Ask before a sent task is stopped."""
        if sending is None:
            return
        title = _("Stop {name}?", name=shown_line(sending.name))
        text = _("What it has written until now is fetched.")
        choices = [
            Choice(key="stop", label=_("Stop the task"), kind="danger"),
            Choice(key="", label=_("Cancel")),
        ]
        self._ask(Question(self._window, title, text, choices, partial(self._stop, sending.task_id)))

    def _stop(self, task_id: str, key: str) -> None:
        if key:
            self.bridge.query("stop sent", lambda node: node.sending.stop(task_id), self._told)

    def open_result(self, sending: Sending | None) -> None:
        """Show the folder with the result in the system's own way."""
        if sending is not None and sending.result:
            QDesktopServices.openUrl(QUrl.fromLocalFile(sending.result))

    def show_log(self, sending: Sending | None) -> None:
        """The task's log as far as it was followed."""
        node = self.bridge.node
        if sending is None or node is None:
            return
        shown = Dialog(self._window, _("Log of {name}", name=shown_line(sending.name)))
        text = QPlainTextEdit(shown_log("\n".join(node.sending.lines(sending.task_id))))
        text.setReadOnly(True)
        text.setProperty("kind", "log")
        text.setMinimumSize(620, 360)
        text.setAccessibleName(shown.windowTitle())
        shown.content.addWidget(text)
        shown.foot.addWidget(Button(_("Close"), pressed=shown.accept))
        self._ask(shown)
