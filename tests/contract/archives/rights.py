"""Being an ordinary user for a while: root is not stopped by any mode, and so proves nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def ordinary_user() -> Iterator[Path]:
    """A folder of that user's own, in a place that it can reach; root becomes somebody else meanwhile."""
    ground = Path(tempfile.mkdtemp(prefix="hivemind-test-"))
    was_root = os.geteuid() == 0
    try:
        if was_root:
            os.chown(ground, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        yield ground
    finally:
        if was_root:
            os.seteuid(0)
        shutil.rmtree(ground)
