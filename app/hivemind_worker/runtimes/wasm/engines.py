"""The engine's settings, the same for compiling and for running: a compiled module fits no other.

Used by child processes only: the worker itself never loads wasmtime. Counterparts:
`compiler` and `child`; `modules` puts SETTINGS into the name of what is compiled.
"""

from __future__ import annotations

import wasmtime
from wasmtime import _ffi

# Deep recursion of a guest needs stack: the default of 512 KiB ends CPython at a few hundred frames.
STACK_BYTES = 8 << 20
# wasmtime refuses a stack that does not fit into the one it sets aside for asynchronous calls.
ASYNC_STACK_BYTES = STACK_BYTES + (8 << 20)


def make_engine() -> wasmtime.Engine:
    """An engine with our settings."""
    config = wasmtime.Config()
    # wasmtime's Python package has no public name for this setting.
    _ffi.wasmtime_config_async_stack_size_set(config.ptr(), ASYNC_STACK_BYTES)
    config.max_wasm_stack = STACK_BYTES
    return wasmtime.Engine(config)
