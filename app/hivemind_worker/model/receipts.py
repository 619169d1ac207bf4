"""What is known of a receipt without opening it: its task, and whether its signature holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hivemind_worker.model.task import Task


class Seal(StrEnum):
    """What the signature under a receipt says."""

    OURS = "ours"  # signed by this node, unchanged since
    OTHER_KEY = "other_key"  # unchanged since another key signed it, e.g. this node's earlier one
    BROKEN = "broken"  # changed, damaged or not signed


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReceipt:
    """The receipt of an ended task."""

    task: Task
    seal: Seal
