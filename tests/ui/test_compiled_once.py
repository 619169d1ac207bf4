"""What PySide compiles of itself at every start is kept; without it, or with a damaged one, all works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

COUNTED = """
import builtins, json, sys
from pathlib import Path
plain, compiled = builtins.compile, []
def counted(source, filename, *more, **named):
    compiled.append(str(filename))
    return plain(source, filename, *more, **named)
builtins.compile = counted
import hivemind_worker.ui
from hivemind_worker.ui.compiled_once import KEPT, PARTS
from PySide6.QtCore import QObject
try:
    QObject().setObjectName(1, 2, 3)
except TypeError as error:
    said = str(error)
print(json.dumps({
    "compiled": [name for name in compiled if name.startswith(PARTS)], "kept": str(KEPT),
    "back": builtins.compile is counted, "said": "setObjectName" in said,
}))
"""


def started(prefix: Path, **more: str) -> dict[str, object]:
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(prefix), **more}
    if not more:
        env.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", COUNTED], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    told = dict(json.loads(done.stdout))
    assert (told["back"], told["said"]) == (True, True)
    return told


def test_the_second_start_compiles_nothing_of_pyside(tmp_path: Path) -> None:
    assert started(tmp_path)["compiled"]
    assert started(tmp_path)["compiled"] == []


def test_a_damaged_file_is_written_anew(tmp_path: Path) -> None:
    kept = Path(str(started(tmp_path)["kept"]))
    assert kept.is_relative_to(tmp_path)
    kept.write_bytes(kept.read_bytes()[:1000])
    assert started(tmp_path)["compiled"]
    assert started(tmp_path)["compiled"] == []
    assert [
        path.name for path in kept.parent.iterdir() if "pyside" in path.name or ".pyc" not in path.name
    ] == [kept.name]


def test_nothing_is_written_where_python_is_told_to_write_nothing_compiled(tmp_path: Path) -> None:
    kept = Path(str(started(tmp_path, PYTHONDONTWRITEBYTECODE="1")["kept"]))
    assert not kept.exists()
