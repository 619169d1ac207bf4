"""One-time codes: a holder of the token asks for one, a browser swaps it for a session within a minute."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict

LASTS_S = 60.0
MOST = 16
CODE_BYTES = 32


class StartCodes:
    """The codes that are out, as hashes, in memory alone: they end with the worker."""

    def __init__(self) -> None:
        self._ends_at: OrderedDict[bytes, float] = OrderedDict()

    def make(self, now_s: float) -> str:
        """A new code; the oldest gives way when too many are out."""
        code = secrets.token_urlsafe(CODE_BYTES)
        self._ends_at[_digest(code)] = now_s + LASTS_S
        while len(self._ends_at) > MOST:
            self._ends_at.popitem(last=False)
        return code

    def take(self, untrusted_code: str, now_s: float) -> bool:
        """Whether the code is good; it is not a second time."""
        return self._ends_at.pop(_digest(untrusted_code), 0.0) > now_s


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).digest()
