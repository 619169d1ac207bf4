"""The receipts of the last tasks as rows: which task, when it ended, what ran, what the signature says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hivemind_worker.model.receipts import KeptReceipt, Seal
from hivemind_worker.presentation.catalogue import _, mark
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.moments import when
from hivemind_worker.presentation.page_tasks import RUNTIMES, STATES
from hivemind_worker.presentation.page_words import ABSENT
from hivemind_worker.presentation.plain_text import shown_line

NAME_CHARS, IMAGE_CHARS = 60, 60
SEALS = {
    Seal.OURS: ("working", "check", mark("valid")),
    Seal.OTHER_KEY: ("waiting", "info", mark("another key")),
    Seal.BROKEN: ("error", "cross", mark("not valid")),
}

SIGNATURES = {
    Seal.OURS: mark("The signature is valid"),
    Seal.OTHER_KEY: mark("Signed by another key"),
    Seal.BROKEN: mark("The signature is not valid"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptLine:
    """One receipt; `task` and `ran` are untrusted text made plain."""

    task: str
    ended: str
    outcome: Look
    ran: str
    seal: Look


def receipt_lines(receipts: Iterable[KeptReceipt], now_s: float) -> tuple[ReceiptLine, ...]:
    """In the order that they have."""
    return tuple(_line(receipt, now_s) for receipt in receipts)


def _line(receipt: KeptReceipt, now_s: float) -> ReceiptLine:
    task = receipt.task
    _icon, sandbox = RUNTIMES.get(task.runtime, ("", task.runtime))
    return ReceiptLine(
        task=shown_line(task.task_id)[:NAME_CHARS],
        ended=ABSENT if task.ended_at_s is None else when(task.ended_at_s, now_s),
        outcome=_look(STATES[task.state]),
        ran=shown_line(task.image.partition("@")[0])[:IMAGE_CHARS] or (_(sandbox) if sandbox else ABSENT),
        seal=_look(SEALS[receipt.seal]),
    )


def seal_look(seal: Seal) -> Look:
    """What a signature says, in a sentence."""
    tone, icon, _word = SEALS[seal]
    return Look(tone=tone, icon=icon, word=_(SIGNATURES[seal]))


def _look(kind: tuple[str, str, str]) -> Look:
    tone, icon, word = kind
    return Look(tone=tone, icon=icon, word=_(word))
