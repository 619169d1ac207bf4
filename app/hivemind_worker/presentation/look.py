"""How a state is shown. Apart from what decides which: the window is painted before that is here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a state is shown: its tone (a state of the tokens), its icon, its word. Never colour alone."""

    tone: str
    icon: str
    word: str
