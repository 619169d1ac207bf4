"""From an order to a container that waits for its start: image, packages, network, the list of rules.

Counterpart: `run`, which starts it and sees it through.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Phase, Problem
from hivemind_worker.model.traffic import Moved, uncounted
from hivemind_worker.model.work import PullProgress, RunOrder
from hivemind_worker.nursery import NamedThread
from hivemind_worker.runtimes.docker import owners
from hivemind_worker.runtimes.docker.containers import Containers, name_of
from hivemind_worker.runtimes.docker.engine import Engine, EngineError
from hivemind_worker.runtimes.docker.hardening import Rule, Surroundings, message, rules_for
from hivemind_worker.runtimes.docker.image_facts import ImageFacts
from hivemind_worker.runtimes.docker.images import ImageShelf
from hivemind_worker.runtimes.docker.networks import NetworkPolicy, TaskNetwork
from hivemind_worker.runtimes.docker.outside import OUTSIDE
from hivemind_worker.runtimes.docker.packages import PACKAGES_PLACE, Packages, PackageShelf
from hivemind_worker.runtimes.docker.requirement_lines import wanted_lines

if TYPE_CHECKING:
    from hivemind_worker.engine.ports import PreparingSink

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelter:
    """What the runs of one runtime share."""

    engine: Engine
    containers: Containers
    images: ImageShelf
    packages: PackageShelf
    network: TaskNetwork
    policy: NetworkPolicy
    files: NamedThread
    listeners: NamedThread
    labels: Mapping[str, str]
    seccomp: str
    log_driver: str
    log_bytes: int
    pids: int
    moved: Moved = uncounted


class Launch:
    """One container being made. `attach` is called with its id as soon as it is there."""

    def __init__(self, order: RunOrder, shelter: Shelter, attach: Callable[[str], Awaitable[None]]) -> None:
        self.container = ""
        self.name = ""
        self.rules: tuple[Rule, ...] = ()
        self.image: ImageFacts | None = None
        self.may_have_left = False  # a container was asked for, and the answer is not known
        self._order, self._shelter, self._attach = order, shelter, attach
        self._packages: Packages | None = None

    async def prepare(self, tell: Callable[[PullProgress], None] | None = None) -> Problem | None:
        """Make the container and listen to it; its program waits for `run`."""
        if self.image is None:
            image = await self._shelter.images.take(tell)
            if isinstance(image, Problem):
                return image
            self.image = image
        return await self._make()

    async def _make(self) -> Problem | None:
        try:
            around = await self._surroundings()
            if isinstance(around, Problem):
                return around
            self.rules = rules_for(self._order, around)
            name = name_of(self._order.key, self._order.attempt)
            self.may_have_left = True
            made = await self._shelter.containers.create(message(self.rules), name)
            (self.container, self.name), self.may_have_left = made, False
            await self._attach(self.container)
        except EngineError as error:
            return engine_problem(error)
        return None

    async def _surroundings(self) -> Surroundings | Problem:
        shelter, assured = self._shelter, self.image
        assert assured is not None
        network = "none"
        if shelter.policy is NetworkPolicy.INTERNET:
            found = await shelter.engine.call(lambda api: shelter.network.mode_for(api, shelter.policy))
            if isinstance(found, Problem):
                return found
            network = found
        facts = shelter.engine.facts
        uid, gid = owners.user_of_tasks(facts)
        around = Surroundings(
            image=assured.digest, user=f"{uid}:{gid}", seccomp=shelter.seccomp, labels=dict(shelter.labels),
            network=network, log_driver=shelter.log_driver, log_bytes=shelter.log_bytes, pids=shelter.pids,
            remapped=bool(facts and facts.remapped), selinux=bool(facts and facts.selinux),
        )  # fmt: skip
        if OUTSIDE.differs:
            around = replace(around, workspace=await self._outside(self._order.workspace))
        if self._packages is None:
            return around
        mode = "ro,z" if around.selinux else "ro"  # more than one task may have them
        bind = f"{await self._outside(self._packages.folder)}:{PACKAGES_PLACE}:{mode}"
        return replace(around, binds=(bind,), import_path=(PACKAGES_PLACE,))

    async def _outside(self, folder: Path) -> str:
        if not OUTSIDE.differs:
            return str(folder)
        return await self._shelter.engine.call(lambda api: OUTSIDE.name(api, folder))

    async def take_packages(self, preparing: PreparingSink | None) -> Problem | None:
        """What requirements.txt asks for beyond the image; then the container is made anew, with it."""
        lines = await self._shelter.files.call(_requirements, self._order.workspace)
        if not lines or self.image is None:
            return None
        if preparing is not None and wanted_lines(lines, self.image.packages, self.image.python):
            await preparing(Phase.INSTALLING, "requirements.txt")
        packages = await self._shelter.packages.fetch(lines, self.image)
        if packages is None or isinstance(packages, Problem):
            return packages
        self._packages = packages
        await self.drop()
        return await self._make()

    async def hand_over(self) -> None:
        """Make the workspace the task's."""
        user = owners.user_of_tasks(self._shelter.engine.facts)
        await self._shelter.files.call(owners.hand_over, self._order.workspace, user)

    async def give_back(self) -> None:
        """The program is dead: its files are the volunteer's again, image and packages are free."""
        await self._shelter.files.call(owners.take_back, self._order.workspace)
        if self._packages is not None:
            self._shelter.packages.give_back(self._packages)
        if self.image is not None:
            self._shelter.images.give_back(self.image)

    async def drop(self) -> bool:
        """Take the container away; False when the engine would not do it now."""
        try:
            if self.container:
                await self._shelter.containers.remove(self.container)
        except EngineError as error:
            log.warning("container %s is left for now: %s", self.name, error)
            return False
        self.container = ""
        return not self.may_have_left


def _requirements(workspace: Path) -> tuple[str, ...]:
    """Lines of the task's own file; it is checked where it is used."""
    path = workspace / "requirements.txt"
    if path.is_symlink() or not path.is_file() or path.stat().st_size > 1 << 20:
        return ()
    return tuple(path.read_text(encoding="utf-8", errors="replace").splitlines())


def engine_problem(error: EngineError) -> Problem:
    """What a task is told of trouble with the engine."""
    return Problem(code=FaultCode.SANDBOX_FAILED, about=f"Docker: {error}")
