"""Where the engine listens: DOCKER_HOST, the Docker context, or the platform's usual socket. Reads files.

A Podman socket that is named there works as well. Counterpart: `engine`, which talks to what is found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TLS_NAMES = ("ca.pem", "cert.pem", "key.pem")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One engine's address. `tls` is the folder with ca.pem, cert.pem and key.pem."""

    url: str
    source: str  # for people: where the address was found
    tls: Path | None = None

    @property
    def socket(self) -> Path | None:
        """The socket's path, where it is a Unix socket."""
        return Path(self.url.removeprefix("unix://")) if self.url.startswith("unix://") else None


def find_endpoint(environment: Mapping[str, str], home: Path, platform: str) -> Endpoint:
    """The engine that `docker` on the command line would talk to."""
    if host := environment.get("DOCKER_HOST", "").strip():
        verify = environment.get("DOCKER_TLS_VERIFY", "")
        certificates = Path(environment.get("DOCKER_CERT_PATH") or home / ".docker")
        return Endpoint(url=host, source="DOCKER_HOST", tls=certificates if verify else None)
    config = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    name = environment.get("DOCKER_CONTEXT", "").strip() or _current_context(config)
    if name and name != "default" and (found := _of_context(config, name)):
        return found
    return Endpoint(url=_usual(environment, home, platform), source="the usual place")


def _current_context(config: Path) -> str:
    return str(_read(config / "config.json").get("currentContext") or "")


def _of_context(config: Path, name: str) -> Endpoint | None:
    digest = hashlib.sha256(name.encode()).hexdigest()
    endpoints = _read(config / "contexts" / "meta" / digest / "meta.json").get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    host = docker.get("Host") if isinstance(docker, dict) else None
    if not isinstance(host, str) or not host:
        return None
    tls = config / "contexts" / "tls" / digest / "docker"
    return Endpoint(url=host, source=f"Docker context {name}", tls=tls if tls.is_dir() else None)


def _read(path: Path) -> dict[str, object]:
    """A JSON object, or nothing where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _usual(environment: Mapping[str, str], home: Path, platform: str) -> str:
    if platform == "win32":
        return "npipe:////./pipe/docker_engine"
    sockets = [
        Path("/var/run/docker.sock"),
        home / ".docker/run/docker.sock",
        home / ".docker/desktop/docker.sock",
    ]
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        sockets.append(Path(runtime) / "docker.sock")  # an engine without root
    return f"unix://{next((path for path in sockets if _is_there(path)), sockets[0])}"


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True  # not ours to look at: the engine's own answer will say so
