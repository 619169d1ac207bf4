"""The built-in sandbox: CPython guests in WebAssembly, each in a child process that can be killed.

Children import this package too, so it loads `WasmRuntime` only when somebody asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hivemind_worker.runtimes.wasm.runtime import WasmRuntime

__all__ = ["WasmRuntime"]


def __getattr__(name: str) -> Any:
    if name == "WasmRuntime":
        from hivemind_worker.runtimes.wasm.runtime import WasmRuntime  # noqa: PLC0415

        return WasmRuntime
    raise AttributeError(name)
