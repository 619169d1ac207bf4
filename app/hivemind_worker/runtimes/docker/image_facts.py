"""What a task image is, and what is in it: its labels say so, or the image itself is asked once.

Blocking calls, for a thread. What an image answered is kept by its digest. Counterparts:
`images` (getting one), `image_build` (making one).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.owned_file import write_owned
from hivemind_worker.runtimes.docker.side_containers import closed_host, who_works

if TYPE_CHECKING:
    from docker import APIClient

LABEL_IMAGE = "io.hivemind.task-image"
LABEL_PACKAGES = "io.hivemind.packages"
LABEL_PYTHON = "io.hivemind.python"
LABEL_MADE_FROM = "io.hivemind.made-from"
LABEL_LAYERS = "io.hivemind.layers"
"""How many layers the image had when it was labelled: one made from it has more, and is asked itself."""

LABEL_LOOK = "io.hivemind.look"
ASK_LIMIT_S = 60

# Prints one line: what is there. Runs in the image, with no network and no right.
TELL = """
import importlib.metadata, json, platform
found = {}
for package in importlib.metadata.distributions():
    name = package.metadata["Name"]
    if name:
        found.setdefault(name.lower().replace("_", "-").replace(".", "-"), package.version)
print(json.dumps({"python": platform.python_version(), "packages": found}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """The image that tasks run in: what is in it decides what must be installed."""

    name: str
    digest: str  # the image's own id: containers are made from this, never from the name
    platform: str  # e.g. linux/amd64
    python: str
    packages: Mapping[str, str]  # normal name to version
    size_bytes: int = 0
    source_digest: str = ""  # under which its registry has it

    @property
    def version(self) -> str:
        """What is recorded with a task: exactly which image it was."""
        return f"{self.name.partition('@')[0]}@{self.source_digest or self.digest}"


def inspect(api: APIClient, name: str) -> Mapping[str, Any] | None:
    """What the engine says of an image that is here; None when it is not."""
    from docker.errors import ImageNotFound  # noqa: PLC0415 - the SDK is there when a client is

    try:
        return dict(cast(Any, api).inspect_image(name))
    except ImageNotFound:
        return None


def facts_of(api: APIClient, name: str, image: Mapping[str, Any], kept: Path) -> ImageFacts | Problem:
    """All that matters of an inspected image; the first time it may be asked itself, which takes a second.

    Raises:
        docker.errors.DockerException: the engine.
    """
    inside = _labelled(image) or _kept(kept, image["Id"]) or _asked(api, name, image["Id"])
    if isinstance(inside, Problem):
        return inside
    _keep(kept, image["Id"], inside)
    sources = [str(source).partition("@")[2] for source in image.get("RepoDigests") or ()]
    return ImageFacts(
        name=name, digest=str(image["Id"]), platform=f"{image.get('Os')}/{image.get('Architecture')}",
        size_bytes=int(image.get("Size") or 0), source_digest=sources[0] if sources else "",
        python=inside.python, packages=inside.packages,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inside:
    python: str
    packages: Mapping[str, str]


def _labelled(image: Mapping[str, Any]) -> _Inside | None:
    labels = (image.get("Config") or {}).get("Labels") or {}
    if labels.get(LABEL_LAYERS) != str(layers_of(image)) or LABEL_PACKAGES not in labels:
        return None
    pairs = (entry.partition("==") for entry in labels[LABEL_PACKAGES].split(",") if entry)
    return _Inside(
        python=str(labels.get(LABEL_PYTHON, "")), packages={name: version for name, _, version in pairs}
    )


def layers_of(image: Mapping[str, Any]) -> int:
    """How many layers an inspected image has."""
    return len((image.get("RootFS") or {}).get("Layers") or ())


def _file(kept: Path, digest: str) -> Path:
    return kept / f"{digest.rpartition(':')[2]}.json"


def _kept(kept: Path, digest: str) -> _Inside | None:
    try:
        return _read(json.loads(_file(kept, digest).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _keep(kept: Path, digest: str, inside: _Inside) -> None:
    file = _file(kept, digest)
    if not file.exists():
        try:
            kept.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_owned(file, json.dumps(asdict(inside)).encode())
        except OSError:
            return  # it is asked again next time


def _read(untrusted: object) -> _Inside:
    """Raises ValueError: it is not what TELL prints."""
    if not isinstance(untrusted, dict) or not isinstance(untrusted.get("packages"), dict):
        raise ValueError("not what was asked for")
    packages = {str(name)[:200]: str(version)[:100] for name, version in untrusted["packages"].items()}
    return _Inside(python=str(untrusted.get("python", ""))[:40], packages=packages)


def _asked(api: APIClient, name: str, digest: str) -> _Inside | Problem:
    container = f"hivemind-look-{secrets.token_hex(6)}"
    try:
        made = api.create_container(
            digest, ["python3", "-c", TELL], name=container, user=who_works(), entrypoint=[],
            working_dir="/", labels={LABEL_LOOK: "1"}, host_config=closed_host(api),
        )["Id"]  # fmt: skip
        said = _run(api, made)
    finally:
        _remove(api, container)
    try:
        return _read(json.loads(said.splitlines()[-1] if said else ""))
    except ValueError:
        about = f"{name} does not run Python ({said[-160:].strip()!a})"
        return Problem(code=FaultCode.IMAGE_MISSING, about=about)


def _run(api: APIClient, container: str) -> str:
    from docker.errors import APIError  # noqa: PLC0415 - the SDK is there when a client is

    try:
        api.start(container)
        api.wait(container, timeout=ASK_LIMIT_S)
    except APIError as error:  # no such program in the image
        return str(error.explanation or error)
    return api.logs(container, stdout=True, stderr=True).decode("utf-8", "replace").strip()


def _remove(api: APIClient, container: str) -> None:
    from docker.errors import NotFound  # noqa: PLC0415 - the SDK is there when a client is

    try:
        api.remove_container(container, force=True, v=True)
    except NotFound:
        return
