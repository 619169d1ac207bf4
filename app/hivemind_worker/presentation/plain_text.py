"""Untrusted text made fit to be shown: no terminal colours, nothing that a screen would act upon.

What a page shows is escaped by its template all the same; this is about what escaping leaves as it is.
"""

from __future__ import annotations

import re

_COLOURS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links
    r"|\x1b[PX^_][^\x1b]*\x1b\\"  # strings for the terminal
    r"|\x1b[ -/]*[0-Z\\^-~]"  # two-letter orders
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
DIGEST_CHARS = len("sha256:") + 12
# Control characters, line separators, and changes of direction, by which one text can look like another.
_UNSHOWN = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (*range(9), *range(11, 32), *range(127, 160), 0x200E, 0x200F, 0x2028, 0x2029,
                 *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF)
}  # fmt: skip


def shown_line(untrusted_text: str) -> str:
    """A name or an id in one line, every odd character written out."""
    return _clean(untrusted_text).replace("\n", "\\n").replace("\t", "\\t")


def shown_log(untrusted_text: str) -> str:
    """A log: colours removed; carriage returns, by which programs redraw a line, become line ends."""
    text = _COLOURS.sub("", untrusted_text)
    return _clean(text.replace("\r\n", "\n").replace("\r", "\n"))


def short_image(image: str) -> str:
    """An image or interpreter with the beginning of its digest, which is enough to tell two apart."""
    name, at, digest = image.partition("@")
    return name + at + digest[:DIGEST_CHARS]


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").translate(_UNSHOWN)
