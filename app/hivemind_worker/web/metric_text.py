"""OpenMetrics text: families of figures as lines. Values in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
END = "# EOF\n"
Labels = Mapping[str, str]
Row = tuple[str, Labels, float]
"""A suffix of the family's name, labels, value."""


def family(name: str, kind: str, about: str, rows: Iterable[Row], unit: str = "") -> str:
    """One family with its head."""
    head = (
        f"# TYPE {name} {kind}\n" + (f"# UNIT {name} {unit}\n" if unit else "") + f"# HELP {name} {about}\n"
    )
    return head + "".join(_line(name + suffix, labels, value) for suffix, labels, value in rows)


def gauge(name: str, about: str, value: float | None, unit: str = "") -> str:
    """A family of a single figure; nothing for one that is not known."""
    return "" if value is None else family(name, "gauge", about, [("", {}, value)], unit)


def states(name: str, about: str, known: Iterable[str], now: str) -> str:
    """Which of the known words holds."""
    rows: list[Row] = [("", {name: word}, float(word == now)) for word in known]
    return family(name, "stateset", about, rows)


def _line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{'{' + inside + '}' if inside else ''} {_number(value)}\n"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _escaped(text: str) -> str:
    plain = text.encode("utf-8", "replace").decode()
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
