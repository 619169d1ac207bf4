"""Z1 to Z4: names that lead out, have two readings, clash, or mean something to one system only."""

from __future__ import annotations

import struct
import zlib
from functools import partial

from tests.contract.archives.case import Case
from tests.contract.archives.raw import Part, build, script

HELLO = b"print('hello')\n"

Z1: dict[str, str | bytes] = {
    "parent": "../evil.py",
    "parent-deeper": "a/../../evil.py",
    "parent-at-the-end": "a/..",
    "parent-inside": "a/../b.py",
    "only-parent": "..",
    "absolute": "/tmp/evil.py",
    "root": "/",
    "double-slash": "//server/share/evil.py",
    "double-slash-inside": "a//b.py",
    "dot-inside": "a/./b.py",
    "backslash-parent": "..\\evil.py",
    "backslash-inside": "a\\b.py",
    "drive": "C:/evil.py",
    "drive-relative": "C:evil.py",
    "drive-backslash": "C:\\evil.py",
    "unc": "\\\\server\\share\\evil.py",
    "verbatim": "\\\\?\\C:\\evil.py",
    "named-pipe": "\\\\.\\pipe\\evil",
    "pipe-sign": "a|b.py",
    "empty": "",
    "nul": "main2.py\0.txt",
    "newline": "a\nb.py",
    "escape": "\x1b[2Jb.py",
    "delete": "a\x7fb.py",
    "c1-control": "a\x85b.py",
}

Z2_NAMES: dict[str, str | bytes] = {
    "broken-utf8": b"\xff\xfe.py",
    "overlong-utf8": b"\xc0\xae\xc0\xae/evil.py",
    "surrogate-utf8": b"\xed\xa0\x80.py",
    "full-width-dots": "．．/evil.py",
    "one-dot-leader": "\u2024\u2024/evil.py",
    "right-to-left": "photo\u202egnp.py",
    "isolate": "a\u2066b.py",
    "line-separator": "a\u2028b.py",
}

Z3: dict[str, tuple[str, ...]] = {
    "duplicate": ("data.txt", "data.txt"),
    "duplicate-script": ("main.py",),
    "case": ("Main.py",),
    "case-in-folders": ("Data/a.txt", "data/b.txt"),
    "nfc-and-nfd": ("caf\u00e9.txt", "cafe\u0301.txt"),
    "sharp-s": ("stra\u00dfe.txt", "STRASSE.txt"),
    "kelvin-sign": ("5\u212a.txt", "5k.txt"),
    "dot-slash": ("./main.py",),
    "file-then-folder": ("a", "a/b.txt"),
    "folder-then-file": ("a/b.txt", "a"),
    "script-as-folder": ("main.py/x.txt",),
    "folder-twice": ("a/", "a/"),
}

Z4: dict[str, str] = {
    "con": "CON",
    "nul-with-suffix": "nul.txt",
    "aux-script": "aux.py",
    "com1": "data/com1.dat",
    "lpt9": "LPT9.log",
    "com-superscript": "COM\u00b9",
    "conin": "conin$",
    "con-with-space": "con .txt",
    "prn-folder": "prn/x.txt",
    "stream": "main.py:hidden",
    "stream-data": "main.py::$DATA",
    "trailing-dot": "notes.",
    "trailing-space": "notes ",
    "trailing-dot-folder": "a./b.txt",
}


def _with(name: str | bytes, **fields: object) -> bytes:
    return build(script(), Part(name=name, data=b"" if name == "/" else HELLO, **fields))  # type: ignore[arg-type]


def _several(names: tuple[str, ...]) -> bytes:
    return build(script(), *(Part(name=name, data=b"" if name.endswith("/") else b"x") for name in names))


def _unicode_path(name: bytes, other: bytes) -> bytes:
    field = b"\x01" + struct.pack("<L", zlib.crc32(name)) + other
    return build(script(), Part(name=name, extra=struct.pack("<2H", 0x7075, len(field)) + field))


CASES = (
    *(
        Case(row="Z1", name=key, build=partial(_with, name), verdict="unsafe_name")
        for key, name in Z1.items()
    ),
    *(
        Case(row="Z2", name=key, build=partial(_with, name, flags=0x0800), verdict="unsafe_name")
        for key, name in Z2_NAMES.items()
    ),
    Case(
        row="Z2",
        name="other-name-at-its-place",
        build=lambda: build(script(), Part(name="good.txt", local_name="evil.txt")),
        verdict="bad_archive",
    ),
    Case(
        row="Z2",
        name="leads-out-at-its-place",
        build=lambda: build(script(local_name="../../evil.py")),
        verdict="bad_archive",
    ),
    Case(
        row="Z2",
        name="unicode-path-field-is-not-read",
        build=partial(_unicode_path, b"good.txt", b"../../evil.txt"),
        verdict="ok",
        files={"main.py": HELLO, "good.txt": HELLO},
    ),
    Case(
        row="Z2",
        name="cp437-is-contained",
        build=partial(_with, b"caf\x82.txt", flags=0),
        verdict="ok",
        files={"main.py": HELLO, "café.txt": HELLO},
    ),
    Case(
        row="Z2",
        name="overlong-as-cp437-is-contained",
        build=partial(_with, b"\xc0\xae\xc0\xae/x.txt", flags=0),
        verdict="ok",
        files={"main.py": HELLO, "└«└«/x.txt": HELLO},
    ),
    *(
        Case(row="Z3", name=key, build=partial(_several, names), verdict="unsafe_name")
        for key, names in Z3.items()
    ),
    *(
        Case(row="Z4", name=key, build=partial(_with, name), verdict="unsafe_name")
        for key, name in Z4.items()
    ),
)
