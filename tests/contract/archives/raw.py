"""A zip file from parts, every field of which can be a lie. Knows nothing of the code under test."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

UNIX = 3
DOS = 0
PLAIN = 0o100644
UTF8 = 0x0800


@dataclass(kw_only=True)
class Part:
    """One member. `local` and `central` replace fields of its two headers by name."""

    name: str | bytes = "main.py"
    data: bytes = b"print('hello')\n"
    method: int = 8
    mode: int = PLAIN
    system: int = UNIX
    attributes: int | None = None
    flags: int | None = None
    extra: bytes = b""
    local_extra: bytes = b""
    packed: bytes | None = None
    local_name: str | bytes | None = None
    trailer: bytes = b""
    local: dict[str, int] = field(default_factory=dict)
    central: dict[str, int] = field(default_factory=dict)


def script(name: str | bytes = "main.py", **fields: Any) -> Part:
    """A part that is a good script."""
    return Part(name=name, **fields)


def deflated(data: bytes, level: int = 6) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zeros(mebibytes: int) -> bytes:
    """A deflate stream that opens to so many MiB of zeros; made of repeated blocks, so it costs no time."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * mebibytes + deflated(b"")


def build(*parts: Part, prefix: bytes = b"", shift: int = 0, **end: Any) -> bytes:
    """The archive's bytes. `shift` is added to all offsets; `end` replaces fields of the end record."""
    body = bytearray(prefix)
    directory = bytearray()
    for part in parts:
        local, central = headers(part, len(body) + shift)
        body += local
        directory += central
    return bytes(body + directory + end_record(len(parts), len(directory), len(body) + shift, **end))


def headers(part: Part, offset: int) -> tuple[bytes, bytes]:
    """The local header with the packed bytes, and the directory's row."""
    name = part.name.encode() if isinstance(part.name, str) else part.name
    flags = part.flags if part.flags is not None else (0 if name.isascii() else UTF8)
    packed = part.packed
    if packed is None:
        packed = part.data if part.method == 0 else deflated(part.data)
    common = {
        "flags": flags,
        "method": part.method,
        "time": 0,
        "date": 0x5021,
        "crc": zlib.crc32(part.data),
        "packed": len(packed),
        "opened": len(part.data),
    }
    row = {**common, "disk": 0, "offset": offset, "attributes": _attributes(part), **part.central}
    return _local(part, name, {**common, **part.local}) + packed + part.trailer, _row(part, name, row)


def _attributes(part: Part) -> int:
    return part.mode << 16 if part.attributes is None else part.attributes


def _local(part: Part, name: bytes, of: dict[str, int]) -> bytes:
    own = part.local_name if part.local_name is not None else name
    own = own.encode() if isinstance(own, str) else own
    sizes = (of["crc"], of["packed"], of["opened"], len(own), len(part.local_extra))
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, of["flags"], of["method"], of["time"], of["date"], *sizes)
    return head + own + part.local_extra


def _row(part: Part, name: bytes, of: dict[str, int]) -> bytes:
    head = struct.pack(
        "<4sBB5H", b"PK\1\2", 20, part.system, 20, of["flags"], of["method"], of["time"], of["date"]
    )
    sizes = struct.pack("<3L3H", of["crc"], of["packed"], of["opened"], len(name), len(part.extra), 0)
    place = struct.pack("<2H2L", of["disk"], 0, of["attributes"], of["offset"])
    return head + sizes + place + name + part.extra


def end_record(count: int, length: int, start_at: int, **lie: Any) -> bytes:
    """The end of central directory, with a large-file end before it when `wide` is given."""
    comment = lie.pop("comment", b"")
    wide = lie.pop("wide", None)
    rows = lie.get("rows", count)
    figures = {"disk": 0, "first_disk": 0, "rows_here": rows, "rows": rows, "size": length, "start": start_at}
    figures = {**figures, **lie}
    ordered = [figures[key] for key in ("disk", "first_disk", "rows_here", "rows", "size", "start")]
    if wide is None:
        return struct.pack("<4s4H2LH", b"PK\5\6", *ordered, len(comment)) + comment
    ordered = [
        {**figures, **wide}[key] for key in ("disk", "first_disk", "rows_here", "rows", "size", "start")
    ]
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, *ordered)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, wide.get("end_at", start_at + length), 1)
    narrow = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, len(comment))
    return record + locator + narrow + comment
