"""The version as Windows shows it; the number itself stands in the package alone."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def version() -> str:
    """Of the program, as its package says it."""
    text = (ROOT / "app" / "hivemind_worker" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "([^"]+)"', text)
    assert found is not None
    return found[1]


def windows_version():
    """The resource for the executables of Windows."""
    from PyInstaller.utils.win32.versioninfo import (  # noqa: PLC0415 - there on Windows alone
        FixedFileInfo,
        StringFileInfo,
        StringStruct,
        StringTable,
        VarFileInfo,
        VarStruct,
        VSVersionInfo,
    )

    numbers = tuple(int(part) for part in [*version().split("."), "0", "0", "0"][:4])
    texts = {
        "CompanyName": "HiveMind Worker contributors",
        "FileDescription": "HiveMind Worker",
        "FileVersion": version(),
        "InternalName": "hivemind-worker",
        "LegalCopyright": "Apache-2.0",
        "OriginalFilename": "hivemind-worker.exe",
        "ProductName": "HiveMind Worker",
        "ProductVersion": version(),
    }
    table = StringTable("040904B0", [StringStruct(name, text) for name, text in texts.items()])
    return VSVersionInfo(
        ffi=FixedFileInfo(filevers=numbers, prodvers=numbers),
        kids=[StringFileInfo([table]), VarFileInfo([VarStruct("Translation", [0x409, 1200])])],
    )
