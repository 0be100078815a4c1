"""From neighbours to recommendations: one per group, best first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class ScoredMember(NamedTuple):
    """A similar item with its group.

    Attributes:
        group: the group it belongs to.
        seq: its order of arrival.
        similarity: cosine to the item that recommendations are made for, in [-1, 1].
    """

    group: str
    seq: int
    similarity: float


def nearest_by_group(
    members: Iterable[ScoredMember],
    *,
    floor: float,
    limit: int,
    counts: Callable[[ScoredMember], bool] = lambda member: True,
) -> list[ScoredMember]:
    """The closest member of each group, best first; equal scores are ordered by arrival.

    Args:
        members: similar items, the closest first; read as far as need be.
        floor: smallest score that counts.
        limit: most groups returned.
        counts: whether a member stands for its group; asked only where none does yet.
    """
    best: dict[str, ScoredMember] = {}
    for member in members:
        if member.similarity < floor or len(best) >= limit:
            break
        if member.group not in best and counts(member):
            best[member.group] = member
    return sorted(best.values(), key=lambda one: (-one.similarity, one.seq))
