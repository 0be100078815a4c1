"""What the exact index promises beyond the contract: exactness in tight places, bounded memory, frozen views."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from recommender_engine.index import FlatIndex, Vectors

DIMENSION = 64


def unit(count: int, seed: int = 7, dimension: int = DIMENSION) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_neighbours_closer_than_float32_rounding_are_still_distinguished() -> None:
    """A product in float32 alone would take the wrong ones of two thousand almost equal vectors."""
    vectors = unit(1) + 1e-4 * unit(2_000, seed=8)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    queries = unit(50, seed=9)
    index = FlatIndex(DIMENSION)
    index.add(np.arange(2_000), vectors)
    cosines = (queries.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.float32)
    expected = np.array([np.lexsort((np.arange(2_000), -row))[:10] for row in cosines])
    np.testing.assert_array_equal(index.search(queries, 10).labels, expected)


def test_the_memory_of_a_search_is_bounded() -> None:
    index = FlatIndex(8)
    index.add(np.arange(20_000), unit(20_000, dimension=8))
    queries = unit(2_000, seed=9, dimension=8)
    tracemalloc.start()
    found = index.search(queries, 3)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.labels.shape == (2_000, 3)
    assert peak_bytes < 64 * 2**20  # all similarities at once would be 153 MiB


def test_memory_of_removed_vectors_is_given_back() -> None:
    tracemalloc.start()
    index = FlatIndex(DIMENSION)
    index.add(np.arange(20_000), unit(20_000))
    index.remove(np.arange(19_000))
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held_bytes < 2 * 2**20
    assert index.search(unit(20_000)[19_000:], 1).labels[:, 0].tolist() == list(range(19_000, 20_000))


def test_a_small_index_takes_little_memory_however_often_it_changes() -> None:
    vectors = unit(600)
    index = FlatIndex(DIMENSION)
    tracemalloc.start()
    for label in range(600):
        index.add(np.array([label]), vectors[label : label + 1])
        index.remove(np.array([label - 10]))
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held_bytes < 64 * 4 * DIMENSION  # 64 vectors, for the ten that it has
    assert index.labels().tolist() == list(range(590, 600))
    assert index.search(vectors[590:], 1).labels[:, 0].tolist() == list(range(590, 600))


@pytest.mark.parametrize("gone", [0, 4])
def test_all_there_is_comes_in_the_same_order_as_the_nearest_of_it(gone: int) -> None:
    index = FlatIndex(DIMENSION)
    index.add(np.arange(12), unit(12))
    index.remove(np.arange(gone))
    queries = unit(14)
    every, some = index.search(queries, 12 - gone), index.search(queries, 11 - gone)
    assert every.labels[:, :-1].tolist() == some.labels.tolist()
    assert every.similarities[:, :-1].tolist() == some.similarities.tolist()


def test_frozen_vectors_stay_as_they_were() -> None:
    vectors = unit(3_000)
    index = FlatIndex(DIMENSION)
    index.add(np.arange(1_000), vectors[:1_000])
    index.remove(np.arange(0, 100))
    frozen = index.freeze(index.labels())
    index.remove(np.arange(100, 900))
    index.add(np.arange(1_000, 3_000), vectors[1_000:])
    chunks = list(frozen.chunks(256))
    assert [len(labels) for labels, _ in chunks] == [256, 256, 256, 132]
    assert np.concatenate([labels for labels, _ in chunks]).tolist() == list(range(100, 1_000))
    np.testing.assert_array_equal(np.concatenate([chunk for _, chunk in chunks]), vectors[100:1_000])


def test_only_live_labels_can_be_frozen() -> None:
    index = FlatIndex(DIMENSION)
    index.add(np.arange(10), unit(10))
    index.remove(np.array([3]))
    with pytest.raises(KeyError, match="3"):
        index.freeze(np.arange(10))
