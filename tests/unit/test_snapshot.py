"""A snapshot is whole or refused; nothing damaged ever reaches hnswlib."""

from __future__ import annotations

import json
import logging
import resource
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from recommender_engine.errors import StateError
from recommender_engine.index import HnswIndex, HnswParameters, Vectors, snapshot
from tests.support.failing import failing_at
from tests.support.logs import logged

DIMENSION = 16
MODEL = "all-MiniLM-L6-v2@0123456789ab"
STAMP = snapshot.Stamp(MODEL, "1712-3", "celery-recommender 0.1.0")
EXPECTED = snapshot.Expectations(DIMENSION, MODEL, HnswParameters())


def unit(count: int, seed: int = 7) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def index_of(count: int, seed: int = 7) -> HnswIndex:
    index = HnswIndex.empty(DIMENSION)
    index.add(np.arange(1, count + 1), unit(count, seed))
    return index


@pytest.fixture(autouse=True)
def only_warnings(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a test before has set up."""
    caplog.set_level(logging.WARNING)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state" / "snapshots"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def graph_of(directory: Path, generation: int) -> Path:
    return directory / f"index-{generation:012d}.hnsw"


def manifest_of(directory: Path, generation: int) -> Path:
    return directory / f"index-{generation:012d}.json"


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def test_a_snapshot_gives_back_everything(directory: Path) -> None:
    index = index_of(400)
    index.remove(np.array([3, 400]))
    record = snapshot.write(directory, index, STAMP)
    restored = snapshot.read(directory, EXPECTED, {record.digest})
    assert restored is not None
    loaded, manifest = restored
    assert manifest == record.manifest
    assert (manifest.position, manifest.model_key, manifest.created_by) == ("1712-3", MODEL, "celery-recommender 0.1.0")
    assert (manifest.live, manifest.highest_label, manifest.dimension, manifest.space) == (398, 399, DIMENSION, "ip")
    assert loaded.labels().tolist() == index.labels().tolist()
    before, after = index.search(unit(400), 50), loaded.search(unit(400), 50)
    np.testing.assert_array_equal(before.labels, after.labels)
    np.testing.assert_array_equal(before.similarities, after.similarities)


def test_an_empty_index_has_a_snapshot_too(directory: Path) -> None:
    record = snapshot.write(directory, HnswIndex.empty(DIMENSION), STAMP)
    restored = snapshot.read(directory, EXPECTED, {record.digest})
    assert restored is not None
    assert (len(restored[0]), restored[1].live, restored[1].highest_label) == (0, 0, -1)


def test_parameters_of_the_search_take_effect_anew(directory: Path) -> None:
    record = snapshot.write(directory, index_of(300), STAMP)
    parameters = HnswParameters(ef_search_floor=99)
    restored = snapshot.read(directory, replace(EXPECTED, parameters=parameters), {record.digest})
    assert restored is not None
    assert restored[0].parameters == parameters
    restored[0].search(unit(1), 1)
    assert restored[0]._graph._hnsw.ef == 99


def test_two_generations_are_kept_and_closed_to_others(directory: Path) -> None:
    records = [snapshot.write(directory, index_of(count), STAMP) for count in (10, 20, 30)]
    assert [record.generation for record in records] == [1, 2, 3]
    assert names(directory) == [
        "index-000000000002.hnsw",
        "index-000000000002.json",
        "index-000000000003.hnsw",
        "index-000000000003.json",
    ]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}


def test_a_directory_that_was_open_to_others_is_closed(directory: Path) -> None:
    directory.mkdir(parents=True, mode=0o755)
    snapshot.write(directory, index_of(10), STAMP)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_no_directory_means_no_snapshot(directory: Path) -> None:
    assert snapshot.read(directory, EXPECTED, set()) is None


def test_an_unknown_digest_is_not_trusted(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    snapshot.write(directory, index_of(10), STAMP)
    assert snapshot.read(directory, EXPECTED, {"0" * 64}) is None
    reason = "the manifest is not one that the database knows"
    assert logged(caplog) == [("index.snapshot_refused", {"generation": 1, "reason": reason})]


@pytest.mark.parametrize("flips", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_flipped_bit_is_refused(directory: Path, flips: int) -> None:
    record = snapshot.write(directory, index_of(60), STAMP)
    rng = np.random.default_rng(5)
    for path in (graph_of(directory, 1), manifest_of(directory, 1)):
        for bit in rng.integers(0, 8 * path.stat().st_size, flips).tolist():
            flip(path, bit)
            assert snapshot.read(directory, EXPECTED, {record.digest}) is None
            flip(path, bit)
    assert snapshot.read(directory, EXPECTED, {record.digest}) is not None


@pytest.mark.parametrize("make_path", [graph_of, manifest_of])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_file_is_refused(directory: Path, make_path: Callable[[Path, int], Path], share: float) -> None:
    record = snapshot.write(directory, index_of(60), STAMP)
    path = make_path(directory, 1)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert snapshot.read(directory, EXPECTED, {record.digest}) is None


def test_another_indexs_file_is_refused(directory: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record = snapshot.write(directory, index_of(60), STAMP)
    other = snapshot.write(tmp_path / "other", index_of(60, seed=8), STAMP)
    shutil.copy(graph_of(tmp_path / "other", 1), graph_of(directory, 1))
    assert snapshot.read(directory, EXPECTED, {record.digest, other.digest}) is None
    reason = "the graph file has another checksum than its manifest says"
    assert ("index.snapshot_refused", {"generation": 1, "reason": reason}) in logged(caplog)


def test_a_disk_that_cannot_read_it_is_met_by_reading_and_not_by_a_mapping(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the disk behind a mapping ends the process."""
    record = snapshot.write(directory, index_of(60), STAMP)

    def broken(path: Path) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(snapshot, "sha256", broken)
    monkeypatch.setattr(HnswIndex, "load", pytest.fail)
    assert snapshot.read(directory, EXPECTED, {record.digest}) is None
    assert "Input/output error" in str(logged(caplog))


def test_a_snapshot_serves_on_when_newer_ones_have_taken_its_place(directory: Path) -> None:
    record = snapshot.write(directory, index_of(400), STAMP)
    restored = snapshot.read(directory, EXPECTED, {record.digest})
    assert restored is not None
    index, _ = restored
    for number in range(3):
        index.add(np.array([1_000 + number]), unit(1, seed=number))
        snapshot.write(directory, index, STAMP)
    assert not graph_of(directory, 1).exists()
    index.exact.frozen().rows.let_go()
    np.testing.assert_array_equal(index.vectors(np.arange(1, 401)), unit(400))
    assert index.search(unit(400), 1).labels[:, 0].tolist() == list(range(1, 401))


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        (replace(EXPECTED, model_key="other@1"), f"model_key is '{MODEL}', not 'other@1'"),
        (replace(EXPECTED, dimension=32), "dimension is 16, not 32"),
        (replace(EXPECTED, parameters=HnswParameters(m=8)), "m is 16, not 8"),
        (replace(EXPECTED, parameters=HnswParameters(ef_construction=99)), "ef_construction is 200, not 99"),
    ],
)
def test_a_snapshot_made_for_something_else_is_refused(
    directory: Path, expected: snapshot.Expectations, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    record = snapshot.write(directory, index_of(10), STAMP)
    assert snapshot.read(directory, expected, {record.digest}) is None
    assert logged(caplog) == [("index.snapshot_refused", {"generation": 1, "reason": reason})]


@pytest.mark.parametrize("change", [{"format": 2}, {"space": "l2"}, {"live": "ten"}, {"extra": 1}])
def test_a_manifest_of_another_release_is_refused(directory: Path, change: dict[str, object]) -> None:
    """Even one that the database knows: the other release wrote it."""
    snapshot.write(directory, index_of(10), STAMP)
    path = manifest_of(directory, 1)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert snapshot.read(directory, EXPECTED, {sha256(path.read_bytes()).hexdigest()}) is None


@pytest.mark.parametrize("make_path", [graph_of, manifest_of])
def test_the_generation_before_is_used_if_a_file_is_missing(
    directory: Path, make_path: Callable[[Path, int], Path]
) -> None:
    trusted = {snapshot.write(directory, index_of(count), STAMP).digest for count in (10, 20)}
    make_path(directory, 2).unlink()
    restored = snapshot.read(directory, EXPECTED, trusted)
    assert restored is not None
    assert len(restored[0]) == restored[1].live == 10


def test_the_generation_before_is_used_if_the_newest_is_damaged(directory: Path) -> None:
    trusted = {snapshot.write(directory, index_of(count), STAMP).digest for count in (10, 20)}
    flip(graph_of(directory, 2), 5_000)
    restored = snapshot.read(directory, EXPECTED, trusted)
    assert restored is not None
    assert len(restored[0]) == 10


def test_the_generation_before_is_used_if_the_newest_was_never_recorded(directory: Path) -> None:
    """A kill between the snapshot and the commit that records its digest."""
    recorded = snapshot.write(directory, index_of(10), STAMP)
    snapshot.write(directory, index_of(20), STAMP)
    restored = snapshot.read(directory, EXPECTED, {recorded.digest})
    assert restored is not None
    assert len(restored[0]) == 10


def test_what_a_crash_left_behind_is_cleared_and_its_number_not_used_again(directory: Path) -> None:
    snapshot.write(directory, index_of(10), STAMP)
    (directory / "index-000000000002.hnsw.tmp").write_bytes(b"half")
    graph_of(directory, 2).write_bytes(b"a graph whose manifest was never written")
    (directory / "notes.txt").write_text("somebody else's file")
    record = snapshot.write(directory, index_of(20), STAMP)
    assert record.generation == 3
    assert names(directory) == [
        "index-000000000001.hnsw",
        "index-000000000001.json",
        "index-000000000003.hnsw",
        "index-000000000003.json",
        "notes.txt",
    ]


@contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """The kernel cuts writes short, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room_bytes", [0, 100, 20_000])
def test_a_full_disk_is_noticed_and_the_old_snapshot_stays(directory: Path, room_bytes: int) -> None:
    record = snapshot.write(directory, index_of(10), STAMP)
    before = names(directory)
    with (
        files_no_larger_than(room_bytes),
        pytest.raises(
            StateError, match=rf"could not be written.*{room_bytes} of \d+ bytes arrived; is the disk full\?"
        ),
    ):
        snapshot.write(directory, index_of(400), STAMP)
    assert names(directory) == before
    restored = snapshot.read(directory, EXPECTED, {record.digest})
    assert restored is not None
    assert len(restored[0]) == 10
    assert snapshot.write(directory, index_of(400), STAMP).generation == 2


def test_any_failure_of_the_disk_leaves_the_old_snapshot(directory: Path) -> None:
    """Every write, fsync and rename of a snapshot fails once."""
    trusted = [snapshot.write(directory, index_of(10), STAMP).digest]
    larger = index_of(40)
    for number in range(1, 100):
        with failing_at(number) as failure:
            try:
                trusted.append(snapshot.write(directory, larger, STAMP).digest)
            except StateError:
                assert failure.failed
        restored = snapshot.read(directory, EXPECTED, trusted)
        assert restored is not None
        assert len(restored[0]) == restored[1].live
        assert len(restored[0]) in (10, 40)
        if not failure.failed:
            assert number > 10
            return
        trusted.append(snapshot.write(directory, index_of(10), STAMP).digest)
    raise AssertionError("the calls never end")


def test_a_place_that_cannot_be_written_to_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="the index snapshot could not be written to"):
        snapshot.write(tmp_path / "file" / "snapshots", index_of(10), STAMP)
