"""Which group an item belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from recommender.items import Band, PairVerdict


class JudgedMember(NamedTuple):
    """A candidate after judgement.

    Attributes:
        id: the candidate's id.
        seq: its order of arrival.
        group: its group.
        verdict: on the pair.
    """

    id: str
    seq: int
    group: str
    verdict: PairVerdict


_STRENGTH = {Band.DUPLICATE: 3, Band.REVIEW: 2, Band.SIMILAR: 1, Band.NEW: 0}


def best_match(judged: Sequence[JudgedMember]) -> JudgedMember | None:
    """The strongest verdict; among equals the likelier, the closer, the earlier candidate."""
    return max(
        judged,
        key=lambda one: (_STRENGTH[one.verdict.band], one.verdict.probability, one.verdict.similarity, -one.seq),
        default=None,
    )


def group_for(seq: int, best: JudgedMember | None) -> str:
    """The group of a new arrival: that of the item it duplicates, or one that it founds.

    A group keeps the id it was founded under, whoever leaves it later. Arrival numbers are never used twice, so
    neither are group ids.
    """
    if best is not None and best.verdict.band is Band.DUPLICATE:
        return best.group
    return f"g{seq}"
