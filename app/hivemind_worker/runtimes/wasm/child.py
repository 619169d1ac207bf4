"""The sandbox itself, in a process of its own: one guest, then the end.

Reads two JSON lines from standard input (`Preparation`, then `GuestOrder`; nothing of a task is
ever in the arguments), loads the compiled module at the first and runs the guest at the second.
The guest's two streams go to descriptor 1; one JSON line on the original standard error says how
it ended. Imports nothing that it does not need: its start is part of every task's time.
Counterpart: `guest` in the worker.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from typing import Any, NoReturn, TypedDict

from hivemind_worker.runtimes.wasm import lifeline

ORDER_LIMIT_BYTES = 1 << 20
# What signals would have said in a container: see wait(2), 128 plus the signal's number.
ABORTED = 134
CRASHED = 139


class Preparation(TypedDict):
    """What can be done before a task is known."""

    parent: int
    watched_by_kernel: bool  # False when a keeper watches instead
    module: str  # the compiled module's file
    guard_renames: bool  # see `renames`


class GuestOrder(TypedDict):
    """One guest: its words, variables, folders and limits."""

    argv: list[str]
    env: list[tuple[str, str]]
    folders: list[tuple[str, str, bool]]  # path here, name in the guest, whether it may write
    memory_bytes: int
    bounds: lifeline.Bounds


class Report(TypedDict, total=False):
    """How it ended: `exit`, `memory`, `trap`, `bad_module` or `trouble`; the last line of the child."""

    ended: str
    code: int
    text: str
    memory_bytes: int
    cpu_s: float


def main(words: list[str]) -> NoReturn:
    """Be the sandbox child; never returns."""
    del words
    lifeline.die_with_parent(True)
    gc.disable()
    first: Preparation = _read_order()
    if not first["watched_by_kernel"]:
        lifeline.die_with_parent(False)
    lifeline.leave_if_orphaned(first["parent"])
    lifeline.forget_handlers()
    reports = _Reports()
    try:
        module = _load(first, reports)
        order: GuestOrder = _read_order()
        lifeline.set_bounds(order["bounds"])
        _run(module, order, reports)
    except Exception as error:  # the door of this process: its only caller reads the report
        reports.end(ended="trouble", text=f"{type(error).__name__}: {error}"[:2000])


def _read_order() -> Any:
    line = sys.stdin.buffer.readline(ORDER_LIMIT_BYTES)
    if not line.endswith(b"\n"):
        os._exit(0)  # the worker is gone, or needs this child no more
    return json.loads(line)


class _Reports:
    """The way back to the worker. Takes over standard error, whose number the guest's output gets."""

    def __init__(self) -> None:
        self._fd = os.dup(2)
        os.dup2(1, 2)
        if sys.platform == "win32":  # the engine asks the system, not the C library, for its streams
            import ctypes  # noqa: PLC0415
            import msvcrt  # noqa: PLC0415

            ctypes.windll.kernel32.SetStdHandle(-12, msvcrt.get_osfhandle(2))

    def end(self, **report: Any) -> NoReturn:
        """Say how it ended and leave at once: the engine's own threads panic at an orderly exit."""
        cpu = os.times()
        line = json.dumps({**report, "cpu_s": round(cpu.user + cpu.system, 3)})
        os.write(self._fd, line.encode() + b"\n")
        os._exit(0)


class _Loaded:
    """An engine, a linker with what a guest may call, and the module."""

    def __init__(self, first: Preparation, reports: _Reports) -> None:
        import wasmtime  # noqa: PLC0415 - after the lifeline is set

        from hivemind_worker.runtimes.wasm.engines import make_engine  # noqa: PLC0415

        self.engine = make_engine()
        self.linker = wasmtime.Linker(self.engine)
        self.linker.define_wasi()
        self.linker.allow_shadowing = True
        number = wasmtime.ValType.i32()
        # wasmtime's own takes only codes below 126, and Python programs end with up to 255.
        self.linker.define_func(
            "wasi_snapshot_preview1",
            "proc_exit",
            wasmtime.FuncType([number], []),
            lambda caller, code: _ended(code, caller["memory"].data_len(caller), reports),
            access_caller=True,
        )
        # The larger interpreter can ask its host for services; ours offers none.
        self.linker.define_func(
            "host", "call", wasmtime.FuncType([number] * 4, [number]), lambda *_: NO_SERVICE
        )
        self.guard: Any = None
        if first["guard_renames"]:
            from hivemind_worker.runtimes.wasm.renames import RenameGuard  # noqa: PLC0415

            self.guard = RenameGuard(self.engine, self.linker)
        self.module = wasmtime.Module.deserialize_file(self.engine, first["module"])


NO_SERVICE = -1


def _load(first: Preparation, reports: _Reports) -> _Loaded:
    import wasmtime  # noqa: PLC0415

    try:
        return _Loaded(first, reports)
    except wasmtime.WasmtimeError as error:
        reports.end(ended="bad_module", text=str(error)[:2000])


def _ended(code: int, memory_bytes: int, reports: _Reports) -> NoReturn:
    from hivemind_worker.runtimes.wasm.bootstrap import OUT_OF_MEMORY_MARK  # noqa: PLC0415

    if code == OUT_OF_MEMORY_MARK:
        reports.end(ended="memory", memory_bytes=memory_bytes)
    reports.end(ended="exit", code=code & 0xFF, memory_bytes=memory_bytes)


def _run(loaded: _Loaded, order: GuestOrder, reports: _Reports) -> NoReturn:
    import wasmtime  # noqa: PLC0415

    store = wasmtime.Store(loaded.engine)
    store.set_limits(memory_size=order["memory_bytes"])
    store.set_wasi(_surroundings(order))
    try:
        exports = loaded.linker.instantiate(store, loaded.module).exports(store)
    except wasmtime.WasmtimeError as error:
        # An interpreter whose first memory is larger than the whole limit.
        reports.end(ended="memory" if "memory" in str(error) else "trouble", text=str(error)[:2000])
    memory: Any = exports["memory"]
    if loaded.guard is not None:
        loaded.guard.bind(store, memory)
    try:
        code = _start(exports, store)
    except wasmtime.Trap as trap:
        _report_trap(trap, memory.data_len(store), order["memory_bytes"], reports)
    _ended(code, memory.data_len(store), reports)


def _start(exports: Any, store: Any) -> int:
    if "_start" in exports:
        exports["_start"](store)
        return 0
    if "_initialize" in exports:
        exports["_initialize"](store)
    return int(exports["run"](store))


def _surroundings(order: GuestOrder) -> Any:
    import wasmtime  # noqa: PLC0415

    wasi = wasmtime.WasiConfig()
    wasi.argv = order["argv"]
    wasi.env = order["env"]
    for path, name, writable in order["folders"]:
        wasi.preopen_dir(path, name, writable)
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    return wasi


def _report_trap(trap: Any, memory_bytes: int, limit_bytes: int, reports: _Reports) -> NoReturn:
    """A guest that broke off: for want of memory when it has nearly all, else as a signal would have said."""
    name = trap.trap_code.name.lower().replace("_", " ") if trap.trap_code else "unknown"
    # An interpreter that cannot even make a MemoryError aborts; it grows in steps below 1/16.
    if memory_bytes > limit_bytes - limit_bytes // 16:
        reports.end(ended="memory", memory_bytes=memory_bytes)
    code = ABORTED if name == "unreachable" else CRASHED
    reports.end(ended="trap", code=code, text=name, memory_bytes=memory_bytes)
