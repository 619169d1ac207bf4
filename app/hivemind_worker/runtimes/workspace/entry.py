"""Which script of a task is started. Pure: works on names alone.

The first that is there:

1. at the top: main.py, app.py, run.py, start.py, task.py, then index.py, task_script.py, script.py;
2. at the top: the first other `*.py` in sorted order;
3. when all files lie in one folder: the same search in that folder, and so on downwards;
4. anywhere: the first `*.py`, shallow ones before deep ones, in sorted order.

`setup.py`, `conftest.py` and `__init__.py` are support files: they count only when there is nothing else.
Hidden files and the folder `__MACOSX`, which some computers add by themselves, do not count at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NAMED = ("main.py", "app.py", "run.py", "start.py", "task.py", "index.py", "task_script.py", "script.py")
SUPPORT = frozenset({"setup.py", "conftest.py", "__init__.py"})


def find_entry(files: Iterable[str]) -> str | None:
    """The path of the script to start, out of the archive's files (not folders); None without one."""
    counted = [file for file in files if not _is_litter(file)]
    scripts = sorted((file for file in counted if file.endswith(".py")), key=_depth_then_name)
    real = [script for script in scripts if _base(script) not in SUPPORT]
    return _search(counted, real) or next(iter(real), None) or next(iter(scripts), None)


def _search(files: Sequence[str], scripts: Sequence[str]) -> str | None:
    folder = ""
    while True:
        here = [script for script in scripts if script == folder + _base(script)]
        named = [folder + name for name in NAMED if folder + name in here]
        if named or here:
            return (named or here)[0]
        deeper = _only_folder(files, folder)
        if deeper is None:
            return None
        folder = deeper


def _only_folder(files: Sequence[str], folder: str) -> str | None:
    """The one folder below `folder` that holds every file; None when there is no such folder."""
    if not files:
        return None
    first, slash, _ = files[0].removeprefix(folder).partition("/")
    inner = folder + first + slash
    return inner if slash and all(file.startswith(inner) for file in files) else None


def _is_litter(file: str) -> bool:
    return file.startswith("__MACOSX/") or any(part.startswith(".") for part in file.split("/"))


def _base(file: str) -> str:
    return file.rpartition("/")[2]


def _depth_then_name(file: str) -> tuple[int, str]:
    return file.count("/"), file
