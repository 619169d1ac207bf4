"""The frozen build, made once for all tests of packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEXT = "0.1.999"
"""The version that the packages of this one are upgraded to."""
FROZEN = ROOT / "dist" / "hivemind-worker"


def built(*words: str, limit_s: float = 600.0) -> str:
    """What a step of the build says; it must succeed."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=limit_s, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="session")
def frozen() -> Iterator[Path]:
    """dist/hivemind-worker, built from this checkout."""
    was_there = FROZEN.exists()
    base = getattr(sys, "_base_executable", sys.executable)
    built("installer/freeze/build.sh", base)
    yield FROZEN
    if not was_there:
        shutil.rmtree(FROZEN)
        shutil.rmtree(ROOT / "build" / "pyinstaller")


@pytest.fixture(scope="session")
def package(frozen: Path) -> Iterator[Path]:
    """The package of this version and the next one, packed quickly."""
    made = []
    for version in ("", NEXT):
        built("env", "COMPRESSION=none", "installer/linux/deb.sh", *([version] if version else []))
        made.append(max((ROOT / "dist").glob("*.deb"), key=lambda path: path.stat().st_mtime_ns))
    yield made[0]
    for path in made:
        path.unlink()
