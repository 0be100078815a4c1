"""From neighbours to recommendations: one per group, best first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from recommender.items import Recommendation


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


def nearest_by_group(members: Iterable[ScoredMember], *, floor: float, limit: int) -> list[ScoredMember]:
    """Of each group its closest member, best first.

    Equal scores are ordered by arrival, so that the result does not depend on the order of ``members``.

    Args:
        members: similar items; those below ``floor`` are left out.
        floor: smallest score that counts.
        limit: most groups returned.
    """
    best: dict[str, ScoredMember] = {}
    close = [member for member in members if member.similarity >= floor]
    for member in sorted(close, key=lambda member: (-member.similarity, member.seq)):
        best.setdefault(member.group, member)
    return list(best.values())[:limit]


def recommend(
    members: Iterable[ScoredMember], canonical: Mapping[str, str], *, floor: float, limit: int
) -> tuple[Recommendation, ...]:
    """Collapse members to the canonical items of their groups; a group scores as its closest member.

    Args:
        members: similar items, see `nearest_by_group`.
        canonical: id of the canonical item by group.
        floor: smallest score that counts.
        limit: most recommendations returned.
    """
    return tuple(
        [
            Recommendation(id=canonical[member.group], score=member.similarity, group=member.group)
            for member in nearest_by_group(members, floor=floor, limit=limit)
        ]
    )
