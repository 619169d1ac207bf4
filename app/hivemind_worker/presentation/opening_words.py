"""What the window says before a worker is there, and in menus that look at none: all that painting needs."""

from __future__ import annotations

from hivemind_worker.presentation.catalogue import _, mark

PROGRAM = "HiveMind Worker"
STARTING = ("waiting", "tray-waiting", mark("Starting"), mark("The worker is starting."))
"""The strip while there is no picture of the worker yet: tone, icon, word and reason."""
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


def until_tomorrow() -> str:
    """The last of the snooze lengths."""
    return _("Until tomorrow {time}", time="06:00")
