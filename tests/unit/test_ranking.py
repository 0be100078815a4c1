"""From neighbours to recommendations: one per group, best first."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from recommender_engine.ranking import ScoredMember, nearest_by_group

scored = st.builds(
    ScoredMember,
    st.sampled_from([f"g{n}" for n in range(6)]),
    st.integers(1, 20),
    st.sampled_from([-0.5, 0.0, 0.3, 0.5, 0.9, 1.0]),
)
nearest_first = st.lists(scored, max_size=15, unique_by=lambda member: member.seq).map(
    lambda members: sorted(members, key=lambda member: (-member.similarity, member.seq))
)


def groups(*members: ScoredMember, floor: float = 0.0, limit: int = 10) -> list[str]:
    return [one.group for one in nearest_by_group(members, floor=floor, limit=limit)]


def test_a_group_appears_once_with_its_closest_member() -> None:
    closest, other, farther = ScoredMember("g1", 7, 0.8), ScoredMember("g2", 2, 0.6), ScoredMember("g1", 1, 0.4)
    assert nearest_by_group([closest, other, farther], floor=0.0, limit=10) == [closest, other]


def test_equal_scores_are_ordered_by_arrival() -> None:
    assert groups(ScoredMember("g3", 9, 0.5), ScoredMember("g1", 2, 0.5), ScoredMember("g2", 5, 0.5)) == [
        "g1",
        "g2",
        "g3",
    ]


def test_the_floor_still_counts_and_nothing_below_it() -> None:
    members = ScoredMember("g1", 1, 0.3), ScoredMember("g2", 2, 0.2999), ScoredMember("g3", 3, -1.0)
    assert groups(*members, floor=0.3) == ["g1"]


def test_the_limit_counts_groups_and_not_members() -> None:
    members = ScoredMember("g1", 1, 0.9), ScoredMember("g1", 2, 0.8), ScoredMember("g2", 3, 0.7)
    assert groups(*members, limit=2) == ["g1", "g2"]
    assert groups(*members, limit=0) == []


def test_a_member_that_does_not_count_leaves_its_place_to_the_next_of_its_group() -> None:
    members = ScoredMember("g1", 1, 0.9), ScoredMember("g1", 2, 0.8), ScoredMember("g2", 3, 0.7)
    found = nearest_by_group(members, floor=0.0, limit=10, counts=lambda member: member.seq != 1)
    assert [(one.group, one.seq) for one in found] == [("g1", 2), ("g2", 3)]


def test_no_more_is_read_than_is_needed() -> None:
    read: list[int] = []

    def members() -> Iterator[ScoredMember]:
        for seq, similarity in enumerate((0.9, 0.8, 0.7, 0.2, 0.1)):
            read.append(seq)
            yield ScoredMember(f"g{seq}", seq, similarity)

    assert len(nearest_by_group(members(), floor=0.5, limit=10)) == 3
    assert read == [0, 1, 2, 3], "the first below the floor is the last"
    read.clear()
    assert len(nearest_by_group(members(), floor=0.0, limit=2)) == 2
    assert read == [0, 1, 2]


@given(nearest_first, st.integers(0, 5))
def test_a_smaller_limit_gives_the_beginning_of_the_same_list(members: list[ScoredMember], limit: int) -> None:
    everything = nearest_by_group(members, floor=0.0, limit=100)
    assert nearest_by_group(members, floor=0.0, limit=limit) == everything[:limit]
    best = {group: max(one.similarity for one in members if one.group == group) for group in {m.group for m in members}}
    assert {one.group: one.similarity for one in everything} == {g: score for g, score in best.items() if score >= 0.0}
    assert everything == sorted(everything, key=lambda one: (-one.similarity, one.seq))
