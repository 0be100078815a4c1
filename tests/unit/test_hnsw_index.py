"""The guards around hnswlib."""

from __future__ import annotations

import logging
from pathlib import Path

import hnswlib
import numpy as np
import pytest
from pydantic import ValidationError

from recommender_engine.index import FlatIndex, HnswIndex, HnswParameters, Vectors
from recommender_engine.index.graph import HnswGraph
from recommender_engine.index.graph_file import read_header, read_vectors
from tests.support.logs import logged

DIMENSION = 16
NARROW = HnswParameters(ef_search_floor=8)


def unit(count: int, seed: int = 7, dimension: int = DIMENSION) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def index_of(vectors: Vectors, parameters: HnswParameters = NARROW) -> HnswIndex:
    index = HnswIndex.empty(vectors.shape[1], parameters)
    index.add(np.arange(len(vectors)), vectors)
    return index


def test_a_search_that_reaches_too_few_is_answered_exactly(caplog: pytest.LogCaptureFixture) -> None:
    """Many copies of few vectors link to each other only, and the graph falls into pieces."""
    vectors = np.repeat(unit(50), 60, axis=0)
    index = index_of(vectors, HnswParameters(m=4, ef_construction=10))
    exact = FlatIndex(DIMENSION)
    exact.add(np.arange(3_000), vectors)
    with pytest.raises(RuntimeError, match="contiguous 2D array"):
        index._graph._hnsw.knn_query(vectors, 100)
    caplog.set_level(logging.INFO)
    found, truth = index.search(vectors, 100), exact.search(vectors, 100)
    np.testing.assert_array_equal(found.labels, truth.labels)
    np.testing.assert_array_equal(found.similarities, truth.similarities)
    assert logged(caplog) == [("index.graph_reached_too_few", {"queries": 3000, "k": 100, "live": 3000})]


def test_a_label_that_only_the_graph_knows_is_never_returned(caplog: pytest.LogCaptureFixture) -> None:
    index = index_of(unit(100))
    stranger = unit(1, seed=9)
    index._graph.add(np.array([777]), stranger)
    assert 777 not in index.search(stranger, 5).labels
    assert ("index.graph_out_of_step", {"live": 100}) in logged(caplog)


def test_the_graph_is_asked_only_if_it_need_not_look_at_everything(caplog: pytest.LogCaptureFixture) -> None:
    index = index_of(unit(33))
    stranger = unit(1, seed=9)
    index._graph.add(np.array([777]), stranger)
    index.search(stranger, 9)  # four times 9 is more than 33: searched exactly, so nothing strange turns up
    assert caplog.messages == []
    index.search(stranger, 8)
    assert logged(caplog) == [("index.graph_out_of_step", {"live": 33})]


def test_it_grows_without_losing_a_vector() -> None:
    vectors = unit(5_000)
    index = HnswIndex.empty(DIMENSION, NARROW)
    index.add(np.arange(1), vectors[:1])
    index.add(np.arange(1, 1_500), vectors[1:1_500])
    index.add(np.arange(1_500, 5_000), vectors[1_500:])
    assert len(index) == 5_000
    np.testing.assert_array_equal(index.vectors(np.arange(5_000)), vectors)
    found = index.search(vectors, 1).labels[:, 0]
    assert (found == np.arange(5_000)).mean() > 0.99


def test_the_same_vectors_give_the_same_graph(tmp_path: Path) -> None:
    index_of(unit(500)).save(tmp_path / "one")
    index_of(unit(500)).save(tmp_path / "two")
    index_of(unit(500), HnswParameters(seed=5)).save(tmp_path / "other-seed")
    one = (tmp_path / "one").read_bytes()
    assert one == (tmp_path / "two").read_bytes()
    assert one != (tmp_path / "other-seed").read_bytes()


def test_several_threads_lose_nothing() -> None:
    vectors = unit(2_000)
    index = index_of(vectors, HnswParameters(threads=2))
    assert (index.search(vectors, 3).labels[:, 0] == np.arange(2_000)).mean() > 0.999


def test_tombstones_are_counted_among_all_vectors_of_the_graph() -> None:
    index = index_of(unit(100))
    assert (index.tombstones, index.tombstone_share) == (0, 0.0)
    index.remove(np.arange(30))
    index.remove(np.arange(30))
    assert (index.tombstones, index.tombstone_share, len(index)) == (30, 0.3, 70)
    assert HnswIndex.empty(DIMENSION).tombstone_share == 0.0


def test_a_removed_label_cannot_come_back_to_life() -> None:
    index = index_of(unit(100))
    index.remove(np.array([5]))
    with pytest.raises(ValueError, match="a label that was removed is used again"):
        index.add(np.array([5]), unit(1, seed=9))
    assert len(index) == 99
    assert 5 not in index.search(unit(100), 20).labels


def test_a_graph_is_brought_up_to_date_with_the_vectors_it_serves() -> None:
    vectors = unit(100)
    exact, graph = FlatIndex(DIMENSION), HnswGraph(DIMENSION, NARROW)
    exact.add(np.arange(20, 100), vectors[20:])
    graph.add(np.arange(70), vectors[:70])
    index = HnswIndex.caught_up(exact, graph)
    assert sorted(graph.labels().tolist()) == list(range(20, 100))
    assert index.search(vectors[20:], 1).labels[:, 0].tolist() == list(range(20, 100))
    assert index.tombstones == 20


