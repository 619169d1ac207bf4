"""How large an archive may be, in every direction. Figures only; the rooms beside this one enforce them."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one kind of archive.

    `ratio` (opened to packed) counts only for a member that opens to more than `ratio_free_bytes`:
    honest tables of zeros are small. `portable_names` asks for names that every system can hold.
    """

    packed_bytes: int = 100 * MIB  # the pool's own message limit
    members: int = 10_000
    folders: int = 10_000  # those that are only implied by longer names as well
    directory_bytes: int = 16 * MIB  # about 10 times what 10,000 ordinary members need
    opened_bytes: int = GIB
    member_bytes: int = 512 * MIB
    ratio: int = 200
    ratio_free_bytes: int = 64 * MIB
    path_bytes: int = 1024
    component_bytes: int = 255
    depth: int = 32
    requirements_bytes: int = 64 * KIB
    portable_names: bool = True


TASK_LIMITS = Limits()
"""What a worker takes from strangers."""

RESULT_LIMITS = Limits(
    ratio=1100, member_bytes=GIB, depth=128, folders=20_000, members=10_100, portable_names=False
)
"""What a result archive of `pack` may be: a requester unpacks it with these (1100 > what deflate can do)."""
