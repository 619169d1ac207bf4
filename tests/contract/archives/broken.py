"""Z8: archives that are damaged, encrypted, not archives at all, or have nothing to start."""

from __future__ import annotations

import random
from functools import partial

from tests.contract.archives.case import Case
from tests.contract.archives.raw import Part, build, deflated, script

DATA = bytes(range(256)) * 40
HTML = b"<!DOCTYPE html>\n<html><body><h1>404 Not Found</h1></body></html>\n" * 20


def plain() -> bytes:
    return build(script(), Part(name="data.bin", data=DATA))


def _other(**fields: object) -> bytes:
    return build(script(), Part(name="data.bin", data=DATA, **fields))  # type: ignore[arg-type]


def _damaged_stream() -> bytes:
    packed = bytearray(deflated(random.Random(1).randbytes(3000)))
    packed[0] |= 0x06  # block type 3 does not exist
    return _other(packed=bytes(packed))


def _two_ends() -> bytes:
    """Two complete archives whose ends both fit: which one is read depends on the reader."""
    return build(script(), comment=build(Part(name="evil.py")))


BAD = {
    "truncated-to-half": lambda: plain()[: len(plain()) // 2],
    "last-byte-missing": lambda: plain()[:-1],
    "first-bytes-missing": lambda: plain()[10:],
    "unknown-method": partial(_other, method=97, packed=DATA),
    "deflate64": partial(_other, method=9, packed=DATA),
    "wrong-member-offset": partial(_other, central={"offset": 7}),
    "member-offset-beyond": partial(_other, central={"offset": 1 << 30}),
    "wrong-directory-offset": lambda: build(script(), start=5),
    "shifted-offsets": lambda: build(script(), shift=100),
    "count-too-high": lambda: build(script(), rows=3),
    "count-too-low": lambda: build(script(), Part(name="b"), rows=1),
    "counts-differ": lambda: build(script(), Part(name="b"), rows_here=1),
    "several-disks": lambda: build(script(), disk=1, first_disk=1),
    "member-on-another-disk": partial(_other, central={"disk": 2}),
    "zip64-end-elsewhere": lambda: build(script(), wide={"end_at": 3}),
    "zip64-counts-differ": lambda: build(script(), wide={"rows": 7}),
    "noise": lambda: random.Random(2).randbytes(5000),
    "web-page": lambda: HTML,
    "zero-bytes": lambda: b"",
    "one-byte": lambda: b"P",
    "only-a-mark": lambda: b"PK\x03\x04",
    "prefix-not-counted": lambda: b"junk" * 10 + plain(),
    "something-behind-the-end": lambda: plain() + b"junk",
    "two-ends": _two_ends,
    "two-sizes-when-stored": partial(_other, method=0, central={"opened": 5}, local={"opened": 5}),
    "described-in-two-ways": partial(_other, local={"opened": 5}),
    "other-method-at-its-place": partial(_other, local={"method": 0}),
    "part-of-a-patch": partial(_other, flags=0x20),
}
LATE = {
    "wrong-checksum": partial(_other, central={"crc": 1}, local={"crc": 1}),
    "broken-stream": _damaged_stream,
    "stream-without-end": lambda: _other(packed=deflated(DATA)[:-4]),
    "something-behind-the-stream": lambda: _other(packed=deflated(DATA) + b"more"),
}
ENCRYPTED = {
    "encrypted": partial(_other, flags=0x01),
    "strongly-encrypted": partial(_other, flags=0x41),
    "hidden-headers": partial(_other, flags=0x2000),
    "aes": partial(_other, flags=0x01, method=99, packed=DATA),
    "aes-without-the-flag": partial(_other, method=99, packed=DATA),
    "encrypted-at-its-place-only": partial(_other, local={"flags": 1}),
}
NOTHING_TO_START = {
    "no-script": lambda: build(Part(name="readme.txt"), Part(name="run.sh")),
    "no-members": build,
    "only-folders": lambda: build(Part(name="main.py/", data=b"")),
    "script-only-in-litter": lambda: build(Part(name="__MACOSX/._main.py"), Part(name="readme.txt")),
}


CASES = (
    *(Case(row="Z8", name=key, build=make, verdict="bad_archive") for key, make in BAD.items()),
    *(Case(row="Z8", name=key, build=make, verdict="bad_archive", late=True) for key, make in LATE.items()),
    *(Case(row="Z8", name=key, build=make, verdict="encrypted") for key, make in ENCRYPTED.items()),
    *(
        Case(row="Z8", name=key, build=make, verdict="no_entry_point")
        for key, make in NOTHING_TO_START.items()
    ),
)
