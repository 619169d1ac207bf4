"""The frozen build is whole, brings nothing that it does not need, and says what is inside it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT

pytestmark = pytest.mark.release

BARE = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
SELFTEST_LIMIT_S = 300.0


def run(folder: Path, *words: str, home: Path) -> subprocess.CompletedProcess[str]:
    """The built program with nothing of the tester's around it, and no Python to fall back on."""
    return subprocess.run(
        [folder / "hivemind-worker", *words], env={**BARE, "HOME": str(home), "TMPDIR": str(home)},
        cwd=home, capture_output=True, text=True, timeout=SELFTEST_LIMIT_S, check=False,
    )  # fmt: skip


def test_the_frozen_build_shows_every_place_and_page_and_runs_a_task(frozen: Path, tmp_path: Path) -> None:
    done = run(frozen, "--selftest", "--json", home=tmp_path)
    assert done.returncode == 0, done.stderr
    parts = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [part["part"] for part in parts] == ["window and pages", "task in the built-in sandbox"]
    assert not list(tmp_path.glob("hivemind-*")), "the self-test leaves nothing behind"


@pytest.mark.parametrize("lost", ["web/pages/rules.html", "locale/zh_TW.po"])
def test_a_build_that_has_lost_a_file_fails_its_selftest(frozen: Path, tmp_path: Path, lost: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(frozen, copy, copy_function=os.link, symlinks=True)
    (copy / "_internal" / "hivemind_worker" / "resources" / lost).unlink()
    done = run(copy, "--selftest", home=tmp_path)
    assert done.returncode != 0, done.stdout
    assert done.stderr
    shutil.rmtree(copy)


def test_nothing_is_inside_that_was_to_be_left_out(frozen: Path) -> None:
    left_out = _data("left_out")
    inside = [path.relative_to(frozen / "_internal").as_posix() for path in (frozen / "_internal").rglob("*")]
    assert not [path for path in inside for pattern in left_out.FILES if fnmatch(path, pattern)]
    assert not [path for path in inside if "Qml" in path or "Quick" in path or "readline" in path]
    dangling = [path for path in frozen.rglob("*") if path.is_symlink() and not path.exists()]
    assert not dangling


def test_every_part_inside_is_named_with_its_licence(frozen: Path) -> None:
    bill = json.loads((frozen / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "hivemind-worker"
    names = {part["name"]: part for part in bill["components"]}
    assert {"CPython", "PySide6_Essentials", "wasmtime", "grpcio", "cryptography"} <= names.keys()
    index = (frozen / "licences" / "INDEX.txt").read_text(encoding="utf-8")
    for name, part in names.items():
        assert f"\n{name} {part['version']}: " in index
        assert part["licenses"]
    texts = [line.strip() for line in index.splitlines() if line.startswith("    ") and "/" in line]
    for text in texts:
        if not text.startswith(("Their source", "They are")):
            assert (frozen / "licences" / text).stat().st_size > 30, text
    unsaid = [
        name for name in names
        if name != "CPython for WASI" and not (frozen / "licences" / name.replace(" ", "-")).is_dir()
    ]  # fmt: skip
    assert not unsaid, "parts without a licence text"


def _data(name: str):  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location(name, ROOT / "installer" / "freeze" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
