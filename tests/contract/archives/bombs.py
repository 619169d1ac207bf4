"""Z6: archives made to cost time, memory or disk. Z7: archives in archives, which are never opened."""

from __future__ import annotations

import struct
from functools import partial

from tests.contract.archives.case import Case
from tests.contract.archives.raw import Part, build, deflated, end_record, headers, script, zeros

MIB = 1 << 20
HELLO = b"print('hello')\n"


def wide(opened: int, packed: int) -> bytes:
    """The large-file field of a directory's row."""
    return struct.pack("<2H2Q", 1, 16, opened, packed)


def _honest(mebibytes: int) -> bytes:
    packed = zeros(mebibytes)
    opened = mebibytes * MIB
    sizes = {"opened": 0xFFFFFFFF, "packed": 0xFFFFFFFF}
    field = wide(opened, len(packed))
    part = Part(name="zeros", packed=packed, extra=field, local_extra=field, local=sizes, central=sizes)
    return build(script(), part)


def _lying(says: int, mebibytes: int) -> bytes:
    sizes = {"opened": says}
    return build(script(), Part(name="zeros", packed=zeros(mebibytes), local=sizes, central=sizes))


def _overlapping(count: int) -> bytes:
    """Every row points to the one big member."""
    packed = deflated(bytes(MIB))
    body, _ = headers(Part(name="0000", packed=packed), 0)
    rows = [headers(Part(name=f"{number:04}", packed=packed), 0)[1] for number in range(count)]
    first, row = headers(script(), len(body))
    directory = b"".join(rows) + row
    return body + first + directory + end_record(count + 1, len(directory), len(body) + len(first))


def _quoted(count: int) -> bytes:
    """Members one inside the other: each quotes the header of the next one as its own contents."""
    kernel = deflated(bytes(MIB))
    body, rows = b"", b""
    for number in range(count):
        inner = body or kernel
        part = Part(name=f"{count - number:04}.txt", data=inner, method=0)
        body, _ = headers(part, 0)
    offset = 0
    rest = body
    for number in range(1, count + 1):
        rest = rest[38:]
        rows += headers(Part(name=f"{number:04}.txt", data=rest, method=0), offset)[1]
        offset += 38
    first, row = headers(script(), len(body))
    return body + first + rows + row + end_record(count + 1, len(rows + row), len(body) + len(first))


def _many(count: int, name: str, data: bytes = b"", **end: object) -> bytes:
    return build(
        script(), *(Part(name=name.format(number), data=data, method=0) for number in range(count)), **end
    )


def _many_zeros(count: int, mebibytes: int) -> bytes:
    packed = zeros(mebibytes)
    sizes = {"opened": mebibytes * MIB}
    return build(
        script(), *(Part(name=f"{n}", packed=packed, local=sizes, central=sizes) for n in range(count))
    )


def _implied_folders(count: int) -> bytes:
    tail = "/".join("abcdefghijklmnopqrstuvwxyzabc")
    return _many(count, "{}/" + tail)


def _lzma_4gib() -> bytes:
    """Method 14 with a dictionary of 4 GiB in its properties: an unpacker may allocate it at once."""
    stream = b"\x09\x14\x05\x00" + b"\x5d" + b"\xff\xff\xff\xff" + bytes(64)
    return build(script(), Part(name="x", packed=stream, method=14, local={"method": 14}))


def _wide_size(opened: int, packed: int | None = None) -> bytes:
    sizes = {"opened": 0xFFFFFFFF, "packed": 0xFFFFFFFF}
    field = wide(opened, 4 if packed is None else packed)
    part = Part(name="x", packed=b"\x03\x00..", extra=field, local_extra=field, local=sizes, central=sizes)
    return build(script(), part)


def _wide_offset() -> bytes:
    field = struct.pack("<2HQ", 1, 8, 1 << 63)
    return build(script(), Part(name="x", extra=field, central={"offset": 0xFFFFFFFF}))


