"""Makes a task image on this computer: from Debian packages, or from the Dockerfile shipped with the program.

Both ways end the same: a first, closed container of the new image compiles its modules and
tells its versions, which become the image's labels. Blocking calls, for a thread or a command.
Counterpart: `debian_root` (the packages), resources/task-image (the Dockerfile).
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions

from hivemind_worker import places
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.runtimes.docker import debian_root
from hivemind_worker.runtimes.docker.image_facts import (
    LABEL_IMAGE,
    LABEL_LAYERS,
    LABEL_MADE_FROM,
    LABEL_PACKAGES,
    LABEL_PYTHON,
    TELL,
    inspect,
    layers_of,
)
from hivemind_worker.runtimes.docker.image_names import LOCAL_IMAGE
from hivemind_worker.runtimes.docker.pulls import name_and_tag
from hivemind_worker.runtimes.docker.side_containers import closed_host

Progress = Callable[[float, str], None]

WORKDIR = "/app/task"
USER = "1000:1000"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "MPLBACKEND": "Agg",
}

FINISH_LIMIT_S = 600
PIECE_BYTES = 1 << 20
ROOM_BYTES = {"debian": 1 << 30, "scientific": 4 << 30}

# Runs as root inside the new image, with no network: modules that are compiled now start faster
# in every task, since a task's own file system is read-only. Then it says what is there.
FINISH = """
import compileall, glob, importlib, json, sys
for folder in glob.glob("/usr/lib/python3*") + glob.glob("/usr/local/lib/python3*"):
    compileall.compile_dir(folder, quiet=2, workers=0)
broken = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        broken[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[-1:]}"
print(json.dumps({"broken": broken}))
"""
SCIENTIFIC_MODULES = ("numpy", "pandas", "matplotlib", "PIL", "sklearn", "requests")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskImage:
    """One image that can run tasks, as its labels say."""

    name: str
    digest: str
    size_bytes: int
    python: str
    packages: tuple[str, ...]  # name==version, sorted
    made_from: str

    def as_json(self) -> dict[str, object]:
        """The image by its names in the command's output."""
        return {
            "image": self.name, "id": self.digest, "size_bytes": self.size_bytes, "python": self.python,
            "packages": list(self.packages), "made_from": self.made_from,
        }  # fmt: skip


def build(
    api: docker.APIClient,
    *,
    scientific: bool,
    source: str = "auto",
    base: str = "",
    tag: str = LOCAL_IMAGE,
    progress: Progress,
) -> TaskImage | Problem:
    """Make the image `tag`. `source`: debian, dockerfile, or auto (debian where its tools are).

    `base` replaces the first image of the Dockerfile, for computers that have another one.
    Blocks for half a minute (some minutes with `scientific`); whatever was laid on disk is removed.
    """
    try:
        if source == "debian" or (source == "auto" and debian_root.can_make() and not base):
            return _from_debian(api, scientific, tag, progress)
        return _from_dockerfile(api, scientific, base, tag, progress)
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        return Problem(code=FaultCode.SANDBOX_FAILED, about=f"the container engine: {_reason(error)}")
    except OSError as error:
        return Problem(code=FaultCode.DISK_FULL, about=f"{error.filename or 'no room'}: {error.strerror}")


def _reason(error: Exception) -> str:
    text = getattr(error, "explanation", None) or str(error)
    return " ".join(str(text).split())[:300]


