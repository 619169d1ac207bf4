"""One look at Docker from outside a worker: is there an engine, and an image that tasks could run in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from hivemind_worker.model.task import Problem
from hivemind_worker.runtimes.docker.engine import Engine
from hivemind_worker.runtimes.docker.image_facts import ImageFacts
from hivemind_worker.runtimes.docker.images import ImageRules, ImageShelf
from hivemind_worker.runtimes.docker.runtime import engine_problem, usual_endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A ready engine with an image."""

    engine: str  # for people, e.g. "Docker 20.10.24"
    level: str  # how strong its walls are
    image: ImageFacts


async def look_at_docker(folder: Path, rules: ImageRules) -> Seen | Problem:
    """What a worker with these rules would find; fetches nothing. `folder` keeps what images answered."""
    engine = Engine(usual_endpoint)
    shelf = ImageShelf(engine, folder / "images", replace(rules, pulls=False))
    try:
        view = await engine.look()
        image = engine_problem(view) or await shelf.look()
        if isinstance(image, Problem):
            return image
        assert view.facts is not None  # a ready engine has them
        return Seen(engine=view.facts.title, level=view.facts.level, image=image)
    finally:
        await shelf.close()
        await engine.close()
