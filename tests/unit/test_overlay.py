"""What a batch has added is compared exactly, and as little of it as can be among the nearest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender_engine.index import FlatIndex, cosines
from recommender_engine.items import EntryId
from recommender_engine.pipeline.vectors.nearest_points import NearestPoints, search
from recommender_engine.pipeline.vectors.overlaid_index import OverlaidIndex
from recommender_engine.pipeline.vectors.overlay import CollectionOverlay

DIMENSION = 8


def unit(count: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def overlay_of(vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]], first: int = 0) -> CollectionOverlay:
    overlay = CollectionOverlay()
    for place, vector in enumerate(vectors):
        overlay.add(first + place, vector)
    return overlay


@given(st.integers(0, 90), st.integers(1, 12), st.floats(-1, 1), st.sets(st.integers(0, 89)))
def test_the_nearest_that_are_near_enough_are_among_those_found(
    count: int, k: int, least: float, gone: set[int]
) -> None:
    vectors, query = unit(count, seed=1), unit(1, seed=2)[0]
    overlay = overlay_of(vectors)
    for point in gone & set(range(count)):
        overlay.remove(point)
    labels, found = overlay.nearest(query, k, least)
    exact = cosines(query, vectors)
    live = sorted(set(range(count)) - gone, key=lambda point: (-exact[point], point))
    assert {point for point in live[:k] if exact[point] >= least} <= set(labels.tolist())
    assert gone.isdisjoint(labels.tolist())
    np.testing.assert_array_equal(found, exact[labels])


def test_vectors_that_are_a_little_longer_than_one_are_found_however_far_they_are() -> None:
    query = unit(1, seed=2)[0]
    overlay = overlay_of(np.asarray([-1.005 * query], np.float32))
    assert overlay.nearest(query, 5)[0].tolist() == [0]


def test_what_cannot_be_among_the_nearest_is_not_compared() -> None:
    vectors, query = unit(500, seed=1), unit(1, seed=2)[0]
    overlay = overlay_of(vectors)
    exact = np.sort(cosines(query, vectors))[::-1]
    assert len(overlay.nearest(query, 50)[0]) == 50
    assert len(overlay.nearest(query, 50, float(exact[2]))[0]) == 3


@pytest.mark.parametrize("k", [1, 7, 50])
@pytest.mark.parametrize("committed", [0, 5, 200])
def test_index_and_overlay_together_find_what_one_index_finds(committed: int, k: int) -> None:
    vectors, queries = unit(committed + 100, seed=3), unit(20, seed=4)
    index, whole = FlatIndex(DIMENSION), FlatIndex(DIMENSION)
    index.add(np.arange(committed), vectors[:committed])
    removed = list(range(0, committed, 10))
    whole.add(np.arange(len(vectors)), vectors)
    whole.remove(np.array(removed, np.int64))
    overlay = overlay_of(vectors[committed:], committed)
    for point in removed:
        overlay.remove(point)
    places = [EntryId(1, number) for number in range(len(queries))]
    found = search(index, dict(zip(places, queries, strict=True)), k)
    expected = whole.search(queries, k).labels
    for place, query, labels in zip(places, queries, expected, strict=True):
        for already in (found.get(place), None):  # with the batch, or on its own
            points = NearestPoints(index, query, k, overlay, found=already)
            assert list(points.near()) == labels[labels >= 0].tolist()


@given(
    st.integers(0, 40),
    st.integers(0, 40),
    st.sets(st.integers(0, 79)),
    st.sets(st.integers(0, 79)),
    st.integers(1, 12),
)
def test_an_overlaid_index_answers_as_the_index_does_after_the_commit(
    before: int, come: int, gone: set[int], asked: set[int], k: int
) -> None:
    vectors, queries = unit(before + come, seed=1), unit(3, seed=2)
    committed, after, overlay = FlatIndex(DIMENSION), FlatIndex(DIMENSION), overlay_of(vectors[before:], before)
    committed.add(np.arange(before), vectors[:before])
    after.add(np.arange(before + come), vectors)
    left = np.array(sorted(gone & set(range(before + come))), np.int64)
    for point in left.tolist():
        overlay.remove(point)
    after.remove(left)
    index = OverlaidIndex(committed, overlay, DIMENSION)
    assert len(index) == len(after)
    for one, other in zip(index.search(queries, k), after.search(queries, k), strict=True):
        np.testing.assert_array_equal(one, other)
    there = np.array(sorted(asked & set(after.labels().tolist())), np.int64)
    np.testing.assert_array_equal(index.vectors(there), after.vectors(there))
    some, same = index.only(there), after.only(there)
    assert some.count == same.count == len(there)
    if len(there):
        for one, other in zip(
            some.nearest(queries, min(k, len(there))), same.nearest(queries, min(k, len(there))), strict=True
        ):
            np.testing.assert_array_equal(one, other)
