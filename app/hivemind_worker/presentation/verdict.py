"""One cause why the worker is (not) working. Counterpart: presentation.health, which orders them."""

from __future__ import annotations

from dataclasses import dataclass, field

from hivemind_worker.model.fleet import Values
from hivemind_worker.presentation.amounts import iso


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One cause: its stable code, a sentence, since and until when (UTC epoch seconds), the next step.

    `head`: the beginning of a long text, where it stands as a headline. `values`: what the sentence is made
    of, where another machine is to say it in its own language.
    """

    code: str
    text: str
    since_s: float | None = None
    ends_at_s: float | None = None
    action: str = ""
    head: str = ""
    values: Values = field(default_factory=dict)

    def as_json(self) -> dict[str, str | None]:
        """As the API shows it: times in ISO 8601."""
        return {
            "code": self.code,
            "text": self.text,
            "since": iso(self.since_s),
            "ends_at": iso(self.ends_at_s),
            "action": self.action,
        }