def _from_debian(
    api: docker.APIClient, scientific: bool, tag: str, progress: Progress
) -> TaskImage | Problem:
    if not debian_root.can_make():
        missing = "apt-get and dpkg-deb are not on this computer"
        return Problem(code=FaultCode.SANDBOX_FAILED, about=missing)
    packages = debian_root.PLAIN + (debian_root.SCIENTIFIC if scientific else ())
    needed = ROOM_BYTES["scientific" if scientific else "debian"]
    with _scratch(needed) as folder:
        if isinstance(folder, Problem):
            return folder
        root = debian_root.make_root_tar(packages, folder, _part(progress, 0.0, 0.6))
        if isinstance(root, Problem):
            return root
        progress(0.6, "Handing it to the engine")
        raw = f"hivemind-worker-task:raw-{secrets.token_hex(4)}"
        repository, _, word = raw.partition(":")
        with root.open("rb") as content:
            # In pieces: a file would be announced with its length and sent without it.
            pieces = iter(partial(content.read, PIECE_BYTES), b"")
            answer = api.import_image_from_stream(pieces, repository=repository, tag=word)
    refused = _refusal(str(answer))
    if refused is not None:
        return refused
    modules = SCIENTIFIC_MODULES if scientific else ()
    return _finish(api, raw, tag, modules, made_from="debian packages", progress=progress)


