"""From neighbours to recommendations: one per group, best first."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from recommender_engine.items import Recommendation
from recommender_engine.ranking import ScoredMember, recommend

CANONICAL = {f"g{n}": f"item {n}" for n in range(6)}
scored = st.builds(
    ScoredMember,
    st.sampled_from(sorted(CANONICAL)),
    st.integers(1, 20),
    st.sampled_from([-0.5, 0.0, 0.3, 0.5, 0.9, 1.0]),
)
member_lists = st.lists(scored, max_size=15, unique_by=lambda member: member.seq)


def ranked(*members: ScoredMember, floor: float = 0.0, limit: int = 10) -> list[tuple[str, float, str]]:
    found = recommend(members, CANONICAL, floor=floor, limit=limit)
    return [(one.id, one.score, one.group) for one in found]


def test_best_first() -> None:
    assert ranked(ScoredMember("g1", 1, 0.4), ScoredMember("g2", 2, 0.9), ScoredMember("g3", 3, 0.6)) == [
        ("item 2", 0.9, "g2"),
        ("item 3", 0.6, "g3"),
        ("item 1", 0.4, "g1"),
    ]


def test_a_group_appears_once_as_its_canonical_item_with_its_closest_member() -> None:
    members = ScoredMember("g1", 1, 0.4), ScoredMember("g1", 7, 0.8), ScoredMember("g2", 2, 0.6)
    assert ranked(*members) == [("item 1", 0.8, "g1"), ("item 2", 0.6, "g2")]


def test_equal_scores_are_ordered_by_arrival() -> None:
    members = ScoredMember("g3", 9, 0.5), ScoredMember("g1", 2, 0.5), ScoredMember("g2", 5, 0.5)
    assert [group for _, _, group in ranked(*members)] == ["g1", "g2", "g3"]


def test_the_floor_still_counts_and_nothing_below_it() -> None:
    members = ScoredMember("g1", 1, 0.3), ScoredMember("g2", 2, 0.2999), ScoredMember("g3", 3, -1.0)
    assert ranked(*members, floor=0.3) == [("item 1", 0.3, "g1")]


def test_the_limit_counts_groups_and_not_members() -> None:
    members = ScoredMember("g1", 1, 0.9), ScoredMember("g1", 2, 0.8), ScoredMember("g2", 3, 0.7)
    assert [group for _, _, group in ranked(*members, limit=2)] == ["g1", "g2"]
    assert ranked(*members, limit=0) == []


def test_nothing_comes_of_nothing() -> None:
    assert recommend([], {}, floor=0.0, limit=10) == ()


@given(member_lists, st.integers(), st.integers(0, 5))
def test_the_order_of_members_does_not_matter(members: list[ScoredMember], seed: int, limit: int) -> None:
    shuffled = random.Random(seed).sample(members, len(members))
    expected = recommend(members, CANONICAL, floor=0.0, limit=limit)
    assert recommend(shuffled, CANONICAL, floor=0.0, limit=limit) == expected


@given(member_lists, st.integers(0, 5))
def test_a_smaller_limit_gives_the_beginning_of_the_same_list(members: list[ScoredMember], limit: int) -> None:
    everything = recommend(members, CANONICAL, floor=0.0, limit=100)
    assert recommend(members, CANONICAL, floor=0.0, limit=limit) == everything[:limit]
    assert len({one.group for one in everything}) == len(everything)
    assert list(everything) == sorted(everything, key=lambda one: -one.score)


def test_the_result_is_a_value() -> None:
    (one,) = recommend([ScoredMember("g1", 1, 0.5)], CANONICAL, floor=0.0, limit=1)
    assert one == Recommendation(id="item 1", score=0.5, group="g1")
