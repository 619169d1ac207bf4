"""A receipt as rows of names and texts, for the command line and the window. Untrusted text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hivemind_worker.presentation.amounts import cores_words, duration_words, size_words
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.moments import local_time
from hivemind_worker.presentation.page_words import ABSENT
from hivemind_worker.presentation.plain_text import shown_line

NAME_CHARS, DIGITS = 80, 16
Rows = tuple[tuple[str, str, str], ...]


def receipt_rows(receipt: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What ran, in what, within which limits, and what it took."""
    used, limits = receipt.get("used", {}), receipt.get("limits", {})
    return (
        (_("Task"), shown_line(str(receipt.get("task_id")))[:NAME_CHARS]),
        (_("State"), f"{receipt.get('state')} {receipt.get('reason') or ''}".strip()),
        (_("Code (SHA-256)"), str(receipt.get("code_sha256"))),
        (_("Sandbox"), f"{receipt.get('sandbox') or ABSENT} {receipt.get('image') or ''}".strip()),
        (_("Limits"), ", ".join(_limit(name, value) for name, value in limits.items()) or ABSENT),
        (_("Started"), local_time(receipt.get("started"))),
        (_("Ended"), local_time(receipt.get("ended"))),
        (_("Processor"), f"{used.get('cpu_s', 0):.2f} s"),
        (_("Largest memory"), size_words(int(used.get("peak_memory_bytes", 0)))),
        (_("Exit code"), ABSENT if receipt.get("exit_code") is None else str(receipt["exit_code"])),
        (_("Trust"), f"{receipt.get('trust_change', 0):+d}"),
    )


def receipt_brief(receipt: Mapping[str, Any], result: str) -> tuple[tuple[str, str], ...]:
    """The same in a few rows, for the first task: it ran without network and without the owner's files.

    `result` is the folder that its result was unpacked to.
    """
    rows = dict(receipt_rows(receipt))
    return (
        (_("Task"), rows[_("Task")]),
        (_("Code (SHA-256)"), rows[_("Code (SHA-256)")][:DIGITS] + "…"),
        (_("Sandbox"), rows[_("Sandbox")].partition("@")[0]),
        (_("Limits"), rows[_("Limits")]),
        (_("What it could reach"), _("network: none · your files: none")),
        (_("It used"), _("{processor} of the processor, {memory} of memory",
                         processor=rows[_("Processor")], memory=rows[_("Largest memory")])),
        (_("Ended"), _("exit code {code}, trust {change}",
                       code=rows[_("Exit code")], change=rows[_("Trust")])),
        (_("Result"), result or ABSENT),
    )  # fmt: skip


def _limit(name: str, value: float) -> str:
    """One limit with its unit; one that this version does not know as it stands."""
    match name:
        case "cores":
            return cores_words(value)
        case "memory_bytes":
            return _("{size} memory", size=size_words(int(value)))
        case "disk_bytes":
            return _("{size} on disk", size=size_words(int(value)))
        case "time_s":
            return duration_words(value)
    return f"{name} {value:g}"


def receipt_files(receipt: Mapping[str, Any], most: int) -> tuple[tuple[str, Rows], ...]:
    """Files in and out, each under a title with their count: name, size, first digits of the SHA-256."""
    return tuple(
        (f"{title}: {len(receipt.get(key, []))}", _files(receipt.get(key, []), most))
        for title, key in ((_("Files in"), "files_in"), (_("Files out"), "files_out"))
    )


def _files(files: list[dict[str, Any]], most: int) -> Rows:
    rows = [
        (shown_line(str(file["name"])), size_words(int(file["bytes"])), str(file.get("sha256", ABSENT))[:16])
        for file in files[:most]
    ]
    more = [(_("and {count} more", count=len(files) - most), "", "")] if len(files) > most else []
    return (*rows, *more)
