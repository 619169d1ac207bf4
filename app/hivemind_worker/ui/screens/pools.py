"""Pools: the active one, those kept, the one built in; and sending a folder as a task, with its result."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QPlainTextEdit, QWidget

from hivemind_worker.model.pools import KeptPool, Leaving
from hivemind_worker.model.sending import Sending, SendStep
from hivemind_worker.model.snapshot import LinkState, Snapshot
from hivemind_worker.model.task import Problem, Task
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.health import unended
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.plain_text import shown_line, shown_log
from hivemind_worker.presentation.pool_words import (
    PoolRow,
    end_look,
    end_words,
    is_gone,
    pool_card,
    pool_row,
    pool_title,
    step_lines,
    switch_question,
    switching_words,
    told_facts,
)
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.dialogs import Choice, Dialog, Question
from hivemind_worker.ui.fleet_panel import FleetPanel
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.facts import FactColumns, Facts
from hivemind_worker.ui.parts.flow import flowing
from hivemind_worker.ui.parts.learn_more import LearnMore
from hivemind_worker.ui.parts.panels import Callout, FactLine, FactRows, Panel, column, fill_page, line, row
from hivemind_worker.ui.parts.side_by_side import SideBySide
from hivemind_worker.ui.parts.text import Label, Sentence, Shape, StateBadge, set_kind
from hivemind_worker.ui.refusal import Refusal
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.sign_in import SignIn
from hivemind_worker.ui.theme import theme

LOOKED_BACK = 200
SENT_BEFORE = 5
RIGHT_WIDTH = 356


class ActivePool(Panel):
    """The pool that work comes from."""

    def __init__(self, screen: Pools) -> None:
        super().__init__()
        self._screen, self._address, self._user = screen, "", ""
        set_kind(self, "panel", active="true")
        self.badge = StateBadge(36)
        self.title, self.word = Sentence("", "title"), Label("", "strong")
        self.detail = Sentence("", "second")
        self.facts = FactColumns(4)
        self.button = Button(_("Sign in…"), kind="primary", pressed=self._sign_in)
        head = row(12)
        head.addWidget(self.title, 1)
        head.addWidget(self.word)
        words_column = column(2)
        words_column.addLayout(head)
        words_column.addWidget(self.detail)
        words_column.addSpacing(8)
        words_column.addWidget(self.facts)
        inside = row(12, margins=(16, 12, 16, 12))
        inside.addWidget(self.badge, 0, Qt.AlignmentFlag.AlignTop)
        inside.addLayout(words_column, 1)
        inside.addWidget(self.button, 0, Qt.AlignmentFlag.AlignTop)
        self.body.addLayout(inside)

    def show_picture(self, snapshot: Snapshot, pool: KeptPool | None, ended: tuple[Task, ...]) -> None:
        """Say how things stand with it."""
        card = pool_card(snapshot, pool, ended)
        self.badge.show_state(card.look.tone, card.look.icon, card.look.word)
        self.title.setText(card.title)
        self.word.setText(card.look.word)
        self.detail.setText(card.detail)
        self.facts.show_facts(card.facts)
        self.setAccessibleName(f"{card.title}: {card.look.word}")
        self._address, self._user = snapshot.pool.address, snapshot.pool.user
        self.button.setVisible(snapshot.pool.link in (LinkState.NOT_LOGGED_IN, LinkState.LOGIN_REFUSED))

    def _sign_in(self) -> None:
        self._screen.sign_in(self._address, self._user)


class KeptRow(QWidget):
    """A pool that is kept and not in use."""

    def __init__(self, screen: Pools, words: PoolRow) -> None:
        super().__init__()
        self.words = words
        badge = StateBadge(36)
        badge.show_state(words.look.tone, words.look.icon, words.look.word)
        text = column(1)
        text.addWidget(Sentence(words.address, "strong"))
        text.addWidget(Sentence(words.detail, "small"))
        if words.can_switch:
            button = Button(_("Switch…"), pressed=partial(screen.ask_to_switch, words.address))
        else:
            button = Button(_("Sign in…"), pressed=partial(screen.sign_in, words.address, words.user))
        button.setAccessibleName(f"{button.text()} {words.address}")
        forget = Button(_("Forget…"), kind="quiet", pressed=partial(screen.ask_to_forget, words.address))
        forget.setAccessibleName(_("Forget {pool}", pool=words.address))
        inside = row(12, margins=(16, 10, 12, 10))
        inside.addWidget(badge)
        inside.addLayout(text, 1)
        inside.addWidget(button)
        inside.addWidget(forget)
        self.setLayout(inside)


class KeptPools(Panel):
    """The list of those; a row is made anew when its words have changed."""

    def __init__(self, screen: Pools) -> None:
        super().__init__(_("Kept"), note=_("one pool is active at a time"))
        self._screen, self._shown = screen, list[PoolRow]()
        self.rows: list[KeptRow] = []
        self._list = column()
        self.empty = Label(_("No other pool is kept."), "hint")
        self.empty.setContentsMargins(16, 10, 16, 10)
        self.body.addLayout(self._list)
        self.body.addWidget(self.empty)

    def show_rows(self, rows: list[PoolRow]) -> None:
        """Show exactly these."""
        if rows == self._shown:
            return
        self._shown = rows
        while (item := self._list.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.rows = [KeptRow(self._screen, words) for words in rows]
        for number, made in enumerate(self.rows):
            if number:
                self._list.addWidget(line())
            self._list.addWidget(made)
        self.empty.setVisible(not rows)


class TryHere(Panel):
    """The pool that is built in."""

    def __init__(self, screen: Pools) -> None:
        super().__init__()
        self._screen = screen
        badge = StateBadge(36)
        badge.show_state("offline", "home")
        self.text = Label("", "small", wrap=True)
        words_column = column(1)
        words_column.addWidget(Label(_("Try it on this computer"), "strong"))
        words_column.addWidget(self.text)
        self.button = Button("", "play", pressed=screen.toggle_demo)
        inside = row(12, margins=(16, 12, 16, 12))
        inside.addWidget(badge, 0, Qt.AlignmentFlag.AlignTop)
        inside.addLayout(words_column, 1)
        inside.addWidget(self.button)
        self.body.addLayout(inside)

    def show_state(self, *, runs: bool, before: str) -> None:
        """Say what it is, and what it does to the pool in use."""
        if runs:
            self.text.setText(_("It runs: send it a folder at the right. Nothing leaves this computer."))
        else:
            self.text.setText(_(
                "A small pool inside this app. Needs no account and no network; nothing leaves this computer"
                " and nothing is paid. {pool} waits meanwhile.", pool=before,
            ))  # fmt: skip
        self.button.set_text(_("Stop trying") if runs else _("Start demo"))
        self.button.set_icon("stop" if runs else "play")


class DropZone(QFrame):
    """A folder or a zip is dropped here; the button does the same."""

    def __init__(self, screen: Pools) -> None:
        super().__init__()
        self._screen = screen
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
        self.button = Button(_("Choose a folder…"), "folder", pressed=screen.choose_folder)
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
                self._screen.send(Path(url.toLocalFile()))
        event.acceptProposedAction()


class UnderWay(Panel):
    """The latest task that was sent: its steps, its log, its result."""

    def __init__(self, screen: Pools) -> None:
        super().__init__()
        self._screen = screen
        self.sending: Sending | None = None
        self.name, self.task_id = Sentence("", "strong"), Label("", "mono")
        head = row(8, margins=(16, 8, 16, 8))
        head.addWidget(Shape("folder"))
        head.addWidget(self.name, 1)
        head.addWidget(self.task_id)
        self.steps = FactRows(left=28, lines=False)
        self.trouble = Refusal(screen.bridge)
        self.trouble.setContentsMargins(16, 0, 16, 6)
        self.log = Button(_("Show log"), "logs", "small", lambda: screen.show_log(self.sending))
        self.stop = Button(_("Stop…"), "stop", "small", lambda: screen.ask_to_stop(self.sending))
        self.open = Button(_("Open folder"), "folder", "small", lambda: screen.open_result(self.sending))
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
        if sending.problem is None and sending.step is SendStep.FAILED:
            self.trouble.say_words(sending.message)
        else:
            self.trouble.say(sending.problem)
        self.log.setEnabled(has_log)
        self.stop.setVisible(not sending.step.has_ended)
        self.open.setVisible(bool(sending.result))


class Pools(Screen):
    """The screen. What it does to pools and tasks goes through `NodeFace.pools` and `.sending`."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self._kept: tuple[KeptPool, ...] = ()
        self._ended: tuple[Task, ...] = ()
        self.dialog: Dialog | None = None
        self.switching = Callout(
            Button(_("Stay"), pressed=self._stay),
        )
        self.switching.hide()
        self.active, self.kept, self.demo = ActivePool(self), KeptPools(self), TryHere(self)
        self.fleet = FleetPanel(bridge)
        self.told, self.told_facts = Panel(_("What the pool is told about this computer")), Facts()
        self.told.body.addWidget(self.told_facts)
        self.send_panel = Panel(_("Send a task"))
        self.drop = DropZone(self)
        holder = column(margins=(16, 14, 16, 14))
        holder.addWidget(self.drop)
        self.send_panel.body.addLayout(holder)
        self.under_way, self.before = UnderWay(self), Panel(_("Sent before"))
        self.before_rows = FactRows(left=28)
        self.before.body.addWidget(self.before_rows)
        self._lay_out()

    def _lay_out(self) -> None:
        gutter = theme().size("gutter")
        self.add_button = Button(_("Add a pool…"), "plus", pressed=self.sign_in)
        head = flowing(Label(_("Pools"), "title"), None, self.add_button, LearnMore(self.bridge), spacing=12)
        columns = SideBySide(right_px=RIGHT_WIDTH)
        columns.add(
            (self.switching, self.active, self.fleet, self.kept, self.demo, self.told),
            (self.send_panel, self.under_way, self.before),
        )
        inside = column(12, margins=(gutter, 12, gutter, gutter))
        inside.addLayout(head)
        inside.addWidget(columns)
        fill_page(self, inside)

    # --- what is asked ------------------------------------------------------------------------

    def opened(self) -> None:
        self._ask_kept()
        self.bridge.query("pool tasks", lambda node: node.ended_tasks(LOOKED_BACK), self._got_ended)

    def _ask_kept(self) -> None:
        self.bridge.query("kept pools", lambda node: node.pools.kept(), self._got_kept)

    def _got_kept(self, kept: tuple[KeptPool, ...]) -> None:
        self._kept = kept
        self._again()

    def _got_ended(self, ended: tuple[Task, ...]) -> None:
        self._ended = ended
        self._again()

    def _again(self) -> None:
        if self.bridge.snapshot is not None:
            self.render_picture(self.bridge.snapshot)

    # --- what is shown ------------------------------------------------------------------------

    def render_picture(self, snapshot: Snapshot) -> None:
        node = self.bridge.node
        if node is None:
            return
        if self._stale(snapshot):
            self._ask_kept()
        active = next((pool for pool in self._kept if pool.active), None)
        self.active.show_picture(snapshot, active, self._ended)
        self.fleet.look(snapshot)
        self.kept.show_rows([pool_row(pool, snapshot.at_s) for pool in self._kept if not pool.active])
        self.demo.show_state(runs=node.pools.demo_runs, before=snapshot.pool.address)
        self.told_facts.show_facts(told_facts(snapshot, node.settings.region, snapshot.pool.user))
        self.send_panel.note.setText(_("to {pool}", pool=pool_title(active, snapshot)))
        self._show_switching(snapshot)
        self._show_sendings(node.sending.all(), snapshot.at_s)

    def _stale(self, snapshot: Snapshot) -> bool:
        """Whether another pool is active than when the list was asked for."""
        active = next((pool.address for pool in self._kept if pool.active), None)
        known = any(pool.address == snapshot.pool.address for pool in self._kept)
        return active != snapshot.pool.address and (known or active is not None)

    def _show_switching(self, snapshot: Snapshot) -> None:
        self.switching.setVisible(bool(snapshot.switching_to))
        if snapshot.switching_to:
            title, text = switching_words(snapshot)
            self.switching.say(
                Look(tone="finishing", icon="tray-finishing", word=_("Switching")), title, text
            )

    def _show_sendings(self, sendings: tuple[Sending, ...], now_s: float) -> None:
        latest = sendings[0] if sendings else None
        self.under_way.setVisible(latest is not None)
        node = self.bridge.node
        if latest is not None and node is not None:
            self.under_way.show_sending(latest, now_s, bool(node.sending.lines(latest.task_id)))
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

    # --- what is done -------------------------------------------------------------------------

    def sign_in(self, address: str = "", user: str = "") -> None:
        """Ask for a login."""
        self._show_dialog(SignIn(self, self.bridge, address=address, user=user, done=self._signed_in))

    def _signed_in(self, address: str) -> None:
        self._ask_kept()
        snapshot = self.bridge.snapshot
        if snapshot is not None and snapshot.pool.address != address:
            self.ask_to_switch(address)

    def ask_to_switch(self, address: str) -> None:
        """Ask what becomes of the tasks that are here."""
        snapshot = self.bridge.snapshot
        if snapshot is None:
            return
        title, text = switch_question(snapshot, address)
        choices = [Choice(key="finish", label=_("Switch"), kind="primary")]
        if unended(snapshot):
            choices = [
                Choice(key="finish", label=_("Finish first, then switch"), kind="primary"),
                Choice(key="stop", label=_("Stop them and switch")),
            ]
        if (unended(snapshot) or snapshot.owed_results) and is_gone(snapshot):
            note = _("Results that this pool does not take stay on this computer.")
            choices.append(Choice(key="keep", label=_("Leave results here"), note=note))
        answered = partial(self._switch, address)
        self._show_dialog(Question(self, title, text, choices, answered))

    def _switch(self, address: str, key: str) -> None:
        if key:
            leaving = Leaving(key)
            self.bridge.query("switch", lambda node: node.pools.switch(address, leaving), self._told)

    def _stay(self) -> None:
        self.bridge.query("stay", lambda node: node.pools.cancel_switch(), lambda _answer: None)

    def ask_to_forget(self, address: str) -> None:
        """Ask before a pool and its login are taken off the list."""
        title = _("Forget {pool}?", pool=address)
        text = _("Its login is removed from this computer. The account at the pool stays as it is.")
        choices = [
            Choice(key="forget", label=_("Forget it"), kind="danger"),
            Choice(key="", label=_("Cancel")),
        ]
        self._show_dialog(Question(self, title, text, choices, partial(self._forget, address)))

    def _forget(self, address: str, key: str) -> None:
        if key:
            self.bridge.query("forget pool", lambda node: node.pools.forget(address), self._forgotten)

    def _forgotten(self, problem: Problem | None) -> None:
        self._told(problem)
        self._ask_kept()

    def toggle_demo(self) -> None:
        """Start the built-in pool, or go back to the one of before."""
        node, snapshot = self.bridge.node, self.bridge.snapshot
        if node is None or snapshot is None:
            return
        if node.pools.demo_runs:
            self.bridge.query("demo", lambda node: node.pools.stop_demo(), self._told)
        else:
            self.bridge.query("demo", lambda node: node.pools.start_demo(), self._told)

    def choose_folder(self) -> None:
        """The system's own window to choose a folder in; it is opened, not executed."""
        chooser = QFileDialog(self, _("Choose a folder"))
        chooser.setFileMode(QFileDialog.FileMode.Directory)
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chooser.fileSelected.connect(lambda path: self.send(Path(path)))
        chooser.open()

    def send(self, path: Path) -> None:
        """Send a folder or a .zip to the active pool."""
        if self.bridge.node is not None:
            self.bridge.node.sending.send(path)
            self._again()

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
        self._show_dialog(Question(self, title, text, choices, partial(self._stop, sending.task_id)))

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
        shown = Dialog(self, _("Log of {name}", name=shown_line(sending.name)))
        text = QPlainTextEdit(shown_log("\n".join(node.sending.lines(sending.task_id))))
        text.setReadOnly(True)
        text.setProperty("kind", "log")
        text.setMinimumSize(620, 360)
        text.setAccessibleName(shown.windowTitle())
        shown.content.addWidget(text)
        shown.foot.addWidget(Button(_("Close"), pressed=shown.accept))
        self._show_dialog(shown)

    def _told(self, problem: Problem | None) -> None:
        if problem is not None:
            self.bridge.refused.emit(problem)
        self._ask_kept()

    def _show_dialog(self, dialog: Dialog) -> None:
        self.dialog = dialog
        dialog.finished.connect(lambda _code: self._forget_dialog(dialog))
        dialog.open()

    def _forget_dialog(self, dialog: Dialog) -> None:
        if self.dialog is dialog:
            self.dialog = None
