"""The program's icon in the forms that systems want: `python installer/icons.py FOLDER` (with PySide6).

PNG in every size that desktops look for, one .ico for Windows, one .icns for macOS; all from app.svg.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QBuffer, QIODevice, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

SOURCE = Path(__file__).parents[1] / "resources" / "icons" / "app.svg"
SIZES = (16, 22, 24, 32, 48, 64, 128, 256, 512)
ICO_SIZES = (16, 24, 32, 48, 64, 128, 256)
ICNS_KINDS = {"icp4": 16, "icp5": 32, "icp6": 64, "ic07": 128, "ic08": 256, "ic09": 512}


def png(px: int) -> bytes:
    """The icon at this size."""
    image = QImage(px, px, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(str(SOURCE)).render(painter)
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]
    return bytes(buffer.data().data())


def ico(pictures: dict[int, bytes]) -> bytes:
    """One file with all sizes: a table of them, then the pictures as they are."""
    head, body = struct.pack("<HHH", 0, 1, len(pictures)), b""
    at = len(head) + 16 * len(pictures)
    for px, picture in pictures.items():
        head += struct.pack("<BBBBHHII", px % 256, px % 256, 0, 0, 1, 32, len(picture), at + len(body))
        body += picture
    return head + body


def icns(pictures: dict[str, bytes]) -> bytes:
    """The same for macOS: each picture behind its kind and length."""
    body = b"".join(
        kind.encode() + struct.pack(">I", len(picture) + 8) + picture for kind, picture in pictures.items()
    )
    return b"icns" + struct.pack(">I", len(body) + 8) + body


def main(folder: Path) -> None:
    application = QGuiApplication([])
    folder.mkdir(parents=True, exist_ok=True)
    for px in SIZES:
        (folder / f"{px}.png").write_bytes(png(px))
    (folder / "app.ico").write_bytes(ico({px: png(px) for px in ICO_SIZES}))
    (folder / "app.icns").write_bytes(icns({kind: png(px) for kind, px in ICNS_KINDS.items()}))
    del application


if __name__ == "__main__":
    main(Path(sys.argv[1]))
