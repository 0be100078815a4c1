from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine import mining
from recommender_engine.mining import SimilarPair, most_similar_pairs


def unit(count: int, seed: int, dimension: int = 4) -> np.ndarray:
    # Few values, so that many pairs are equally similar.
    rows = np.random.default_rng(seed).integers(-2, 3, (count, dimension)).astype(np.float32)
    rows[~rows.any(axis=1), 0] = 1
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def brute_force(vectors: np.ndarray, top: int, least: float, distinct: np.ndarray | None) -> list[SimilarPair]:
    count = len(vectors)
    pairs = [
        SimilarPair(one, other, float(vectors[one] @ vectors[other]))
        for one in range(count)
        for other in range(one + 1, count)
        if distinct is None or distinct[one] != distinct[other]
    ]
    return sorted((pair for pair in pairs if pair.similarity >= least), key=lambda pair: -pair.similarity)[:top]


@settings(deadline=None)
@given(
    st.integers(0, 40),
    st.integers(1, 900),
    st.sampled_from([-1.0, 0.0, 0.5, 0.99]),
    st.integers(0, 5),
    st.integers(0, 9),
    st.sampled_from([1, 3, 8, 64]),
)
def test_it_finds_what_comparing_all_finds(
    count: int, top: int, least: float, kinds: int, seed: int, block: int
) -> None:
    vectors = unit(count, seed)
    distinct = np.random.default_rng(seed).integers(0, kinds, count) if kinds else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mining, "_BLOCK", block)
        found = most_similar_pairs(vectors, top, least, distinct)
    expected = brute_force(vectors, top, least - 1e-6, distinct)
    if least != 0.0:  # sums of other orders end a little above or below
        np.testing.assert_allclose(
            [pair.similarity for pair in found], [pair.similarity for pair in expected][: len(found)], atol=1e-6
        )
    assert all(pair.similarity >= least for pair in found)
    assert all(pair.one < pair.other for pair in found)
    assert len({(pair.one, pair.other) for pair in found}) == len(found)
    assert [pair.similarity for pair in found] == sorted((pair.similarity for pair in found), reverse=True)
    if distinct is not None:
        assert all(distinct[pair.one] != distinct[pair.other] for pair in found)


def test_among_equals_the_earlier_comes_first() -> None:
    vectors = np.tile(np.array([[1, 0]], np.float32), (50, 1))
    assert [pair[:2] for pair in most_similar_pairs(vectors, 3)] == [(0, 1), (0, 2), (0, 3)]


def test_every_pair_is_compared_once() -> None:
    compared: list[int] = []
    most_similar_pairs(unit(2500, 1), 5, done=compared.append)
    blocks = [1024, 1024, 452]
    assert sorted(compared) == sorted(one * other for place, one in enumerate(blocks) for other in blocks[place:])


@pytest.mark.parametrize(("top", "shape"), [(0, (3, 4)), (5, (3,))])
def test_what_makes_no_sense_is_refused(top: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"top must be at least 1 and vectors of shape \(n, dimension\), not"):
        most_similar_pairs(np.zeros(shape, np.float32), top)
