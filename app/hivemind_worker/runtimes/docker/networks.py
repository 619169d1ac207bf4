"""Which network a container gets: none, or the worker's own bridge behind its packet rules.

Owns the bridge that DOCKER_NETWORK names. A task under the policy "none" never joins it. Blocking
calls, for a thread. Counterpart: `firewall` (the rules), `packages` (the step that installs).
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import docker
import docker.errors
import requests.exceptions

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.runtimes.docker.firewall import Firewall

LABEL = "io.hivemind.network"
NO_NETWORK = "none"
OPTION_ICC = "com.docker.network.bridge.enable_icc"
OPTION_NAME = "com.docker.network.bridge.name"


class NetworkPolicy(StrEnum):
    """What the owner grants tasks."""

    NONE = "none"
    PACKAGES = "packages"  # the step that installs a requirements.txt has a network, the task none
    INTERNET = "internet"  # tasks reach the internet, and nothing of the owner's


class TaskNetwork:
    """The bridge named `name`, made when it is missing. Use from any thread, with that thread's client."""

    def __init__(self, name: str, make_firewall: Callable[[str], Firewall] = Firewall) -> None:
        self.name = name
        self._make_firewall = make_firewall
        self._lock = threading.Lock()
        self._firewall: Firewall | None = None
        self.is_used = False

    def mode_for(self, api: docker.APIClient, policy: NetworkPolicy) -> str | Problem:
        """The network of a task's own container, ready for use. Call it before each start.

        "none" but for open internet, which is a problem wherever its rules cannot be set.
        """
        if policy is not NetworkPolicy.INTERNET:
            return NO_NETWORK
        return self._ready(api, must_be_walled=True)

    def mode_for_install(self, api: docker.APIClient) -> str | Problem:
        """The network of the container that installs packages; walled wherever that is possible.

        Where it is not, pip alone runs there, from the owner's index, and no code of the task.
        """
        return self._ready(api, must_be_walled=False)

    def why_not_internet(self, api: docker.APIClient) -> str:
        """Why open internet is not offered on this computer, "" when it is."""
        if platform.system() != "Linux":
            return "its rules can be set on Linux only"
        if not api.base_url.startswith("http+docker://"):
            return "the engine is on another computer"
        try:
            told = api.info()
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            return f"the engine does not answer: {error}"
        if "Docker Desktop" in str(told.get("OperatingSystem")):
            return "the engine runs in a virtual machine of its own"
        if any("rootless" in str(option) for option in told.get("SecurityOptions") or ()):
            return "the engine has no rights over packet rules"
        return self._make_firewall("hm-look").is_possible()

    def _ready(self, api: docker.APIClient, *, must_be_walled: bool) -> str | Problem:
        with self._lock:
            try:
                self.is_used = True
                bridge = self._bridge(api)
                if isinstance(bridge, Problem):
                    return bridge
                refused = self._wall(api, bridge)
            except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
                return Problem(code=FaultCode.SANDBOX_FAILED, about=f"network {self.name}: {error}")
        if refused and must_be_walled:
            return _not_offered(refused)
        return self.name

    def policy_problem(self, api: docker.APIClient, policy: NetworkPolicy) -> Problem | None:
        """Why tasks cannot be held to this policy here; None when they can. Makes nothing."""
        refused = self.why_not_internet(api) if policy is NetworkPolicy.INTERNET else ""
        return _not_offered(refused) if refused else None

    def _wall(self, api: docker.APIClient, bridge: str) -> str:
        """Raise the rules around the bridge; why not, when that cannot be done."""
        self._firewall = self._make_firewall(bridge)
        return self.why_not_internet(api) or self._firewall.raise_up()

    def _bridge(self, api: docker.APIClient) -> str | Problem:
        """The interface of the bridge on this computer."""
        try:
            network = api.inspect_network(self.name)
        except docker.errors.NotFound:
            network = self._make(api)
        if network.get("Driver") != "bridge":
            about = f"DOCKER_NETWORK (setting docker_network): {self.name} is no bridge"
            return Problem(code=FaultCode.BAD_SETTING, about=about)
        given = (network.get("Options") or {}).get(OPTION_NAME)
        return str(given or f"br-{network['Id'][:12]}")

    def _make(self, api: docker.APIClient) -> dict[str, Any]:
        short = hashlib.sha256(self.name.encode()).hexdigest()[:10]
        api.create_network(
            self.name, driver="bridge", enable_ipv6=False, labels={LABEL: "1"},
            options={OPTION_ICC: "false", OPTION_NAME: f"hm-{short}"},
        )  # fmt: skip
        return dict(api.inspect_network(self.name))

    def remove(self, api: docker.APIClient) -> None:
        """Take rules and bridge away; both stay while anybody is on it, maybe another worker's task."""
        trouble = (docker.errors.DockerException, requests.exceptions.RequestException)
        with self._lock, contextlib.suppress(*trouble):
            network = api.inspect_network(self.name)
            if network.get("Containers"):
                return
            if self._firewall is not None:
                self._firewall.take_down()
                self._firewall = None
            if (network.get("Labels") or {}).get(LABEL):
                api.remove_network(self.name)


def _not_offered(reason: str) -> Problem:
    about = f"task_network: open internet is not offered here, since its rules cannot be set ({reason})"
    return Problem(code=FaultCode.BAD_SETTING, about=about)
