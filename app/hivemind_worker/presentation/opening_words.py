"""What the window says before a worker is there, and in menus that look at none: all that painting needs."""

from __future__ import annotations

from dataclasses import dataclass

from hivemind_worker.presentation.catalogue import _, mark
from hivemind_worker.presentation.look import Look

PROGRAM = "HiveMind Worker"
STARTING = ("waiting", "tray-waiting", mark("Starting"))
SNOOZES_MIN = (
    (15, mark("15 minutes")),
    (60, mark("1 hour")),
    (240, mark("4 hours")),
)


RUN, RULES, PAUSED = "run", "rules", "paused"
RUN_MODES = (
    (RUN, "play", mark("Run"), mark("Work whatever the rules say")),
    (RULES, "rules", mark("Run by my rules"), mark("Work when the rules allow it")),
    (PAUSED, "pause", mark("Paused"), mark("Freeze all tasks until you resume")),
)
"""The three run modes: key, icon, word, what it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The line that is always on top: the state, its reason, and until when or what it means."""

    look: Look
    reason: str
    more: str


def starting() -> Strip:
    """The strip while there is no picture of the worker yet."""
    look = Look(tone=STARTING[0], icon=STARTING[1], word=_(STARTING[2]))
    return Strip(look=look, reason=_("The worker is starting."), more="")


def until_tomorrow() -> str:
    """The last of the snooze lengths."""
    return _("Until tomorrow {time}", time="06:00")
