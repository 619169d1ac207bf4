"""Where things lie: HIVEMIND_HOME, or the platform's folders, and the files shipped with the program."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

APP_NAME = "HiveMind Worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The four folders of one worker. `portable` when HIVEMIND_HOME holds them all."""

    config: Path
    data: Path
    state: Path
    logs: Path
    portable: bool
    shared_sandbox: Path | None = None  # HIVEMIND_SANDBOX: several homes may share what is compiled once

    @property
    def settings_file(self) -> Path:
        return self.config / "settings.toml"

    @property
    def rules_file(self) -> Path:
        return self.config / "rules.toml"

    @property
    def journal(self) -> Path:
        return self.data / "journal.sqlite3"

    @property
    def spool(self) -> Path:
        """Archives of offers, by task key."""
        return self.data / "spool"

    @property
    def tasks(self) -> Path:
        """One folder a task, by task key: `workspace/` and `output.log`."""
        return self.data / "tasks"

    @property
    def results(self) -> Path:
        """Packed result archives, by task key."""
        return self.data / "results"

    @property
    def receipts(self) -> Path:
        """Signed receipts of ended tasks, by task key."""
        return self.data / "receipts"

    @property
    def node_key(self) -> Path:
        """The Ed25519 key that signs them, mode 0600."""
        return self.state / "node-key"

    @property
    def sandbox(self) -> Path:
        """Interpreter packs added later, and compiled modules."""
        return self.shared_sandbox or self.data / "sandbox"

    @property
    def score_file(self) -> Path:
        """The measured score of this computer, JSON."""
        return self.data / "score.json"

    @property
    def pool_credential(self) -> Path:
        """What lets this worker in to a pool that is asked, as `pool worker join` kept it, mode 0600."""
        return self.state / "pool-credential.json"

    @property
    def token_file(self) -> Path:
        """The local API's token, mode 0600."""
        return self.state / "api-token"

    @property
    def endpoint_file(self) -> Path:
        """Address of the running worker's local API, JSON, mode 0600."""
        return self.state / "endpoint.json"

    @property
    def lock_file(self) -> Path:
        return self.state / "worker.lock"

    def make(self) -> None:
        """Create all folders, private to the owner.

        Raises:
            OSError: a folder cannot be made or made private, is a link, or is somebody else's.
        """
        for folder in (
            self.config,
            self.data,
            self.state,
            self.logs,
            self.spool,
            self.tasks,
            self.results,
            self.sandbox,
        ):
            own_folder(folder)
        if self.portable:
            _shut(self.config.parent)


def _shut(home: Path) -> None:
    """Nobody else may move our folders away. A home may have been there before, for other things too: only
    the right to write in it is taken from others, and a shared one like /tmp has a sticky bit for that."""
    found = home.stat()
    others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if (
        os.name == "posix"
        and others_write
        and not found.st_mode & stat.S_ISVTX
        and found.st_uid == os.geteuid()
    ):
        home.chmod(stat.S_IMODE(found.st_mode & ~others_write))


def own_folder(path: Path) -> None:
    """Make the folder and those missing above it, or make it private: mode 0700.

    Raises:
        OSError: it cannot be made, is a link, or belongs to another user.
    """
    for missing in [each for each in reversed(path.parents) if not each.exists()]:
        missing.mkdir(mode=0o700, exist_ok=True)  # `parents=True` would leave these open to others
    path.mkdir(mode=0o700, exist_ok=True)
    if os.name != "posix":  # there mode 0700 makes an access list of the owner alone (Python since 2024)
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if path.is_symlink():
            raise OSError(errno.ELOOP, "it is a link, which might lead anywhere", str(path)) from error
        raise
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise OSError(errno.EPERM, "it belongs to another user", str(path))
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def find_places(home: str | None) -> Places:
    """The folders under `home` (HIVEMIND_HOME), or the platform's when it is None or empty."""
    shared = os.environ.get("HIVEMIND_SANDBOX")
    sandbox = Path(shared).absolute() if shared else None
    if home:
        root = Path(home).expanduser().absolute()
        return Places(
            config=root / "config",
            data=root / "data",
            state=root / "state",
            logs=root / "logs",
            portable=True,
            shared_sandbox=sandbox,
        )
    import platformdirs  # noqa: PLC0415 - not needed where a home is named

    dirs = platformdirs.PlatformDirs(APP_NAME, appauthor=False)
    return Places(
        config=dirs.user_config_path,
        data=dirs.user_data_path,
        state=dirs.user_state_path,
        logs=dirs.user_log_path,
        portable=False,
        shared_sandbox=sandbox,
    )


def resources() -> Path:
    """The shipped files: inside the installed package, or beside it in a checkout."""
    packaged = Path(__file__).parent / "resources"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "resources"


def documents() -> Path:
    """The documentation's pages: inside the installed package, or beside it in a checkout."""
    packaged = resources() / "docs"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "docs"
