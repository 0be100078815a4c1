"""Which verdict decides, and which group an item joins."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.grouping import JudgedMember, best_match, group_for
from recommender.items import Band, PairVerdict

BANDS = [Band.NEW, Band.SIMILAR, Band.REVIEW, Band.DUPLICATE]


def judged(band: Band, probability: float = 0.5, similarity: float = 0.5, seq: int = 1) -> JudgedMember:
    verdict = PairVerdict(band=band, probability=probability, similarity=similarity, reasons=())
    return JudgedMember(f"item {seq}", seq, f"g{seq}", verdict)


members = st.builds(
    judged,
    st.sampled_from(BANDS),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([-1.0, 0.0, 0.5]),
    st.integers(1, 5),
)


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
def test_the_strongest_verdict_decides(better: JudgedMember, worse: JudgedMember) -> None:
    assert best_match([better, worse]) is best_match([worse, better]) is better


def test_without_candidates_there_is_no_match() -> None:
    assert best_match([]) is None


@given(st.lists(members, min_size=1, max_size=6, unique_by=lambda member: member.seq), st.integers())
def test_the_order_of_candidates_does_not_matter(candidates: list[JudgedMember], seed: int) -> None:
    shuffled = random.Random(seed).sample(candidates, len(candidates))
    assert best_match(shuffled) == best_match(candidates)


def test_a_duplicate_joins_the_group_of_what_it_matches() -> None:
    assert group_for(8, judged(Band.DUPLICATE, seq=3)) == "g3"


@pytest.mark.parametrize("best", [None, judged(Band.REVIEW), judged(Band.SIMILAR), judged(Band.NEW)])
def test_anything_else_founds_a_group(best: JudgedMember | None) -> None:
    assert group_for(8, best) == "g8"
