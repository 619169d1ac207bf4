"""Which names may stand in an archive. Pure: looks at text alone, touches no disk.

The rules are those of the strictest system, on every system, so that a task that works on one
worker works on all (Windows devices, streams and trailing dots; case and Unicode form folded).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from hivemind_worker.runtimes.workspace.limits import Limits
from hivemind_worker.runtimes.workspace.refusals import too_big, unsafe

# Control characters, line separators, and the marks that turn the direction of the text after them.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
NOT_ON_WINDOWS = re.compile(r'[<>:"|?*]')
DEVICES = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE | re.DOTALL
)


def fold(name: str) -> str:
    """The form in which two names are compared: without case and without Unicode form."""
    if name.isascii():
        return name.lower()
    decomposed = unicodedata.normalize("NFD", name)
    return unicodedata.normalize("NFD", decomposed.casefold())


def fault_of(component: str, limits: Limits) -> str | None:
    """Why this part of a path may not be used; None when it may."""
    if component in ("", ".", ".."):
        return "leads out of its folder or is not a plain path"
    if "\\" in component:
        return "has a backslash"
    if CONTROLS.search(component):
        return "has a control character"
    if len(component.encode()) > limits.component_bytes:
        return f"has a part longer than {limits.component_bytes} bytes"
    return _portable_fault(component) if limits.portable_names else None


def _portable_fault(component: str) -> str | None:
    if found := NOT_ON_WINDOWS.search(component):
        return f"has {found.group()} in it, which Windows does not allow"
    if component[-1] in ". ":
        return "has a part that ends in a dot or a space"
    if DEVICES.fullmatch(component):
        return "is the name of a device on Windows"
    # Full-width dots become plain ones when a system or a tool normalises names.
    if not component.isascii() and unicodedata.normalize("NFKC", component) in (".", ".."):
        return "is made of dots"
    return None


class NameBook:
    """The names of one archive; refuses what cannot live side by side."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._spellings: dict[bytes, tuple[str, bool]] = {}
        self._explicit: set[bytes] = set()
        self._folders: set[str] = set()

    def add(self, name: str, *, is_folder: bool) -> None:
        """Enter a member (a folder without its last slash).

        Raises:
            ArchiveError: UNSAFE_NAME, or TOO_BIG when the names imply too many folders.
        """
        parts = name.split("/")
        self._check_length(name, len(parts))
        if fault := fault_of(parts[-1], self._limits):
            raise unsafe(name, "is absolute" if name.startswith("/") else fault)
        self._add_folders(name, parts[:-1])
        self._claim(name, is_folder=is_folder)
        if is_folder:
            self._count_folder(name)
        key = self._key(name)
        if key in self._explicit:
            raise unsafe(name, "is there twice")
        self._explicit.add(key)

    def _check_length(self, name: str, depth: int) -> None:
        if len(name.encode("utf-8", "surrogatepass")) > self._limits.path_bytes:
            raise unsafe(name, f"is longer than {self._limits.path_bytes} bytes")
        if depth > self._limits.depth:
            raise unsafe(name, f"is more than {self._limits.depth} folders deep")

    def _add_folders(self, name: str, parts: list[str]) -> None:
        if "/".join(parts) in self._folders:
            return
        path = ""
        for part in parts:
            if fault := fault_of(part, self._limits):
                raise unsafe(name, "is absolute" if name.startswith("/") else fault)
            path = f"{path}/{part}" if path else part
            self._claim(path, is_folder=True)
            self._count_folder(path)

    def _claim(self, path: str, *, is_folder: bool) -> None:
        known, known_folder = self._spellings.setdefault(self._key(path), (path, is_folder))
        if known != path:
            raise unsafe(path, f"is the same as {known!a} on some systems")
        if known_folder != is_folder:
            raise unsafe(path, "is a file and a folder")

    def _count_folder(self, path: str) -> None:
        self._folders.add(path)
        if len(self._folders) > self._limits.folders:
            raise too_big(f"more than {self._limits.folders} folders")

    def _key(self, path: str) -> bytes:
        # A digest, since 10,000 folded names of full length would be half of the memory that there is.
        text = fold(path) if self._limits.portable_names else path
        return hashlib.blake2b(text.encode(), digest_size=16).digest()
