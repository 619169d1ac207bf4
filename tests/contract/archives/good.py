"""Z9: good archives of many makers, the guard against refusing too much."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from functools import partial

from tests.contract.archives.case import Case
from tests.contract.archives.raw import DOS, Part, build, deflated, script


class _Pipe(io.RawIOBase):
    """A target that cannot seek, so the maker has to write sizes behind the contents."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.written += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


def _streamed() -> bytes:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("main.py", "print('hello')\n")
        archive.writestr("data/table.csv", "1,2,3\n" * 500)
    return bytes(pipe.written)


def _made(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _zip64() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("main.py", "print('hello')\n")
        with archive.open("large.txt", "w", force_zip64=True) as member:
            member.write(b"line\n" * 1000)
    return buffer.getvalue()


def _utf8_without_flag() -> bytes:
    """As the archiver of macOS writes names."""
    return build(script(), Part(name="données/été.txt".encode(), flags=0))


def _times_field() -> bytes:
    stamp = struct.pack("<2HBL", 0x5455, 5, 3, 1_700_000_000)
    return build(script(extra=stamp, local_extra=stamp), Part(name="b.txt", extra=stamp + b"\0\0\0"))


HELLO = b"print('hello')\n"
NOISE = random.Random(3).randbytes
SCRIPT = {"main.py": HELLO}

GOOD = {
    "stored": partial(_made, {**SCRIPT, "data.txt": b"abc"}, zipfile.ZIP_STORED),
    "deflated": partial(_made, {**SCRIPT, "data/deep/er/x.txt": b"abc" * 999}),
    "streamed": _streamed,
    "zip64-member": _zip64,
    "zip64-end": lambda: build(script(), wide={}),
    "month-0": lambda: build(script(central={"date": 0, "time": 0xFFFF}, local={"date": 0, "time": 0xFFFF})),
    "dos-attributes": lambda: build(
        Part(name="data/", data=b"", system=DOS, attributes=0x10), script(system=DOS, attributes=0x20)
    ),
    "windows-cloud-attributes": lambda: build(script(system=DOS, attributes=0x00080020)),
    "chinese": partial(_made, {**SCRIPT, "数据/表格.csv": b"1"}),
    "arabic": partial(_made, {**SCRIPT, "بيانات/ملف.txt": b"1"}),
    "emoji": partial(_made, {**SCRIPT, "👩‍👩‍👧/🎉.txt": b"1"}),
    "dots-inside": partial(_made, {**SCRIPT, "a..b": b"1", "...c/d.e.f": b"2", ".hidden": b"3"}),
    "8-mib-of-zeros": partial(_made, {**SCRIPT, "zeros": bytes(8 << 20)}),
    "2000-files": partial(_made, {**SCRIPT, **{f"d{n % 40}/{n}.txt": b"%d" % n for n in range(2000)}}),
    "20-mib": lambda: _made({**SCRIPT, "noise": NOISE(20 << 20)}, zipfile.ZIP_STORED),
    "folders-with-rows": partial(_made, {"a/": b"", "a/b/": b"", "a/b/c.txt": b"1", **SCRIPT}),
    "folder-row-after-its-file": partial(_made, {"a/c.txt": b"1", "a/": b"", **SCRIPT}),
    "folder-that-was-deflated": lambda: build(script(), Part(name="a/", data=b"", packed=deflated(b""))),
    "with-a-comment": lambda: build(script(), comment=b"made by hand"),
    "end-marks-in-the-comment": lambda: build(script(), comment=(b"PK\x05\x06" * 16384)[:65535]),
    "self-starting-prefix": lambda: build(script("__main__.py"), prefix=b"#!/usr/bin/env python3\n"),
    "times-field": _times_field,
    "utf8-without-the-flag": _utf8_without_flag,
    "empty-file-at-the-end": lambda: build(script(), Part(name="empty", data=b"", method=0)),
    "empty-files": partial(_made, {**SCRIPT, "pkg/__init__.py": b"", "empty": b""}),
    "folder-from-a-mac": partial(
        _made, {"task/main.py": HELLO, "__MACOSX/task/._main.py": b"x", "task/.DS_Store": b"x"}
    ),
}
# What the library reads otherwise, or not at all.
FILES = {
    "utf8-without-the-flag": {"main.py": HELLO, "données/été.txt": HELLO},
    "end-marks-in-the-comment": {"main.py": HELLO},
}
CASES = tuple(
    Case(row="Z9", name=key, build=make, verdict="ok", files=FILES.get(key)) for key, make in GOOD.items()
)
