"""What ran here, signed: one receipt a task, to be checked without the worker and without a network.

A receipt is canonical JSON (sorted keys, no spaces) signed with the node's Ed25519 key. Counterpart:
commands.receipt, which shows and verifies. Calls block: use the files thread.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)  # fmt: skip

from hivemind_worker.model.receipts import KeptReceipt, Seal
from hivemind_worker.model.task import Task, TaskKey
from hivemind_worker.owned_file import write_owned

VERSION = 1
KEY_BYTES = 32
PIECE = 1 << 20
MOST_HASHED_BYTES = 256 << 20
"""Files of larger archives are named with their sizes alone: hashing them would hold up the thread."""
MOST_FILES = 10_000
INPUTS = "inputs.json"
MAX_RECEIPT_BYTES = 8 << 20


class Receipts:
    """The receipts of a home. The key is made at the first use and never leaves its 0600 file."""

    def __init__(self, folder: Path, key_file: Path) -> None:
        self._folder = folder
        self._key_file = key_file

    def path(self, key: TaskKey) -> Path:
        """Where a task's receipt lies; may not exist."""
        return self._folder / f"{key}.json"

    def note_inputs(self, archive: Path, task_folder: Path) -> None:
        """Remember what an archive holds, before it is unpacked and gone.

        Raises:
            OSError: it cannot be read, or the note not written.
        """
        (task_folder / INPUTS).write_text(json.dumps(files_of(archive)))

    def write(
        self, task: Task, limits: Mapping[str, float], task_folder: Path, result: Path, made_by: str
    ) -> None:
        """Sign and keep the receipt of an ended task.

        Raises:
            OSError: it cannot be written.
        """
        inputs = task_folder / INPUTS
        receipt = {
            "version": VERSION,
            "made_by": made_by,
            "task_id": task.task_id,
            "attempt": task.attempt,
            "code_sha256": task.body_sha256,
            "script": task.entry,
            "sandbox": task.runtime,
            "image": task.image,
            "limits": dict(limits),
            "asked": task.demand.as_dict(),
            "state": task.state.value,
            "exit_code": task.exit_code,
            "reason": task.problem.code.value if task.problem else None,
            "accepted": _moment(task.accepted_at_s),
            "started": _moment(task.started_at_s),
            "ended": _moment(task.ended_at_s),
            "used": asdict(task.usage),
            "trust_change": task.trust_change,
            "files_in": json.loads(inputs.read_text()) if inputs.exists() else [],
            "files_out": files_of(result) if result.exists() else [],
        }
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_owned(self.path(task.key), json.dumps(signed(receipt, self._key()), indent=1).encode())

    def kept(self, tasks: Sequence[Task]) -> tuple[KeptReceipt, ...]:
        """Those of these tasks that have a receipt, each with what its signature says."""
        own = self.public_key() or ""
        found = ((task, self._seal(self.path(task.key), own)) for task in tasks)
        return tuple(KeptReceipt(task=task, seal=seal) for task, seal in found if seal is not None)

    def _seal(self, path: Path, own: str) -> Seal | None:
        try:
            document = read_receipt(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return Seal.BROKEN
        if not is_genuine(document):
            return Seal.BROKEN
        return Seal.OURS if is_genuine(document, own or "none") else Seal.OTHER_KEY

    def _key(self) -> Ed25519PrivateKey:
        try:
            return Ed25519PrivateKey.from_private_bytes(self._key_file.read_bytes()[:KEY_BYTES])
        except (FileNotFoundError, ValueError):  # damaged: receipts of before stay true to their own key
            key = Ed25519PrivateKey.generate()
            write_owned(self._key_file, key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
            return key

    def public_key(self) -> str | None:
        """This node's public key in hex, None while it has none."""
        try:
            private = Ed25519PrivateKey.from_private_bytes(self._key_file.read_bytes()[:KEY_BYTES])
        except (OSError, ValueError):
            return None
        return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def _moment(at_s: float | None) -> str | None:
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")


def files_of(archive: Path) -> list[dict[str, Any]]:
    """Names, sizes and SHA-256 of the files in an archive; none for one that cannot be read."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [each for each in opened.infolist() if not each.is_dir()][:MOST_FILES]
            hashes = sum(each.file_size for each in members) <= MOST_HASHED_BYTES
            return [
                {"name": each.filename, "bytes": each.file_size}
                | ({"sha256": _sha256(opened, each)} if hashes else {})
                for each in members
            ]
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError):
        return []


def _sha256(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str:
    found = hashlib.sha256()
    with archive.open(member) as file:
        while piece := file.read(PIECE):
            found.update(piece)
    return found.hexdigest()


def canonical(receipt: Mapping[str, Any]) -> bytes:
    """The bytes that are signed."""
    return json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def signed(receipt: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """The receipt with the signature over it, and the key to check it by."""
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"receipt": receipt, "public_key": public.hex(), "signature": key.sign(canonical(receipt)).hex()}


def read_receipt(path: Path) -> dict[str, Any]:
    """A receipt as it lies in a file, not verified.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no receipt.
    """
    with path.open("rb") as file:
        content = file.read(MAX_RECEIPT_BYTES + 1)
    if len(content) > MAX_RECEIPT_BYTES:
        raise ValueError("it is larger than 8 MiB")
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(document, dict) or not isinstance(document.get("receipt"), dict):
        raise ValueError("it is no receipt")
    return document


def kept_receipt(path: Path) -> dict[str, Any] | None:
    """The receipt in this file; None while there is none that can be read."""
    try:
        return read_receipt(path)
    except (OSError, ValueError):
        return None


def is_genuine(document: Mapping[str, Any], public_key: str = "") -> bool:
    """Whether nothing was changed since it was signed, by `public_key` where one is expected."""
    named = document.get("public_key")
    if not isinstance(named, str) or (public_key and named.lower() != public_key.lower()):
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(named))
        key.verify(bytes.fromhex(str(document.get("signature"))), canonical(document["receipt"]))
    except (ValueError, InvalidSignature):
        return False
    return True
