"""What the owner's settings say about tasks in Docker."""

from __future__ import annotations

from hivemind_worker.model.settings import Settings
from hivemind_worker.runtimes.docker.images import ImageRules
from hivemind_worker.runtimes.docker.networks import NetworkPolicy
from hivemind_worker.runtimes.docker.runtime import DockerRules

GIB, MIB = 1024**3, 1024**2


def docker_rules(settings: Settings) -> DockerRules:
    """As the runtime takes it. Only where Docker was chosen is an image fetched without being asked for."""
    allowed = tuple(name.strip() for name in settings.allowed_images.split(",") if name.strip())
    image = ImageRules(
        name=settings.task_image, allowed=allowed, quota_bytes=int(settings.image_quota_gb * GIB),
        pulls=settings.pull_images and settings.runtime == "docker",
        floor_bytes=int(settings.keep_free_gb * GIB),
    )  # fmt: skip
    return DockerRules(
        image=image, network=settings.docker_network, policy=NetworkPolicy(settings.task_network),
        package_index=settings.package_index, package_quota_bytes=int(settings.package_quota_gb * GIB),
        pids=settings.task_processes, log_bytes=int(settings.docker_log_mb * MIB),
    )  # fmt: skip
