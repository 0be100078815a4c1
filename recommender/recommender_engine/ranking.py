"""From neighbours to recommendations: one per group, best first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from recommender_engine.items import Recommendation


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


def recommend(
    members: Iterable[ScoredMember], canonical: Mapping[str, str], *, floor: float, limit: int
) -> tuple[Recommendation, ...]:
    """Collapse members to the canonical items of their groups.

    A group scores as its closest member. Equal scores are ordered by arrival, so that the result does not depend on
    the order of ``members``.

    Args:
        members: similar items; those below ``floor`` are left out.
        canonical: id of the canonical item by group.
        floor: smallest score that counts.
        limit: most recommendations returned.
    """
    best: dict[str, ScoredMember] = {}
    for member in sorted(members, key=lambda member: (-member.similarity, member.seq)):
        if member.similarity >= floor:
            best.setdefault(member.group, member)
    return tuple(
        Recommendation(id=canonical[group], score=member.similarity, group=group)
        for group, member in list(best.items())[:limit]
    )
