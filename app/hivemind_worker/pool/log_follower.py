"""What is new in a task's log, from texts that are each a cut-off tail of the whole. Pure.

Our own pool says how much was cut off, so nothing is lost or doubled. Other pools say
nothing and put their own lines before the output; there the longest overlap decides.
"""

from __future__ import annotations

import re

SYSTEM_LINE = re.compile(r"^\[[^\]]{0,40}\] \[system\]")
CUT_MARK = "[... some lines were cut off by the pool ...]"


class LogFollower:
    """Give it each text as it comes; it returns the complete lines that were not there before."""

    def __init__(self) -> None:
        self._seen_bytes = 0
        self._rest = b""
        self._own: list[str] = []
        self._output: list[str] = []

    def take(self, text: str, cut_bytes: int | None = None) -> list[str]:
        """New lines of `text`; `cut_bytes` says how much is cut off before it, None for not known."""
        return self._by_count(text.encode(), cut_bytes) if cut_bytes is not None else self._by_overlap(text)

    def last(self) -> list[str]:
        """The line that was begun and never ended, if there is one."""
        rest, self._rest = self._rest, b""
        return [rest.decode("utf-8", "replace")] if rest else []

    def _by_count(self, data: bytes, cut_bytes: int) -> list[str]:
        lines = []
        if cut_bytes > self._seen_bytes:  # what lies between was never shown to us
            lines.append(CUT_MARK)
            self._rest, self._seen_bytes = b"", cut_bytes
        fresh = self._rest + data[self._seen_bytes - cut_bytes :]
        self._seen_bytes = max(self._seen_bytes, cut_bytes + len(data))
        *whole, self._rest = fresh.split(b"\n")
        return lines + [line.decode("utf-8", "replace").removesuffix("\r") for line in whole]

    def _by_overlap(self, text: str) -> list[str]:
        lines = [line for line in text.splitlines() if line.strip()]
        own = [line for line in lines if SYSTEM_LINE.match(line)]
        output = [line for line in lines if not SYSTEM_LINE.match(line)]
        new = fresh_lines(self._own, own) + fresh_lines(self._output, output)
        self._own, self._output = own, output
        return new


def fresh_lines(before: list[str], now: list[str]) -> list[str]:
    """Lines of `now` that follow what `before` ended with.

    The largest overlap is taken: of equal lines some may be missed, none is shown twice.
    """
    if now[: len(before)] == before:
        return now[len(before) :]
    if before and now and before[0] == now[0]:  # a heading that stays while the text below is cut
        before, now = before[1:], now[1:]
    for size in range(min(len(before), len(now)), 0, -1):
        tail = before[-size:]
        # The first line may itself be cut, in the middle.
        if tail[1:] == now[1:size] and tail[0].endswith(now[0]):
            return now[size:]
    return now