def test_a_file_gives_back_everything(tmp_path: Path) -> None:
    vectors = unit(3_000)
    index = index_of(vectors, HnswParameters())
    index.remove(np.arange(0, 3_000, 7))
    index.save(tmp_path / "graph")
    assert (tmp_path / "graph").stat().st_size == index.file_size_bytes()
    loaded = HnswIndex.load(tmp_path / "graph", DIMENSION)
    assert loaded.labels().tolist() == index.labels().tolist()
    assert loaded.tombstones == index.tombstones == 429
    np.testing.assert_array_equal(loaded.vectors(loaded.labels()), vectors[loaded.labels()])
    before, after = index.search(vectors, 10), loaded.search(vectors, 10)
    np.testing.assert_array_equal(before.labels, after.labels)
    np.testing.assert_array_equal(before.similarities, after.similarities)
    loaded.add(np.arange(3_000, 6_000), unit(3_000, seed=8))
    assert len(loaded) == 3_000 - 429 + 3_000
    with pytest.raises(ValueError, match="a label that was removed is used again"):
        loaded.add(np.array([7]), unit(1))


def test_an_empty_index_can_be_saved_and_loaded(tmp_path: Path) -> None:
    HnswIndex.empty(DIMENSION).save(tmp_path / "graph")
    loaded = HnswIndex.load(tmp_path / "graph", DIMENSION)
    assert len(loaded) == 0
    loaded.add(np.arange(100), unit(100))
    assert loaded.search(unit(100), 1).labels[:, 0].tolist() == list(range(100))


def test_the_width_of_a_search_survives_a_load(tmp_path: Path) -> None:
    """hnswlib goes back to 10 on a load, which costs recall without a word."""
    index_of(unit(3_000), HnswParameters()).save(tmp_path / "graph")
    loaded = HnswIndex.load(tmp_path / "graph", DIMENSION)
    assert loaded._graph._hnsw.ef == 10
    loaded.search(unit(1), 1)
    assert loaded._graph._hnsw.ef == 64
    loaded.search(unit(1), 50)
    assert loaded._graph._hnsw.ef == 200


def test_the_file_reader_agrees_with_hnswlib(tmp_path: Path) -> None:
    vectors = unit(200, dimension=24)
    graph = hnswlib.Index(space="ip", dim=24)
    graph.init_index(max_elements=300, M=6, ef_construction=50)
    labels = np.arange(200) * 11 + 2**40
    graph.add_items(vectors, labels, num_threads=1)  # several would number them as they come
    graph.mark_deleted(labels[17])
    graph.save_index(str(tmp_path / "graph"))
    header = read_header(tmp_path / "graph")
    assert (header.count, header.dimension, header.m, header.ef_construction) == (200, 24, 6, 50)
    stored = read_vectors(tmp_path / "graph", header)
    np.testing.assert_array_equal(stored.labels, labels)
    assert np.flatnonzero(stored.deleted).tolist() == [17]
    live = np.delete(labels, 17)
    np.testing.assert_array_equal(stored.vectors[~stored.deleted], graph.get_items(live))


@pytest.mark.parametrize(
    ("dimension", "parameters"),
    [(32, NARROW), (DIMENSION, HnswParameters(m=8)), (DIMENSION, HnswParameters(ef_construction=100))],
)
def test_a_file_made_for_something_else_is_refused(tmp_path: Path, dimension: int, parameters: HnswParameters) -> None:
    index_of(unit(100)).save(tmp_path / "graph")
    with pytest.raises(ValueError, match=r"\(dimension, m, ef_construction\) = \(16, 16, 200\)"):
        HnswIndex.load(tmp_path / "graph", dimension, parameters)


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        pytest.param(0, 1, id="start"),
        pytest.param(8, 1, id="capacity"),
        pytest.param(16, 2**40, id="count"),
        pytest.param(24, 2**40, id="block-size"),
        pytest.param(32, 2**40, id="place-of-label"),
        pytest.param(40, 2**40, id="place-of-vector"),
        pytest.param(56, 17, id="links"),
        pytest.param(64, 17, id="links-on-lowest-layer"),
        pytest.param(72, 17, id="m"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(tmp_path: Path, offset: int, value: int) -> None:
    path = tmp_path / "graph"
    index_of(unit(100)).save(path)
    data = bytearray(path.read_bytes())
    data[offset : offset + 8] = value.to_bytes(8, "little")
    path.write_bytes(data)
    with pytest.raises(ValueError, match="the header of the graph file contradicts itself"):
        HnswIndex.load(path, DIMENSION)


def test_a_file_that_is_too_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "graph"
    index_of(unit(100)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:50])
    with pytest.raises(ValueError, match="the graph file is too short"):
        HnswIndex.load(path, DIMENSION)
    path.write_bytes(data[:5_000])
    with pytest.raises(ValueError, match="the graph file is too short"):
        HnswIndex.load(path, DIMENSION)


@pytest.mark.parametrize(
    "wrong", [{"m": 1}, {"ef_construction": 0}, {"ef_search_floor": 0}, {"threads": 0}, {"seed": -1}]
)
def test_parameters_that_break_hnswlib_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to"):
        HnswParameters(**wrong)
