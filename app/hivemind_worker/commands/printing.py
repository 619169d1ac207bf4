"""How commands speak: plain text for people, one JSON object a line with --json.

Results go to standard output, problems to standard error. Sentences come from the
faults table through the catalogue, so that every front end says the same.
"""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Callable, Mapping

from hivemind_worker.model.faults import FAULTS
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.faults import words

# What a terminal would act upon instead of showing: control characters and changes of direction.
UNSHOWN = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F),
                 *range(0x2066, 0x206A))
}  # fmt: skip


def plain(text: str) -> str:
    """The text with everything that a terminal would act upon written out; tabs and line ends stay."""
    return text.encode("utf-8", "replace").decode("utf-8").translate(UNSHOWN)


def say(text: str) -> None:
    """Print one plain line (or lines) on standard output at once."""
    print(plain(text), flush=True)


def say_json(values: Mapping[str, object]) -> None:
    """Print one JSON object on a line of its own at once."""
    print(json_format.dumps(values, ensure_ascii=True, separators=(",", ":")), flush=True)


def fail(problem: Problem, json: bool) -> int:
    """Print a problem on standard error, with its next step; returns the exit code of its fault."""
    message, next_step = words(problem)
    if json:
        values = {"error": problem.code.value, "message": message, "next": next_step}
        print(
            json_format.dumps(values, ensure_ascii=True, separators=(",", ":")), file=sys.stderr, flush=True
        )
    else:
        print(f"{plain(message)}\n{next_step}", file=sys.stderr, flush=True)
    return FAULTS[problem.code].exit_code


class _Line:
    """One line that is written over and over on a terminal, gone at the end; elsewhere a line a new text."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, share: float, text: str) -> None:
        if sys.stderr.isatty():
            shown = f"{plain(text)} {share:4.0%} " if share < 1 else ""
            print(f"\r\x1b[K{shown}", end="", file=sys.stderr, flush=True)
        elif text != self._last:
            print(plain(text) if text.endswith(".") else f"{plain(text)} ...", file=sys.stderr, flush=True)
        self._last = text


def tell(answer: Mapping[str, object] | Problem, json: bool) -> int:
    """Say what a worker answered to a wish; the exit code."""
    if isinstance(answer, Problem):
        return fail(answer, json)
    if json:
        say_json(answer)
    else:
        say(str(answer["message"]))
    return 0


def _quiet(_share: float, _text: str) -> None:
    return None


def progress_line(as_json: bool) -> Callable[[float, str], None]:
    """Shows how far something is, on standard error; nothing with --json."""
    return _quiet if as_json else _Line()
