"""Rules for the group of an item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from recommender_engine.items import Band, PairVerdict


class JudgedMember(NamedTuple):
    """A candidate after judgement.

    Attributes:
        id: the candidate's id.
        seq: its arrival number.
        group: its group.
        verdict: on the pair.
    """

    id: str
    seq: int
    group: str
    verdict: PairVerdict


_STRENGTH = {Band.DUPLICATE: 3, Band.REVIEW: 2, Band.SIMILAR: 1, Band.NEW: 0}


def ranked(judged: Sequence[JudgedMember]) -> list[JudgedMember]:
    """Sorted by band, strongest first; then by probability, similarity, and earlier arrival."""
    return sorted(
        judged,
        key=lambda one: (-_STRENGTH[one.verdict.band], -one.verdict.probability, -one.verdict.similarity, one.seq),
    )


def strongest_by_group(judged: Sequence[JudgedMember]) -> list[JudgedMember]:
    """Of each group the candidate that the item duplicates most surely, strongest first."""
    found: dict[str, JudgedMember] = {}
    for one in ranked(judged):
        if one.verdict.band is Band.DUPLICATE:
            found.setdefault(one.group, one)
    return list(found.values())


def agree(verdicts: Sequence[PairVerdict]) -> bool:
    """Whether at least half of a group's other members are like an item that duplicates one of them.

    Without it a vague text, which resembles everything, would chain unrelated items into one group.
    """
    return 2 * sum(alike(verdict) for verdict in verdicts) >= len(verdicts)


def alike(verdict: PairVerdict) -> bool:
    """Whether a pair may stand in one group: likely enough to look at, and nothing in it contradicts."""
    return verdict.band is Band.DUPLICATE or (verdict.band is Band.REVIEW and not verdict.contested)


def founded_by(seq: int) -> str:
    """The id of the group that an item founds.

    A group keeps its id when members leave. Arrival numbers are never used twice, so neither are group ids.
    """
    return f"g{seq}"


def older(one: str, other: str) -> str:
    """The older of two groups."""
    return min(one, other, key=lambda group: int(group.removeprefix("g")))
