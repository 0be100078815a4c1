"""Vectors that lie on disk because a graph holds them too."""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import closing
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pytest

from recommender_engine.index import AdaptiveIndex, FlatIndex, HnswIndex, Vectors, recall, rows
from recommender_engine.index.rows import FileRows
from recommender_engine.pipeline.vectors import indexes
from recommender_engine.pipeline.vectors.indexes import Indexes
from tests.support.engine import Log, opened
from tests.support.logs import logged
from tests.support.waiting import wait_until

DIMENSION = 32


def unit(count: int, seed: int = 7) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def save(directory: Path, count: int) -> None:
    """A graph of so many vectors in the file ``graph``."""
    index = HnswIndex.empty(DIMENSION)
    index.add(np.arange(count), unit(count))
    index.save(directory / "graph")


def full(*_: object, **__: object) -> int:
    """What a full disk says to whoever writes."""
    raise OSError(28, "No space left on device")


def descriptors() -> int:
    """How many files are open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def assert_same(one: FlatIndex, other: FlatIndex, queries: Vectors) -> None:
    np.testing.assert_array_equal(one.labels(), other.labels())
    for found, expected in zip(one.search(queries, 7), other.search(queries, 7), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_on_disk_everything_is_as_in_memory(tmp_path: Path) -> None:
    vectors = unit(3_000)
    memory, disk = FlatIndex(DIMENSION), FlatIndex(DIMENSION, FileRows(tmp_path, DIMENSION))
    for start in range(0, 3_000, 700):
        part = np.arange(start, min(start + 700, 3_000))
        for index in (memory, disk):
            index.add(part, vectors[part])
            index.remove(part[::3])
    for index in (memory, disk):
        index.remove(np.arange(1_500))
        index.add(np.array([3_500, 3_400]), unit(2, seed=8))
    assert disk.on_disk
    assert_same(disk, memory, unit(40, seed=9))
    np.testing.assert_array_equal(disk.vectors(disk.labels()), memory.vectors(memory.labels()))


def test_after_a_start_vectors_stay_in_the_snapshot(tmp_path: Path) -> None:
    vectors = unit(3_000)
    shuffled = np.random.default_rng(3).permutation(2_000)  # as several threads number them
    saved = HnswIndex.empty(DIMENSION)
    saved.add(shuffled, vectors[shuffled])
    saved.remove(np.arange(0, 2_000, 7))
    saved.save(tmp_path / "graph")
    loaded = HnswIndex.load(tmp_path / "graph", DIMENSION, directory=tmp_path)
    (tmp_path / "graph").unlink()  # newer ones have taken its place
    assert loaded.exact.on_disk
    for index in (saved, loaded):
        index.add(np.arange(2_000, 3_000), vectors[2_000:])
        index.remove(np.arange(1_990, 2_010))
    assert_same(loaded.exact, saved.exact, unit(40, seed=9))
    np.testing.assert_array_equal(loaded.vectors(loaded.labels()), vectors[loaded.labels()])
    across = np.array([2_500, 1, 2_999, 1_989])
    np.testing.assert_array_equal(loaded.vectors(across), vectors[across])
    loaded.exact.frozen().rows.let_go()
    for index in (saved, loaded):
        index.remove(np.arange(1_000))  # so many that the rows are written anew
    assert_same(loaded.exact, saved.exact, unit(40, seed=10))
    assert list(tmp_path.iterdir()) == []


def test_after_a_start_a_full_disk_costs_memory_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, 500)
    loaded = HnswIndex.load(tmp_path / "graph", DIMENSION, directory=tmp_path)

    monkeypatch.setattr(os, "pwrite", full)
    loaded.add(np.arange(500, 600), unit(100, seed=8))
    assert not loaded.exact.on_disk
    assert ("index.disk_refused", {"vectors": 500}) in logged(caplog)
    np.testing.assert_array_equal(loaded.vectors(np.arange(600)), np.concatenate([unit(500), unit(100, seed=8)]))


def test_a_start_on_a_disk_that_takes_no_file_costs_memory_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, 500)

    monkeypatch.setattr(tempfile, "mkstemp", full)
    loaded = HnswIndex.load(tmp_path / "graph", DIMENSION, directory=tmp_path)
    assert not loaded.exact.on_disk
    assert ("index.disk_refused", {"vectors": 500}) in logged(caplog)
    np.testing.assert_array_equal(loaded.vectors(np.arange(500)), unit(500))


def test_a_snapshot_in_which_nothing_lives(tmp_path: Path) -> None:
    saved = HnswIndex.empty(DIMENSION)
    saved.add(np.arange(300), unit(300))
    saved.remove(np.arange(300))
    saved.save(tmp_path / "graph")
    loaded = HnswIndex.load(tmp_path / "graph", DIMENSION, directory=tmp_path)
    assert len(loaded) == 0
    loaded.add(np.arange(300, 400), unit(100))
    assert loaded.search(unit(100), 1).labels[:, 0].tolist() == list(range(300, 400))


def test_a_snapshot_that_is_let_go_is_closed(tmp_path: Path) -> None:
    save(tmp_path, 1_000)
    before = descriptors()
    loaded = HnswIndex.load(tmp_path / "graph", DIMENSION, directory=tmp_path)
    assert "/graph" in Path("/proc/self/maps").read_text()
    loaded.remove(np.arange(600))  # what is left is written anew
    assert "/graph" not in Path("/proc/self/maps").read_text()
    del loaded
    assert descriptors() == before


def test_a_start_copies_no_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 500)

    def refused(*_: object) -> int:
        raise AssertionError("written")

    monkeypatch.setattr(os, "pwrite", refused)
    loaded = HnswIndex.load(tmp_path / "graph", DIMENSION, directory=tmp_path)
    np.testing.assert_array_equal(loaded.vectors(np.arange(500)), unit(500))


def test_the_file_has_no_name_and_goes_with_the_index(tmp_path: Path) -> None:
    index = FlatIndex(DIMENSION, FileRows(tmp_path, DIMENSION))
    before = descriptors()
    index.add(np.arange(10), unit(10))
    assert list(tmp_path.iterdir()) == []
    del index
    assert descriptors() < before


def test_a_disk_that_is_full_costs_memory_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    index = FlatIndex(DIMENSION, FileRows(tmp_path, DIMENSION))
    index.add(np.arange(1_000), unit(1_000))

    monkeypatch.setattr(os, "pwrite", full)
    index.add(np.arange(1_000, 1_100), unit(100, seed=8))
    assert not index.on_disk
    assert ("index.disk_refused", {"vectors": 1000}) in logged(caplog)
    np.testing.assert_array_equal(index.vectors(np.arange(1_100)), np.concatenate([unit(1_000), unit(100, seed=8)]))


def test_vectors_move_to_the_disk_when_a_graph_takes_over(tmp_path: Path) -> None:
    vectors = unit(1_500)
    index = AdaptiveIndex(DIMENSION, switch_at=1_000, directory=tmp_path / "made")
    index.add(np.arange(1_000), vectors[:1_000])
    frozen = index._exact.freeze(np.arange(5))
    assert not index._exact.on_disk
    assert index.settle(timeout_s=60)
    assert index._exact.on_disk
    index.add(np.arange(1_000, 1_500), vectors[1_000:])
    np.testing.assert_array_equal(index.vectors(np.arange(1_500)), vectors)
    assert (index.search(vectors, 3).labels[:, 0] == np.arange(1_500)).mean() > 0.99
    np.testing.assert_array_equal(next(frozen.chunks(5))[1], vectors[:5])
    index.close()


def test_labels_may_come_in_any_order() -> None:
    vectors = unit(900)
    one, other = FlatIndex(DIMENSION), FlatIndex(DIMENSION)
    one.add(np.arange(900), vectors)
    order = np.random.default_rng(3).permutation(900)
    for start in range(0, 900, 90):
        part = order[start : start + 90]
        other.add(part, vectors[part])
    assert_same(one, other, unit(20, seed=8))


@pytest.mark.parametrize("count", [1, 257, 8_193, 20_000])
def test_search_by_blocks_finds_what_one_product_finds(count: int) -> None:
    rng = np.random.default_rng(5)
    vectors = np.repeat(unit(-(-count // 4)), 4, axis=0)[:count]  # every similarity four times: labels decide
    index = FlatIndex(DIMENSION)
    index.add(np.arange(count), vectors)
    gone = rng.choice(count, count // 10, replace=False)
    index.remove(gone)
    queries = unit(300, seed=11)
    cosines = np.einsum("nd,qd->qn", vectors.astype(np.float64), queries.astype(np.float64)).astype(np.float32)
    cosines[:, gone] = -np.inf
    wanted = min(10, len(index))
    expected = np.array([np.lexsort((np.arange(count), -row))[:wanted] for row in cosines])
    np.testing.assert_array_equal(index.search(queries, 10).labels[:, :wanted], expected)


def test_where_the_disk_refuses_at_the_switch_memory_serves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    (tmp_path / "file").touch()
    index = AdaptiveIndex(DIMENSION, switch_at=100, directory=tmp_path / "file")
    index.add(np.arange(300), unit(300))
    assert index.settle(timeout_s=60)
    assert (index.kind, index._exact.on_disk) == ("hnsw", False)
    assert ("index.disk_refused", {"vectors": 300}) in logged(caplog)
    index.close()


def test_so_many_collections_with_a_graph_do_not_use_up_the_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_open", WeakSet())
    monkeypatch.setattr(rows, "most_files", lambda: 3)
    log = Log()
    with closing(opened(tmp_path)) as engine:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for n in range(12):
            engine.process([log.configure(f"c{n}", index="hnsw")])
            engine.process([log.upsert(f"i{m}", f"text {m}", collection=f"c{n}") for m in range(30)])
        engine._base.indexes.settle(60.0)
        assert engine.sizes()[1] == {"hnsw": 360}
        assert len(rows._open) == 3
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 3 * 3
        assert {len(engine.search("text 7", f"c{n}")) > 0 for n in range(12)} == {True}
    with closing(opened(tmp_path)) as engine:
        assert len(rows._open) == 3, "after a start as well"
        assert engine.sizes()[1] == {"hnsw": 360}


def test_upkeep_looks_at_no_index_that_has_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "_LEAST_CHANGES", 10)
    log = Log()
    with closing(opened(tmp_path)) as engine:
        for n in range(8):
            engine.process([log.configure(f"c{n}", index="hnsw")])
            for m in range(70):
                engine.process([log.upsert(f"i{m}", f"text {m}", collection=f"c{n}")])
        engine._base.indexes.settle(60.0)
        engine.snapshot(all_changes=True)
        wait_until(lambda: bool(engine.recalls()) and not engine._base.indexes._changeable, "the samples to be taken")
        assert len(engine.recalls()) == 8
        looked: list[int] = []
        counted, graph = Indexes._count, indexes._hnsw
        monkeypatch.setattr(Indexes, "_count", lambda self, one: (looked.append(one.id), counted(self, one)))
        monkeypatch.setattr(indexes, "_hnsw", lambda index: (looked.append(id(index)), graph(index))[1])
        for all_changes in (False, True):
            engine.snapshot(all_changes=all_changes)
            assert len(engine.recalls()) == 8
            assert engine.sizes()[1] == {"hnsw": 560}
        assert looked == []
        engine.process([log.upsert("more", "text more", collection="c3")])
        engine.snapshot(all_changes=True)
        assert len(set(looked)) == 2, "that one, by its number and its index"
