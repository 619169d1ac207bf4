"""How a state is shown. Apart from what decides which: the window is painted before that is here."""

from __future__ import annotations

from dataclasses import dataclass

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.opening_words import STARTING


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a state is shown: its tone (a state of the tokens), its icon, its word. Never colour alone."""

    tone: str
    icon: str
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The line that is always on top: the state, its reason, and until when or what it means."""

    look: Look
    reason: str
    more: str


def starting() -> Strip:
    """The strip while there is no picture of the worker yet."""
    tone, icon, word, reason = STARTING
    return Strip(look=Look(tone=tone, icon=icon, word=_(word)), reason=_(reason), more="")
