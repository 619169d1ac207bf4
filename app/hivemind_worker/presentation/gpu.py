"""The words for graphics cards: what each is, and why one that is there cannot be used."""

from __future__ import annotations

from collections.abc import Sequence

from hivemind_worker.model.machine import Gpu, GpuTrouble
from hivemind_worker.presentation.catalogue import _, mark

REASONS = {
    GpuTrouble.NO_DRIVER: mark("its driver is not installed"),
    GpuTrouble.DRIVER_NOT_LOADED: mark("its driver is installed but not loaded: restart the computer"),
    GpuTrouble.DRIVER_CHANGED: mark("its driver was updated: restart the computer"),
    GpuTrouble.NO_PERMISSION: mark("this account may not use it"),
    GpuTrouble.LOST: mark("it has stopped answering: restart the computer"),
    GpuTrouble.OTHER_MAKER: mark("tasks can use cards of NVIDIA only"),
}


def card_words(card: Gpu) -> str:
    """One card in one line."""
    if card.trouble is not None:
        return _(
            "{name}: found but unusable because {reason}", name=card.name, reason=_(REASONS[card.trouble])
        )
    return _("{name}, {memory} GiB, driver {driver}", name=card.name, memory=f"{card.memory_gb:.0f}",
             driver=card.driver or _("unknown"))  # fmt: skip


def gpu_words(cards: Sequence[Gpu]) -> str:
    """All cards, or that none was found."""
    return "; ".join(card_words(card) for card in cards) if cards else _("No graphics card was found.")


def can_use_a_gpu(cards: Sequence[Gpu]) -> bool:
    """Whether any card works."""
    return any(card.trouble is None for card in cards)
