"""A guard before the engine's `path_rename`, for systems where the engine's own is not tight.

wasmtime 49.0.0 hands a trailing slash on to the system, and macOS and the BSDs then follow a
symbolic link out of the sandbox (GHSA-m9f7-9w4p-gv38, fixed in 49.0.3, of which there is no
Python package). So there a name that ends in a slash is refused. Runs in the child only.
"""

from __future__ import annotations

from typing import Any

import wasmtime

NOT_A_DIRECTORY = 54  # WASI's ENOTDIR

# The engine finds a guest's memory through the module that calls it: this one calls on its behalf.
_STAND_IN = """
(module
  (import "wasi_snapshot_preview1" "path_rename"
    (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "guest" "memory" (memory 0))
  (export "memory" (memory 0))
  (func (export "rename") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $rename (local.get 0) (local.get 1) (local.get 2)
                  (local.get 3) (local.get 4) (local.get 5))))
"""


class RenameGuard:
    """Shadows `path_rename` in `linker`; `bind` it to the guest before the guest runs."""

    def __init__(self, engine: wasmtime.Engine, linker: wasmtime.Linker) -> None:
        number = wasmtime.ValType.i32()
        kind = wasmtime.FuncType([number] * 6, [number])
        linker.define_func("wasi_snapshot_preview1", "path_rename", kind, self._rename, access_caller=True)
        self._engine = engine
        self._forward: Any = None

    def bind(self, store: wasmtime.Store, memory: wasmtime.Memory) -> None:
        """Have calls go on to the engine's own function, on this guest's memory."""
        linker = wasmtime.Linker(self._engine)
        linker.define_wasi()
        linker.define(store, "guest", "memory", memory)
        stand_in = linker.instantiate(store, wasmtime.Module(self._engine, _STAND_IN))
        self._forward = stand_in.exports(store)["rename"]

    def _rename(self, caller: Any, *numbers: int) -> int:
        memory = caller["memory"]
        for at, length in ((numbers[1], numbers[2]), (numbers[4], numbers[5])):
            end = (at & 0xFFFFFFFF) + (length & 0xFFFFFFFF)
            if length and bytes(memory.read(caller, end - 1, end)) in (b"/", b""):
                return NOT_A_DIRECTORY
        return int(self._forward(caller, *numbers))
