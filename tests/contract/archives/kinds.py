"""Z5: members that are not plain files, and mode bits that must not survive."""

from __future__ import annotations

import stat
from functools import partial

from tests.contract.archives.case import Case
from tests.contract.archives.raw import DOS, Part, build, script

LINK = stat.S_IFLNK | 0o777
HELLO = b"print('hello')\n"


def _part(name: str, data: bytes, mode: int, system: int = 3) -> bytes:
    return build(script(), Part(name=name, data=data, mode=mode, system=system))


REFUSED = {
    "link-absolute": partial(_part, "data", b"/etc/passwd", LINK),
    "link-relative": partial(_part, "data", b"../../secret", LINK),
    "link-to-itself": partial(_part, "loop", b"loop", LINK),
    "link-from-a-dos-system": partial(_part, "data", b"/etc/passwd", LINK, DOS),
    "link-as-script": lambda: build(Part(name="main.py", data=b"/etc/passwd", mode=LINK)),
    "link-as-folder": lambda: build(script(), Part(name="out/", data=b"", mode=LINK)),
    "through-a-link": lambda: build(
        script(), Part(name="out", data=b"/tmp", mode=LINK), Part(name="out/evil.py", data=b"x")
    ),
    "fifo": partial(_part, "pipe", b"", stat.S_IFIFO | 0o644),
    "character-device": partial(_part, "null", b"", stat.S_IFCHR | 0o666),
    "block-device": partial(_part, "disk", b"", stat.S_IFBLK | 0o666),
    "socket": partial(_part, "sock", b"", stat.S_IFSOCK | 0o666),
    "unknown-kind": partial(_part, "what", b"", 0o160000 | 0o644),
    "folder-without-slash": partial(_part, "folder", b"", stat.S_IFDIR | 0o755),
    "folder-with-contents": partial(_part, "folder/", b"contents", stat.S_IFDIR | 0o755),
}
CASES = (
    *(Case(row="Z5", name=key, build=make, verdict="bad_archive") for key, make in REFUSED.items()),
    Case(
        row="Z5",
        name="setuid-is-dropped",
        build=partial(_part, "tool", HELLO, stat.S_IFREG | 0o6755),
        verdict="ok",
        files={"main.py": HELLO, "tool": HELLO},
    ),
    Case(
        row="Z5",
        name="world-writable-is-dropped",
        build=partial(_part, "data", HELLO, stat.S_IFREG | 0o1666),
        verdict="ok",
        files={"main.py": HELLO, "data": HELLO},
    ),
)
