"""What a look at everything that a worker needs has found, and whether it starts with the session."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """How a finding stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    NOT_NEEDED = "not_needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding; `next_step` is empty when there is nothing to do. `remedy` names what a button can do."""

    name: str
    state: CheckState
    text: str
    next_step: str = ""
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """The finding by its names in the API."""
        return {"name": self.name, "state": self.state.value, "text": self.text, "next": self.next_step}


class Autostart(StrEnum):
    """How the entry stands that starts this program with the user's session."""

    OFF = "off"
    ON = "on"
    STALE = "stale"  # it starts another program than this one, or one that is gone
