"""From exact to HNSW, and from an old graph to a new one, without a pause or a lost vector."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from recommender_engine.index import AdaptiveIndex, HnswIndex, HnswParameters, Vectors, make_index
from recommender_engine.index.graph import HnswGraph
from tests.support.logs import logged

DIMENSION = 64
DEADLINE_S = 60


def unit(count: int, seed: int = 7) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name == "index-build"] == []


def assert_holds(index: AdaptiveIndex, labels: np.ndarray, vectors: Vectors) -> None:
    """Exactly these vectors, each of which finds itself."""
    assert sorted(index.labels().tolist()) == sorted(labels.tolist())
    np.testing.assert_array_equal(index.vectors(labels), vectors)
    found = index.search(vectors, 3).labels
    assert (found[:, 0] == labels).mean() > 0.995
    assert np.isin(found, labels).all()


def test_below_the_threshold_nothing_is_built() -> None:
    index = AdaptiveIndex(DIMENSION, switch_at=100)
    index.add(np.arange(99), unit(99))
    assert (index.kind, index.building, index.hnsw) == ("exact", False, None)
    index.remove(np.arange(10))
    index.add(np.arange(99, 109), unit(10, seed=8))
    assert (index.kind, index.building) == ("exact", False)
    index.add(np.arange(109, 110), unit(1, seed=9))
    assert index.building
    assert index.settle(DEADLINE_S)
    assert index.kind == "hnsw"


def test_adds_and_removes_during_the_build_are_all_there_after_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    labels, vectors = np.arange(5_100), unit(5_100)
    index = AdaptiveIndex(DIMENSION, switch_at=5_000)
    index.add(labels[:5_000], vectors[:5_000])
    for start in range(5_000, 5_100, 20):
        index.add(labels[start : start + 20], vectors[start : start + 20])
        index.remove(labels[start - 4_000 : start - 3_900])
    assert (index.kind, index.building) == ("exact", True)
    kept = np.delete(labels, np.arange(1_000, 1_180))
    assert_holds(index, kept, vectors[kept])
    assert index.settle(DEADLINE_S)
    assert (index.kind, index.building) == ("hnsw", False)
    assert_holds(index, kept, vectors[kept])
    assert index.hnsw is not None
    assert index.hnsw.tombstones == 180
    assert ("index.graph_serves", {"live": 4920, "linked_at_switch": 100}) in logged(caplog)


def test_it_serves_while_it_builds() -> None:
    vectors = unit(5_000)
    index = AdaptiveIndex(DIMENSION, switch_at=5_000)
    index.add(np.arange(5_000), vectors)
    answered = 0
    while index.building:
        query = answered % 5_000
        assert index.search(vectors[[query]], 1).labels[0, 0] == query
        answered += 1
    assert index.kind == "hnsw"
    assert answered > 30


def test_much_that_was_added_during_the_build_is_linked_in_the_background_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    vectors = unit(5_900)
    index = AdaptiveIndex(DIMENSION, switch_at=4_000)
    index.add(np.arange(4_000), vectors[:4_000])
    index.add(np.arange(4_000, 5_900), vectors[4_000:])
    assert (index.kind, index.building) == ("exact", True)
    assert index.settle(DEADLINE_S)
    assert_holds(index, np.arange(5_900), vectors)
    assert ("index.graph_serves", {"live": 5900, "linked_at_switch": 0}) in logged(caplog)


def test_too_many_tombstones_are_left_behind_in_the_background() -> None:
    vectors = unit(2_200)
    index = make_index("hnsw", DIMENSION)
    assert isinstance(index, AdaptiveIndex)
    index.add(np.arange(2_000), vectors[:2_000])
    index.remove(np.arange(400))
    assert not index.building
    index.remove(np.arange(400, 500))
    assert (index.kind, index.building) == ("hnsw", True)
    index.add(np.arange(2_000, 2_200), vectors[2_000:])
    index.remove(np.arange(500, 510))
    assert_holds(index, np.arange(510, 2_200), vectors[510:])
    assert index.settle(DEADLINE_S)
    assert index.hnsw is not None
    assert (index.kind, index.hnsw.tombstones) == ("hnsw", 10)
    assert_holds(index, np.arange(510, 2_200), vectors[510:])


def test_a_few_tombstones_are_not_worth_a_new_graph() -> None:
    index = AdaptiveIndex(DIMENSION, switch_at=0)
    index.add(np.arange(300), unit(300))
    index.remove(np.arange(255))
    assert not index.building
    index.remove(np.arange(255, 256))
    assert index.building
    assert index.settle(DEADLINE_S)


def test_a_failed_build_changes_nothing_and_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real_add = HnswGraph.add

    def out_of_memory(graph: HnswGraph, labels: np.ndarray, vectors: Vectors) -> None:
        raise MemoryError("no room for the graph")

    vectors = unit(2_400)
    index = AdaptiveIndex(DIMENSION, switch_at=1_000)
    monkeypatch.setattr(HnswGraph, "add", out_of_memory)
    index.add(np.arange(1_000), vectors[:1_000])
    assert index.settle(DEADLINE_S)
    assert (index.kind, index.building) == ("exact", False)
    assert ("index.build_failed", {"live": 1000, "serving": "exact"}) in logged(caplog)
    assert "no room for the graph" in caplog.text
    monkeypatch.setattr(HnswGraph, "add", real_add)
    index.add(np.arange(1_000, 1_900), vectors[1_000:1_900])
    assert not index.building
    assert_holds(index, np.arange(1_900), vectors[:1_900])
    index.add(np.arange(1_900, 2_400), vectors[1_900:])
    assert index.settle(DEADLINE_S)
    assert index.kind == "hnsw"
    assert_holds(index, np.arange(2_400), vectors)


def test_closing_gives_the_build_up_and_what_served_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    vectors = unit(5_000)
    index = AdaptiveIndex(DIMENSION, switch_at=4_000)
    index.add(np.arange(4_000), vectors[:4_000])
    assert index.building
    index.close()
    assert ("index.build_abandoned", {"vectors": 4000}) in logged(caplog)
    assert (index.kind, index.building) == ("exact", False)
    index.add(np.arange(4_000, 5_000), vectors[4_000:])
    assert not index.building
    assert_holds(index, np.arange(5_000), vectors)
    index.close()


def test_settling_gives_up_at_its_deadline() -> None:
    index = AdaptiveIndex(DIMENSION, switch_at=4_000)
    index.add(np.arange(4_000), unit(4_000))
    assert not index.settle(timeout_s=0)
    assert index.building
    index.close()


def test_a_restored_index_serves_at_once_and_is_renewed_like_any_other() -> None:
    vectors = unit(2_000)
    restored = HnswIndex.empty(DIMENSION)
    restored.add(np.arange(2_000), vectors)
    restored.remove(np.arange(600))
    index = AdaptiveIndex(DIMENSION, restored=restored)
    assert (index.kind, len(index)) == ("hnsw", 1_400)
    index.remove(np.arange(600, 601))
    assert index.building
    assert index.settle(DEADLINE_S)
    assert index.hnsw is not restored
    assert_holds(index, np.arange(601, 2_000), vectors[601:])


def test_the_graph_of_a_background_build_is_the_one_a_plain_build_gives() -> None:
    vectors = unit(2_000)
    plain = HnswIndex.empty(DIMENSION)
    plain.add(np.arange(2_000), vectors)
    index = AdaptiveIndex(DIMENSION, HnswParameters(), switch_at=2_000)
    index.add(np.arange(2_000), vectors)
    assert index.settle(DEADLINE_S)
    assert index.hnsw is not None
    found, expected = index.search(vectors, 10), plain.search(vectors, 10)
    np.testing.assert_array_equal(found.labels, expected.labels)


def test_a_graph_over_many_vectors_at_once_is_built_in_the_background() -> None:
    index = make_index("hnsw", DIMENSION, expected=10_000)
    assert isinstance(index, AdaptiveIndex)
    vectors = unit(4_000)
    index.add(np.arange(2_000), vectors[:2_000])
    assert (index.kind, index.building) == ("exact", True)
    index.add(np.arange(2_000, 4_000), vectors[2_000:])
    assert index.settle(DEADLINE_S)
    assert index.kind == "hnsw"
    assert_holds(index, np.arange(4_000), vectors)


@pytest.mark.parametrize("expected", [0, 100])
def test_a_graph_over_few_vectors_is_there_at_once(expected: int) -> None:
    index = make_index("hnsw", DIMENSION, expected=expected)
    index.add(np.arange(100), unit(100))
    assert isinstance(index, AdaptiveIndex)
    assert (index.kind, index.building) == ("hnsw", False)


def test_what_is_expected_makes_no_graph_where_none_was_asked_for() -> None:
    for kind in ("exact", "auto"):
        index = make_index(kind, DIMENSION, expected=50_000)  # type: ignore[arg-type]
        index.add(np.arange(100), unit(100))
        assert index.kind == "exact"
        assert not getattr(index, "building", False)


FORGETFUL = """
import logging, numpy as np
from recommender_engine.index import AdaptiveIndex
logging.basicConfig(level=logging.INFO)
vectors = np.random.default_rng(7).normal(size=(20_000, 64)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
index = AdaptiveIndex(64, switch_at=20_000)
index.add(np.arange(20_000), vectors)
assert index.building
"""


def test_a_process_that_forgets_to_close_still_ends_well() -> None:
    ended = subprocess.run([sys.executable, "-c", FORGETFUL], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "index.build_abandoned" in ended.stderr
