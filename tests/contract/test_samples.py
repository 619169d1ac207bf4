"""The sample tasks: they run, check themselves, notice their own mistakes, and are good archives."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hivemind_worker.model.work import Inspection
from hivemind_worker.places import resources
from hivemind_worker.runtimes.workspace import Workspace

SAMPLES = resources() / "samples"
PURE = ("mandelbrot", "pi", "words")
QUICK = {
    "mandelbrot": ("--width=96", "--height=64", "--steps=60", "--samples=1"),
    "pi": ("--points=40000",),
    "words": (),
}
MADE = {"mandelbrot": {"mandelbrot.png"}, "pi": {"result.json"}, "words": {"report.txt", "report.json"}}


def run(name: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A copy of the sample, run as a task is: in its own folder, by an interpreter with nothing installed."""
    shutil.copytree(SAMPLES / name, folder)
    command = [sys.executable, "-I", "-X", "utf8", "main.py", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=60, check=False)


@pytest.mark.parametrize("name", PURE)
def test_a_sample_ends_well_and_leaves_its_results(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "task"
    before = {path.name for path in (SAMPLES / name).iterdir()}
    done = run(name, folder, *QUICK[name])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Checked:" in done.stdout
    assert done.stderr == ""
    assert {path.name for path in folder.iterdir()} - before == MADE[name]


def test_pi_says_so_when_its_own_check_fails(tmp_path: Path) -> None:
    done = run("pi", tmp_path / "task", "--points=1000", "--seed=2801")
    assert done.returncode == 1
    assert "The check failed" in done.stdout
    assert json.loads((tmp_path / "task" / "result.json").read_text())["pi_is_in_the_interval"] is False


def test_mandelbrot_says_so_when_its_own_check_fails(tmp_path: Path) -> None:
    done = run("mandelbrot", tmp_path / "task", "--width=48", "--height=32", "--steps=1", "--samples=1")
    assert done.returncode == 1
    assert "is outside the set" in done.stdout


def test_mandelbrot_notices_a_damaged_picture(tmp_path: Path) -> None:
    assert run("mandelbrot", tmp_path / "task", *QUICK["mandelbrot"]).returncode == 0
    picture = tmp_path / "task" / "mandelbrot.png"
    content = bytearray(picture.read_bytes())
    content[60] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        runpy.run_path(str(SAMPLES / "mandelbrot" / "main.py"))["read_png"](bytes(content))


def test_words_notices_counts_that_do_not_add_up() -> None:
    words = runpy.run_path(str(SAMPLES / "words" / "main.py"))
    text = (SAMPLES / "words" / "story.txt").read_text(encoding="utf-8")
    figures = words["measure"](text, 5)
    assert words["check"](text, figures) == []
    assert words["check"](text, {**figures, "words": figures["words"] + 1}) != []
    assert words["check"](text + "x", figures | {"characters": {"all": 1, "letters": 2}}) != []


def test_words_reads_any_text(tmp_path: Path) -> None:
    odd = tmp_path / "odd.txt"
    odd.write_bytes("Été — c’est l'été.\n\n数据 42!".encode() + b"\xff\xfe\n")
    done = run("words", tmp_path / "task", f"--text={odd}", "--out=here")
    assert done.returncode == 0, done.stdout
    figures = json.loads((tmp_path / "task" / "here" / "report.json").read_text(encoding="utf-8"))
    assert figures["common_words"] == {"été": 1, "c'est": 1, "l'été": 1, "数据": 1}
    assert (
        run(
            "words", tmp_path / "empty", "--text=/dev/null" if sys.platform != "win32" else "--text=NUL"
        ).returncode
        == 0
    )


@pytest.mark.parametrize("name", [*PURE, "clusters"])
def test_a_sample_makes_a_good_archive(name: str, tmp_path: Path) -> None:
    archive = tmp_path / "task.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in (SAMPLES / name).iterdir():
            packed.write(path, path.name)
    found = Workspace().inspect(archive)
    assert isinstance(found, Inspection)
    assert found.entry == "main.py"
    assert found.requirements == (("numpy", "scikit-learn", "matplotlib") if name == "clusters" else ())
    assert archive.stat().st_size < 20_000
    compile((SAMPLES / name / "main.py").read_text(encoding="utf-8"), name, "exec")
