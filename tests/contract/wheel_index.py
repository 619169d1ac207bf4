"""A package index of the tests' own: wheels made here, served as pip expects them."""

from __future__ import annotations

import hashlib
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path

SERVE = """
import http.server, sys, time
class Index(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if "slow" in self.path:
            time.sleep(30)
        super().do_GET()
    def log_message(self, *words):
        with open(sys.argv[3], "a") as log:
            log.write(self.path + "\\n")
where = (sys.argv[1], int(sys.argv[2]))
door = http.server.ThreadingHTTPServer(where, lambda *a: Index(*a, directory=sys.argv[4]))
print("ready", flush=True)
door.serve_forever()
"""


def make_wheel(folder: Path, name: str, version: str = "1.0", needs: str = "", source: str = "") -> Path:
    """A wheel with one module that knows its version; listed in the index in `folder`."""
    shelf = folder / "simple" / name.replace("_", "-")
    shelf.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}/__init__.py": source or f"VERSION = {version!r}\n",
        f"{info}/METADATA": metadata + (f"Requires-Dist: {needs}\n" if needs else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"])
    wheel = shelf / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    list_files(shelf)
    return wheel


def list_files(shelf: Path) -> None:
    """The page of one package."""
    links = [f'<a href="{path.name}">{path.name}</a>' for path in shelf.iterdir() if path.suffix != ".html"]
    (shelf / "index.html").write_text("<!DOCTYPE html><html><body>" + "".join(links) + "</body></html>")


def _digest(text: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
