"""What a computer offers and what a task asks for, in the pool's own units.

`cpu` and `gpu` are the protocol's scores (100 cpu = one core); memories are GiB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

CPU_SCORE_PER_CORE = 100
MEMORY_FLOOR_GB = 0.5
DEFAULT_MEMORY_GB = 1.0
DEFAULT_CPU_SCORE = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """An amount of each resource; every field is finite and not negative."""

    cpu: float = 0.0
    memory_gb: float = 0.0
    gpu: float = 0.0
    gpu_memory_gb: float = 0.0

    def __post_init__(self) -> None:
        for name, amount in self.as_dict().items():
            if not math.isfinite(amount) or amount < 0:
                raise ValueError(f"{name} must be a number from 0 up, not {amount}")

    def as_dict(self) -> dict[str, float]:
        """Amounts by the names that the API and the pool use."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def plus(self, other: Resources) -> Resources:
        """The sum, field by field."""
        return Resources(**{name: amount + getattr(other, name) for name, amount in self.as_dict().items()})

    def minus(self, other: Resources) -> Resources:
        """What is left when `other` is taken; never below zero."""
        return Resources(
            **{name: max(0.0, amount - getattr(other, name)) for name, amount in self.as_dict().items()}
        )

    def fits_in(self, room: Resources) -> bool:
        """Whether every field is at most that of `room`."""
        return all(amount <= getattr(room, name) for name, amount in self.as_dict().items())

    def lacking_in(self, room: Resources) -> tuple[str, ...]:
        """Names of the fields that exceed `room`."""
        return tuple(name for name, amount in self.as_dict().items() if amount > getattr(room, name))


def normal_demand(cpu: float, memory_gb: float, gpu: float, gpu_memory_gb: float) -> Resources:
    """The demand of an offer with the protocol's defaults filled in: 0 means one core and 1 GiB.

    Raises:
        ValueError: a negative amount, NaN or infinity.
    """
    asked = Resources(cpu=cpu, memory_gb=memory_gb, gpu=gpu, gpu_memory_gb=gpu_memory_gb)
    return Resources(
        cpu=asked.cpu or DEFAULT_CPU_SCORE,
        memory_gb=max(asked.memory_gb or DEFAULT_MEMORY_GB, MEMORY_FLOOR_GB),
        gpu=asked.gpu,
        gpu_memory_gb=asked.gpu_memory_gb,
    )
