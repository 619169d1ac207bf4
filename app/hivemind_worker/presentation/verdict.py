"""One cause why the worker is (not) working. Counterpart: presentation.health, which orders them."""

from __future__ import annotations

from dataclasses import dataclass

from hivemind_worker.presentation.amounts import iso


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One cause: its stable code, a sentence, since and until when (UTC epoch seconds), the next step.

    `head`: the beginning of a long text, where it stands as a headline.
    """

    code: str
    text: str
    since_s: float | None = None
    ends_at_s: float | None = None
    action: str = ""
    head: str = ""

    def as_json(self) -> dict[str, str | None]:
        """As the API shows it: times in ISO 8601."""
        return {
            "code": self.code,
            "text": self.text,
            "since": iso(self.since_s),
            "ends_at": iso(self.ends_at_s),
            "action": self.action,
        }
