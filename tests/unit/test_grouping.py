"""Which verdict decides, and what may stand in one group."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender_engine.grouping import JudgedMember, agree, alike, founded_by, older, ranked, strongest_by_group
from recommender_engine.items import Band, PairVerdict

BANDS = [Band.NEW, Band.SIMILAR, Band.REVIEW, Band.DUPLICATE]


def pair(band: Band, probability: float = 0.5, similarity: float = 0.5, *, contested: bool = False) -> PairVerdict:
    return PairVerdict(band=band, probability=probability, similarity=similarity, reasons=(), contested=contested)


def judged(
    band: Band, probability: float = 0.5, similarity: float = 0.5, seq: int = 1, group: int | None = None
) -> JudgedMember:
    return JudgedMember(f"item {seq}", seq, f"g{group or seq}", pair(band, probability, similarity))


members = st.builds(
    judged,
    st.sampled_from(BANDS),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([-1.0, 0.0, 0.5]),
    st.integers(1, 9),
    st.integers(1, 3),
)
candidates = st.lists(members, min_size=1, max_size=9, unique_by=lambda member: member.seq)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        pytest.param(judged(Band.DUPLICATE, 0.1, 0.1, 9), judged(Band.REVIEW, 0.9, 0.9, 1), id="duplicate over review"),
        pytest.param(judged(Band.REVIEW, 0.1, 0.1, 9), judged(Band.SIMILAR, 0.9, 0.9, 1), id="review over similar"),
        pytest.param(judged(Band.SIMILAR, 0.1, 0.1, 9), judged(Band.NEW, 0.9, 0.9, 1), id="similar over new"),
        pytest.param(judged(Band.NEW, 0.6, 0.1, 9), judged(Band.NEW, 0.5, 0.9, 1), id="likelier"),
        pytest.param(judged(Band.NEW, 0.5, 0.6, 9), judged(Band.NEW, 0.5, 0.5, 1), id="closer"),
        pytest.param(judged(Band.NEW, 0.5, 0.5, 1), judged(Band.NEW, 0.5, 0.5, 9), id="earlier"),
    ],
)
def test_the_strongest_verdict_comes_first(better: JudgedMember, worse: JudgedMember) -> None:
    assert ranked([better, worse]) == ranked([worse, better]) == [better, worse]


def test_without_candidates_there_is_no_match() -> None:
    assert ranked([]) == []
    assert strongest_by_group([]) == []


@given(candidates, st.integers())
def test_the_order_of_candidates_does_not_matter(judged: list[JudgedMember], seed: int) -> None:
    shuffled = random.Random(seed).sample(judged, len(judged))
    assert ranked(shuffled) == ranked(judged)
    assert strongest_by_group(shuffled) == strongest_by_group(judged)


@given(candidates)
def test_each_group_is_spoken_for_by_its_surest_duplicate(judged: list[JudgedMember]) -> None:
    found = strongest_by_group(judged)
    duplicates = [one for one in ranked(judged) if one.verdict.band is Band.DUPLICATE]
    assert {one.group for one in found} == {one.group for one in duplicates}
    assert len(found) == len({one.group for one in found})
    assert all(one == next(other for other in duplicates if other.group == one.group) for one in found)
    assert found == [one for one in duplicates if one in found], "the strongest first"


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (pair(Band.DUPLICATE), True),
        (pair(Band.REVIEW), True),
        (pair(Band.REVIEW, contested=True), False),
        (pair(Band.SIMILAR), False),
        (pair(Band.NEW), False),
    ],
)
def test_what_may_stand_in_one_group(verdict: PairVerdict, expected: bool) -> None:
    assert alike(verdict) is expected


@pytest.mark.parametrize(
    ("bands", "expected"),
    [
        ([], True),
        ([Band.REVIEW], True),
        ([Band.SIMILAR], False),
        ([Band.DUPLICATE, Band.SIMILAR], True),
        ([Band.REVIEW, Band.SIMILAR, Band.NEW], False),
        ([Band.REVIEW, Band.DUPLICATE, Band.NEW], True),
    ],
)
def test_half_of_the_others_must_be_like_the_item(bands: list[Band], expected: bool) -> None:
    assert agree([pair(band) for band in bands]) is expected


def test_groups_are_named_after_their_founder_and_the_first_founded_is_older() -> None:
    assert founded_by(8) == "g8"
    assert older("g9", "g10") == older("g10", "g9") == "g9"
