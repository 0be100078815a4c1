"""An index that knows how much it finds, and does something about it."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from recommender_engine.index import AdaptiveIndex, FlatIndex, HnswIndex, HnswParameters, Vectors, recall_of
from recommender_engine.index.graph import HnswGraph
from recommender_engine.index.nearest import Searched
from recommender_engine.index.recall import RecallKeeper
from tests.support.logs import logged

DIMENSION = 32
POOR = HnswParameters(m=4, ef_construction=8, ef_search_floor=10)


def unit(count: int, seed: int = 7) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def poor_index(count: int) -> HnswIndex:
    index = HnswIndex.empty(DIMENSION, POOR)
    index.add(np.arange(count), unit(count))
    return index


def true_recall(index: HnswIndex, count: int) -> float:
    queries = unit(count)[:: count // 64]
    return recall_of(index.search(queries, 10).labels, index.exact.search(queries, 10).labels)


def test_recall_is_the_share_of_the_nearest_that_were_found() -> None:
    found, truth = np.array([[1, 2, 3], [4, 5, -1]]), np.array([[3, 2, 9], [4, 5, 6]])
    assert recall_of(found, truth) == pytest.approx(4 / 6)


def test_searches_are_widened_until_the_target_is_met(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    index = poor_index(4_000)
    assert true_recall(index, 4_000) < 0.7
    keeper = RecallKeeper(index, target=0.9, k=10)
    for _ in range(12):
        keeper.sample()
    keeper.settle()
    assert true_recall(index, 4_000) >= 0.88
    assert keeper.look() is not None
    assert not keeper.exhausted
    widths = [keys["ef"] for event, keys in logged(caplog) if event == "index.searches_widened"]
    assert widths == sorted(set(widths))
    assert index.widened_to == widths[-1]


def test_a_good_graph_is_left_alone() -> None:
    index = HnswIndex.empty(DIMENSION)
    index.add(np.arange(2_000), unit(2_000))
    keeper = RecallKeeper(index, target=0.95, k=10)
    keeper.sample()
    keeper.settle()
    assert keeper.look() >= 0.95  # type: ignore[operator]
    assert index.widened_to == 0


def test_widths_depend_on_the_changes_and_not_on_the_time_a_sample_takes() -> None:
    """A sample takes effect at the next one: however fast its thread is, the same changes see the same widths."""

    def widths(settled_early: bool) -> list[int]:
        index = AdaptiveIndex(DIMENSION, POOR.model_copy(update={"target_recall": 0.95}), switch_at=0)
        vectors, seen = unit(12_000), []
        for start in range(0, 12_000, 500):
            part = np.arange(start, start + 500)
            index.add(part, vectors[part])
            assert index.hnsw is not None
            if settled_early and index._keeper is not None and index._keeper._sample is not None:
                index._keeper._sample.recall()
            seen.append(index.hnsw.widened_to)
        index.close()
        return seen

    assert widths(settled_early=True) == widths(settled_early=False)
    assert widths(settled_early=False)[-1] > 0


def test_a_graph_that_finds_too_little_at_its_widest_is_built_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("recommender_engine.index.recall._MAX_WIDTH", 40)
    index = AdaptiveIndex(DIMENSION, POOR.model_copy(update={"target_recall": 0.9}), switch_at=0)
    vectors = unit(12_000)
    first = index.hnsw
    for start in range(0, 12_000, 1_000):
        part = np.arange(start, start + 1_000)
        index.add(part, vectors[part])
    assert index.settle(timeout_s=60)
    index.close()
    assert index.hnsw is not first
    events = [event for event, _ in logged(caplog)]
    assert events.index("index.recall_below_target") < events.index("index.build_started")
    assert sorted(index.labels().tolist()) == list(range(12_000))


@pytest.mark.parametrize("failing", ["in its thread", "before there is a thread"])
def test_a_sample_that_fails_is_dropped_and_the_index_goes_on(
    failing: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    vectors = unit(8_000)
    index = AdaptiveIndex(DIMENSION, POOR, switch_at=0)
    index.add(np.arange(2_000), vectors[:2_000])
    assert index._keeper is not None
    index._keeper.settle()
    figure = index.recall
    assert figure is not None

    def failed(*_: object) -> Any:
        raise OSError("the disk is gone")

    if failing == "in its thread":
        monkeypatch.setattr(Searched, "nearest", failed)
    else:
        monkeypatch.setattr(FlatIndex, "frozen", failed)
    for start in range(2_000, 8_000, 2_000):
        index.add(np.arange(start, start + 2_000), vectors[start : start + 2_000])
        index._keeper.settle()
        assert index.recall == figure
    index.close()
    assert len(index) == 8_000
    failures = [event for event, _ in logged(caplog)].count("index.recall_sample_failed")
    assert failures == 3, "one for each sample, and each was taken"
    monkeypatch.undo()
    index._keeper.sample()
    index._keeper.settle()
    assert index.recall not in (None, figure)


def test_a_graph_built_anew_is_searched_as_widely_as_the_one_before() -> None:
    index = AdaptiveIndex(DIMENSION, switch_at=1_000)
    index.add(np.arange(1_000), unit(1_000))
    assert index.settle(timeout_s=60)
    first = index.hnsw
    assert first is not None
    first.widen(150)
    index.remove(np.arange(300))
    assert index.settle(timeout_s=60)
    assert index.hnsw is not None
    assert index.hnsw is not first
    assert index.hnsw.widened_to == 150
    index.close()


def test_vectors_added_faster_than_a_build_links_them_are_linked_by_the_adding_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    linked: list[int] = []
    real_add = HnswGraph.add

    def counted(graph: HnswGraph, labels: Any, vectors: Vectors) -> None:
        linked.append(len(labels))
        real_add(graph, labels, vectors)

    vectors = unit(6_000)
    index = AdaptiveIndex(DIMENSION, switch_at=1_000)
    index.add(np.arange(1_000), vectors[:1_000])
    index.add(np.arange(1_000, 4_000), vectors[1_000:4_000])
    assert index._build is not None
    index._build.wait(60)
    monkeypatch.setattr(HnswGraph, "add", counted)
    for start in range(4_000, 6_000, 100):
        index.add(np.arange(start, start + 100), vectors[start : start + 100])
        index.remove(np.arange(start - 4_000, start - 3_990))
        if index.kind == "hnsw":
            break
    assert index.kind == "hnsw"
    assert max(linked) <= 128 + 3 * 100
    exact = FlatIndex(DIMENSION)
    exact.add(index.labels(), index.vectors(index.labels()))
    found = index.search(vectors[4_000:4_100], 5).labels
    assert recall_of(found, exact.search(vectors[4_000:4_100], 5).labels) > 0.95
    index.close()
