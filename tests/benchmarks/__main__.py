"""`make bench`: run every benchmark, or those named; exit code 1 when a bound is missed."""

from __future__ import annotations

import asyncio
import importlib
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.report import Report

ALL = ("tasks", "worker", "web", "pages", "core", "docker", "rules", "ui", "package", "nats")


async def main(words: list[str]) -> int:
    """Run the named benchmarks."""
    report = Report()
    for name in [word for word in words if not word.startswith("-")] or ALL:
        module = importlib.import_module(f"tests.benchmarks.bench_{name}")
        with tempfile.TemporaryDirectory(prefix="hivemind-bench-") as folder:
            await module.run(report, Path(folder))
    return report.end("--json" in words)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
