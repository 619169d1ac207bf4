"""Figures of a run, each against its bound; a ratio's baseline was measured in the same run."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """One measured value. `most`/`least` is the bound it is held to; without one it is only told."""

    name: str
    value: float
    unit: str = ""
    most: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def holds(self) -> bool:
        return (self.most is None or self.value <= self.most) and (
            self.least is None or self.value >= self.least
        )

    @property
    def bound(self) -> str:
        if self.most is not None:
            return f"at most {self.most:g}"
        return f"at least {self.least:g}" if self.least is not None else "told"


@dataclass
class Report:
    """Collects figures and prints each as it comes."""

    figures: list[Figure] = field(default_factory=list)

    def add(self, name: str, value: float, unit: str = "", **bounds: float | str | None) -> None:
        figure = Figure(name, round(value, 4), unit, **bounds)  # type: ignore[arg-type]
        self.figures.append(figure)
        mark = "ok  " if figure.holds else "MISS"
        print(f"{mark} {name:58} {figure.value:10.3f} {unit:6} {figure.bound:14} {figure.note}", flush=True)

    def end(self, as_json: bool) -> int:
        """Exit code 1 when a bound is missed."""
        if as_json:
            json.dump([vars(figure) for figure in self.figures], sys.stdout)
        return 0 if all(figure.holds for figure in self.figures) else 1
