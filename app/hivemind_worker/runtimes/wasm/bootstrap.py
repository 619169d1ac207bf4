"""The few lines of Python that run inside the sandbox before the task's own script.

A WASI program starts in no folder and with no import path of its own, so these lines make the
script see what it sees in a container: working folder /app/task, its own folder first on the
import path, `__main__`, unbuffered output, and a traceback that begins with its own code.
They must run on every interpreter of `packs`. Nothing here is a wall: the wall is WebAssembly.
"""

from __future__ import annotations

# How the guest says that it ended for want of memory. It cannot be an exit code of a program
# (0 to 255), and a program that forges it only gives a wrong reason for its own failure.
OUT_OF_MEMORY_MARK = 0x484D4F4D

TASK_FOLDER = "/app/task"

_LINES = """
def _start():
    import io, os, sys
    script = sys.argv[1]
    sys.argv[:] = [script]
    os.chdir({folder!r})
    first = [os.path.dirname(script), {folder!r}]
    sys.path[:] = list(dict.fromkeys(first + [p for p in sys.path if p]))
    if {rewire!r}:
        for name, fd, errors in (("stdout", 1, "strict"), ("stderr", 2, "backslashreplace")):
            stream = io.TextIOWrapper(
                io.FileIO(fd, "w", closefd=False), "utf-8", errors, "\\n", write_through=True
            )
            stream.mode = "w"
            setattr(sys, name, stream)
            setattr(sys, "__" + name + "__", stream)
    space = sys.modules["__main__"].__dict__
    del space["_start"]
    space.update(__file__=script, __cached__=None)
    room = bytearray(1 << 21)
    try:
        with open(script, "rb") as file:
            source = file.read()
        exec(compile(source, script, "exec", dont_inherit=True), space)
    except SystemExit:
        raise
    except BaseException as error:
        room = None
        trace = error.__traceback__.tb_next
        try:
            sys.excepthook(type(error), error.with_traceback(trace), trace)
            sys.stdout.flush()
        finally:
            if isinstance(error, MemoryError):
                os._exit({mark})
            sys.exit(1)
_start()
"""


def bootstrap(*, rewire: bool) -> str:
    """The lines, for `-c`. `rewire` for interpreters that were started before their environment was known."""
    return _LINES.format(folder=TASK_FOLDER, rewire=rewire, mark=OUT_OF_MEMORY_MARK)