def _long_directory() -> bytes:
    return build(
        script(),
        *(Part(name=f"{n}", data=b"", extra=struct.pack("<2H", 9, 65000) + bytes(65000)) for n in range(300)),
    )


def _empty_blocks() -> bytes:
    """A requirements.txt whose 12 MiB of deflate blocks open to nothing."""
    packed = b"\x00\x00\x00\xff\xff" * (12 * MIB // 5) + deflated(b"")
    return build(script(), Part(name="requirements.txt", data=b"", packed=packed))


def most_names() -> bytes:
    """As many members as allowed, each with about the longest name allowed: the dearest honest directory."""
    return _many(9_999, "/".join(["é" * 100] * 4) + "/{}" + "è" * 80 + ".py")


def _nested(levels: int) -> bytes:
    inner = b"PK"
    for _ in range(levels):
        inner = build(script(), Part(name="inner.zip", data=inner, method=0))
    return inner


REFUSED = {
    "4608-mib-in-one-member": (partial(_honest, 4608), "too_big"),
    "513-mib-in-one-member": (partial(_honest, 513), "too_big"),
    "ratio-over-200": (partial(_honest, 100), "too_big"),
    "300-times-10-mib": (partial(_many_zeros, 300, 10), "too_big"),
    "100000-files": (partial(_many, 100_000, "{}", wide={}), "too_big"),
    "65000-files-that-say-one": (partial(_many, 65_000, "{}", rows=1), "bad_archive"),
    "20000-folders": (partial(_many, 20_000, "{}/"), "too_big"),
    "9000-files-in-270000-folders": (partial(_implied_folders, 9000), "too_big"),
    "2000-overlapping-members": (partial(_overlapping, 2000), "bad_archive"),
    "quoted-overlap": (partial(_quoted, 200), "bad_archive"),
    "bzip2": (lambda: build(script(), Part(name="x", method=12, packed=b"BZh9" + bytes(20))), "bad_archive"),
    "lzma-4-gib-dictionary": (_lzma_4gib, "bad_archive"),
    "zip64-size-2-to-63": (partial(_wide_size, 1 << 63), "too_big"),
    "zip64-packed-2-to-63": (partial(_wide_size, 4, 1 << 63), "bad_archive"),
    "zip64-offset-2-to-63": (_wide_offset, "bad_archive"),
    "directory-of-19-mib": (_long_directory, "too_big"),
    "packed-101-mib": (lambda: bytes(101 * MIB), "too_big"),
    "path-of-1025-bytes": (
        lambda: build(script(), Part(name="/".join(["a" * 204] * 5) + "b")),
        "unsafe_name",
    ),
    "component-of-256-bytes": (lambda: build(script(), Part(name="é" * 128)), "unsafe_name"),
    "33-deep": (lambda: build(script(), Part(name="/".join("a" * 33))), "unsafe_name"),
    "requirements-of-65-kib": (
        lambda: build(script(), Part(name="requirements.txt", data=b"a\n" * 33000)),
        "too_big",
    ),
    "requirements-of-empty-blocks": (_empty_blocks, "too_big"),
}
LATE = {
    "4608-mib-lying-size": partial(_lying, MIB, 4608),
    "lying-small": partial(_lying, 10, 1),
    "lying-large": partial(_lying, 60 * MIB, 1),
}
CASES = (
    *(Case(row="Z6", name=key, build=make, verdict=code) for key, (make, code) in REFUSED.items()),
    *(Case(row="Z6", name=key, build=make, verdict="bad_archive", late=True) for key, make in LATE.items()),
    Case(row="Z7", name="archive-in-an-archive", build=partial(_nested, 3), verdict="ok"),
    Case(
        row="Z7",
        name="bomb-in-an-archive",
        build=lambda: build(script(), Part(name="data.zip", data=_honest(4608))),
        verdict="ok",
    ),
)
