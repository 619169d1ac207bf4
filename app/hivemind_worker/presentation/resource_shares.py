"""What of this computer is lent, how much of that tasks hold, and what stays the owner's: for the bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.presentation.catalogue import _

if TYPE_CHECKING:
    from hivemind_worker.model.machine import Gpu, Sample
    from hivemind_worker.model.settings import Settings
    from hivemind_worker.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareWords:
    """One bar: shares of the whole computer from 0 to 1, and the same in words."""

    name: str
    taken: float
    lent: float
    text: str
    note: str


def share_words(snapshot: Snapshot, sample: Sample, settings: Settings, cores: int) -> tuple[ShareWords, ...]:
    """Cores, memory, graphics cards where there are any, and disk of this computer."""
    lent, taken = snapshot.total, snapshot.total.minus(snapshot.available)
    lent_cores, taken_cores = lent.cpu / CPU_SCORE_PER_CORE, taken.cpu / CPU_SCORE_PER_CORE
    memory_gb = sample.memory_total_gb or lent.memory_gb or 1.0
    return (
        ShareWords(
            name=_("Cores"), taken=taken_cores / cores, lent=lent_cores / cores,
            text=_("{taken} of {lent} lent", taken=f"{taken_cores:g}", lent=f"{lent_cores:g}"),
            note=_("{rest} stay yours", rest=f"{max(0.0, cores - lent_cores):g}"),
        ),
        ShareWords(
            name=_("Memory"), taken=taken.memory_gb / memory_gb, lent=lent.memory_gb / memory_gb,
            text=_("{taken} of {lent} GiB lent", taken=f"{taken.memory_gb:g}", lent=f"{lent.memory_gb:g}"),
            note=_("{rest} GiB stay yours", rest=f"{max(0.0, memory_gb - lent.memory_gb):.1f}"),
        ),
        *_cards(snapshot, sample.gpus),
        _disk(snapshot, sample, settings),
    )  # fmt: skip


def _cards(snapshot: Snapshot, cards: Sequence[Gpu]) -> Iterable[ShareWords]:
    """The memory of the cards that work; what they are lent for is told beside the offer."""
    whole_gb = sum(card.memory_gb for card in cards if card.trouble is None)
    if not whole_gb:
        return
    lent_gb = snapshot.total.gpu_memory_gb
    taken_gb = max(0.0, lent_gb - snapshot.available.gpu_memory_gb)
    text = _("{taken} of {lent} GiB lent", taken=f"{taken_gb:g}", lent=f"{lent_gb:g}")
    yield ShareWords(
        name=_("GPU"), taken=taken_gb / whole_gb, lent=lent_gb / whole_gb,
        text=text if lent_gb else _("not lent to tasks"),
        note=_("{rest} GiB stay yours", rest=f"{max(0.0, whole_gb - lent_gb):.1f}"),
    )  # fmt: skip


def _disk(snapshot: Snapshot, sample: Sample, settings: Settings) -> ShareWords:
    """Each task may fill its own share of the disk; what must stay free is never lent."""
    free_gb = sample.disk_available_gb
    most_gb = settings.task_disk_gb * snapshot.max_tasks
    lent_gb = max(0.0, min(most_gb, free_gb - settings.keep_free_gb))
    whole_gb = max(free_gb, 0.1)
    return ShareWords(
        name=_("Free disk"), taken=0.0, lent=lent_gb / whole_gb,
        text=_("up to {lent} of {free} GiB", lent=f"{lent_gb:.0f}", free=f"{free_gb:.0f}"),
        note=_("{keep} GiB are always kept free", keep=f"{settings.keep_free_gb:g}"),
    )  # fmt: skip
