"""The measured score, kept with the hardware that it was measured on: another computer measures anew."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from hivemind_worker.model.capacity import KeptScore
from hivemind_worker.owned_file import MAX_BYTES, write_owned


def load_score(file: Path, fingerprint: str) -> KeptScore | None:
    """The score that was kept of this hardware; None when there is none, or none that can be read."""
    try:
        found = json.loads(file.read_bytes()[:MAX_BYTES])
        score = KeptScore(
            one_core=float(found["one_core"]), spread_percent=float(found["spread_percent"]),
            at_s=float(found["at_s"]), fingerprint=str(found["fingerprint"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return score if score.fingerprint == fingerprint and 0 < score.one_core < 1e6 else None


def save_score(file: Path, score: KeptScore) -> None:
    """Keep it.

    Raises:
        OSError: it cannot be written.
    """
    write_owned(file, json.dumps(asdict(score)).encode())
