"""The eleven checks as a panel: each by its shape, the first that failed with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QSizePolicy

from hivemind_worker.engine.face import NodeFace
from hivemind_worker.model.vpn import RungResult, RungState
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.network_words import check_rows, checks_note
from hivemind_worker.presentation.vpn import IMPORT, RECONNECT, button_of, ladder_failure, rung_words
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import Callout, FactLine, FactRows, Panel, row


class Ladder(Panel):
    """Climbs when it is told to. Its one button does `reconnect` or `set_up`; `ended` hears of its end."""

    def __init__(
        self, bridge: Bridge, *, reconnect: Callable[[], object], set_up: Callable[[], object],
        ended: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        super().__init__(_("Checks, from the bottom up"), note=" ")
        self.bridge = bridge
        self.results: tuple[RungResult, ...] = ()
        self.climbing = False
        self._ended = ended
        self._does = {RECONNECT: reconnect, IMPORT: set_up}
        self.button = Button("", kind="primary", pressed=self._press)
        self.trouble = Callout()
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)  # its words take more lines where the panel is narrow
        self.trouble.setSizePolicy(policy)
        self.rows = FactRows(left=34, top=False)
        self.again = Button(_("Run checks"), "doctor", pressed=self.climb)
        foot = row(8, margins=(16, 10, 16, 10))
        foot.addWidget(self.again)
        foot.addStretch(1)
        foot.addWidget(self.button)
        self.body.addWidget(self.trouble)
        self.body.addWidget(self.rows)
        self.body.addLayout(foot)
        self._show((), None)

    def climb(self) -> None:
        """Check anew, each result as it comes."""
        found: list[RungResult] = []

        def tell(result: RungResult) -> None:
            if result.state is RungState.WAITING:
                self._show(tuple(found), result)
                return
            found.append(result)
            self._show(tuple(found), None)

        async def ask(node: NodeFace) -> tuple[RungResult, ...]:
            return await node.vpn.check(tell)

        self.climbing = True
        self.again.setEnabled(False)
        self._show((), None)
        self.bridge.query("vpn check", ask, self._climbed)

    def _climbed(self, results: tuple[RungResult, ...]) -> None:
        self.climbing = False
        self.again.setEnabled(True)
        self._show(results, None)
        self._ended()

    @property
    def passed(self) -> bool:
        """Whether the last climb met no failure."""
        return bool(self.results) and ladder_failure(self.results) is None

    def _show(self, results: tuple[RungResult, ...], waiting: RungResult | None) -> None:
        self.results = results
        self.note.setText(checks_note(results))
        self.rows.show_lines(_lines(results, waiting))
        failure = ladder_failure(results)
        self.trouble.setVisible(failure is not None)
        self.button.setVisible(False)
        if failure is not None:
            _title, sentence, action = rung_words(failure)
            self.trouble.say(Look(tone="error", icon="cross", word=_("not working")), sentence, action)
            word = {RECONNECT: _("Reconnect"), IMPORT: _("Set up…")}.get(button_of(failure), "")
            self.button.set_text(word)
            self.button.setVisible(bool(word))

    def _press(self) -> None:
        failure = ladder_failure(self.results)
        if failure is not None:
            self._does.get(button_of(failure), self.climb)()


def _lines(results: Sequence[RungResult], waiting: RungResult | None) -> list[FactLine]:
    return [
        FactLine(look=look, number=number, text=text, right=detail, took=took)
        for look, number, text, detail, took in check_rows(results, waiting)
    ]
