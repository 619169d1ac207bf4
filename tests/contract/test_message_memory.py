"""Memory of messages: a process that keeps it does not fetch it page by page for each result."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

MESSAGES = 50
PROGRAM = f"""
import json, resource, sys
from pathlib import Path
from hivemind_worker.pool.framing import result_request
from hivemind_worker.pool.message_memory import keep_message_memory
kept = keep_message_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    result_request("t", "", Path(sys.argv[1]))
before = faults()
for _ in range({MESSAGES}):
    result_request("t", "", Path(sys.argv[1]))
print(json.dumps([kept, faults() - before]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory by other rules")
def test_messages_of_half_a_mib_take_no_fresh_pages_each(tmp_path: Path) -> None:
    archive = tmp_path / "result.zip"
    archive.write_bytes(b"\x01" * (512 << 10))
    command = [sys.executable, "-c", PROGRAM, str(archive)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    kept, faults = json.loads(told.stdout)
    assert kept
    assert faults < MESSAGES * 10  # without it, over 100 for each