@contextlib.contextmanager
def _scratch(needed_bytes: int) -> Iterator[Path | Problem]:
    """A folder of our own with room for the packages, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="hivemind-image-") as folder:
        free = shutil.disk_usage(folder).free
        if free < needed_bytes:
            about = f"{free / 2**30:.1f} GiB free where temporary files go, {needed_bytes / 2**30:.0f} needed"
            yield Problem(code=FaultCode.DISK_FULL, about=about)
        else:
            yield Path(folder)


def _part(progress: Progress, low: float, high: float) -> Progress:
    return lambda share, text: progress(low + (high - low) * share, text)


def _refusal(answer: str) -> Problem | None:
    for line in answer.splitlines():
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            if isinstance(said, dict) and "error" in said:
                return Problem(code=FaultCode.SANDBOX_FAILED, about=f"the engine: {said['error']}")
    return None


def _from_dockerfile(
    api: docker.APIClient, scientific: bool, base: str, tag: str, progress: Progress
) -> TaskImage | Problem:
    """The shipped Dockerfile; its first image is pulled where it is not there."""
    raw = f"hivemind-worker-task:raw-{secrets.token_hex(4)}"
    arguments = {"SCIENTIFIC": "1" if scientific else ""} | ({"BASE": base} if base else {})
    progress(0.0, "Building from the Dockerfile")
    lines = api.build(
        path=str(places.resources() / "task-image"), tag=raw, rm=True, forcerm=True, decode=True,
        buildargs=arguments,
    )  # fmt: skip
    problem = _follow_build(lines, _part(progress, 0.0, 0.6))
    if problem is not None:
        return problem
    modules = SCIENTIFIC_MODULES if scientific else ()
    return _finish(api, raw, tag, modules, made_from="dockerfile", progress=progress)


def _follow_build(lines: Iterable[Mapping[str, Any]], progress: Progress) -> Problem | None:
    for line in lines:
        if "error" in line:
            about = " ".join(str(line["error"]).split())[:300]
            return Problem(
                code=FaultCode.SANDBOX_FAILED,
                about=f"the image could not be built here ({about}); its first image must be pulled, "
                "which needs a registry, or Debian's own tools",
            )
        text = str(line.get("stream", "")).strip()
        done, _, steps = text.removeprefix("Step ").partition(" ")[0].partition("/")
        if text.startswith("Step ") and done.isdigit() and steps.isdigit():
            progress(int(done) / int(steps), "Building from the Dockerfile")
    return None


def _finish(
    api: docker.APIClient, raw: str, tag: str, modules: tuple[str, ...], *, made_from: str, progress: Progress
) -> TaskImage | Problem:
    """Compile, ask for versions, label: `raw` becomes `tag` and its own name goes."""
    progress(0.7, "Compiling its modules")
    before = inspect(api, tag)
    # As root, since what is compiled goes into the image; with no right and no network all the same.
    container = api.create_container(
        raw, ["python3", "-c", FINISH + TELL, *modules], user="0:0",
        environment={"PATH": ENVIRONMENT["PATH"]}, working_dir="/", entrypoint=[],
        labels={"io.hivemind.build": "1"},
        host_config=closed_host(api, read_only=False, init=False, ulimits=[]),
    )["Id"]  # fmt: skip
    try:
        api.start(container)
        code = api.wait(container, timeout=FINISH_LIMIT_S)["StatusCode"]
        said = api.logs(container, stdout=True, stderr=False).decode("utf-8", "replace").strip()
        facts = _facts(said, code)
        if isinstance(facts, Problem):
            return facts
        progress(0.9, "Labelling")
        repository, word = name_and_tag(tag)
        layers = layers_of(inspect(api, raw) or {}) + 1
        api.commit(container, repository=repository, tag=word, changes=_changes(facts, made_from, layers))
    finally:
        api.remove_container(container, force=True, v=True)
        with contextlib.suppress(docker.errors.APIError):
            api.remove_image(raw, noprune=True)
    if before is not None and not (inspect(api, before["Id"]) or {}).get("RepoTags"):
        with contextlib.suppress(docker.errors.APIError):  # a task still runs in it
            api.remove_image(before["Id"])
    progress(1.0, "Done")
    return _described(inspect(api, tag) or {}, tag)


def _facts(said: str, code: int) -> Mapping[str, Any] | Problem:
    facts: dict[str, Any] = {}
    for line in said.splitlines()[-2:]:
        with contextlib.suppress(ValueError):
            facts |= json.loads(line)
    if code != 0 or not {"packages", "broken"} <= facts.keys():
        about = f"the new image does not run Python ({said[-200:]!a})"
        return Problem(code=FaultCode.SANDBOX_FAILED, about=about)
    if facts["broken"]:
        name, reason = next(iter(facts["broken"].items()))
        return Problem(code=FaultCode.SANDBOX_FAILED, about=f"the new image cannot load {name} ({reason})")
    return facts


def _changes(facts: Mapping[str, Any], made_from: str, layers: int) -> str:
    """The image's settings and labels, as instructions of a Dockerfile."""
    packages = ",".join(f"{name}=={version}" for name, version in sorted(facts["packages"].items()))
    labels = {
        LABEL_IMAGE: "1", LABEL_PYTHON: facts["python"], LABEL_PACKAGES: packages, LABEL_MADE_FROM: made_from,
        LABEL_LAYERS: str(layers),
    }  # fmt: skip
    lines = [f"ENV {name}={json.dumps(value)}" for name, value in ENVIRONMENT.items()]
    lines += [f"LABEL {name}={json.dumps(value)}" for name, value in labels.items()]
    return "\n".join([*lines, f"WORKDIR {WORKDIR}", f"USER {USER}", "ENTRYPOINT []", 'CMD ["python3"]'])


def _described(image: Mapping[str, Any], name: str) -> TaskImage:
    labels = image["Config"].get("Labels") or {}
    packages = labels.get(LABEL_PACKAGES, "")
    return TaskImage(
        name=name, digest=image["Id"], size_bytes=image["Size"], python=labels.get(LABEL_PYTHON, ""),
        packages=tuple(sorted(filter(None, packages.split(",")))),
        made_from=labels.get(LABEL_MADE_FROM, ""),
    )  # fmt: skip


def list_images(api: docker.APIClient, *also: str) -> tuple[TaskImage, ...] | Problem:
    """Task images that are here: those with our label, and those named in `also` when they are there."""
    try:
        found = {
            name: str(image["Id"])
            for image in api.images(filters={"label": f"{LABEL_IMAGE}=1"})
            for name in (image.get("RepoTags") or [image["Id"][7:19]])
        }
        for name in also:
            if (image := inspect(api, name)) is not None:
                found.setdefault(name, image["Id"])
        return tuple(_described(inspect(api, digest) or {}, name) for name, digest in sorted(found.items()))
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        return Problem(code=FaultCode.SANDBOX_FAILED, about=f"the container engine: {_reason(error)}")
