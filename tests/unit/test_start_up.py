"""What takes long at the start is done side by side: the check of the database, the indexes, the models."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from celery_recommender.cli.input.checkpoint import Checkpoint
from recommender_engine import opening
from recommender_engine.embedding import Encoder
from recommender_engine.errors import ModelError, StateDamaged, StateError
from recommender_engine.index import AdaptiveIndex, HnswIndex
from recommender_engine.opening import DATABASE
from recommender_engine.pipeline import Indexes
from recommender_engine.pipeline.learning.models import Models as LearnedModels
from recommender_engine.pipeline.vectors.indexes import IndexContents
from recommender_engine.store import SqliteStore
from recommender_engine.store.vectors import VectorTable
from recommender_engine.testing import DeterministicEncoder
from tests.support.engine import Log, Models, opened

DEADLINE_S = 20
PAGE = 4096


class Meeting(Models):
    """Models whose loading goes on only when everybody else is there."""

    def __init__(self, met: threading.Barrier) -> None:
        super().__init__()
        self._met: threading.Barrier | None = met

    def encoder(self, name: str) -> Encoder:
        met, self._met = self._met, None
        if met is not None:
            met.wait(DEADLINE_S)
        return super().encoder(name)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    engine = opened(tmp_path)
    engine.process([Log().upsert("a", "the printer does not work")])
    engine.close()
    return tmp_path


def test_everything_that_takes_long_is_under_way_at_once(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recommender_engine import open_recommender

    met = threading.Barrier(3)
    check, read = SqliteStore.check, Indexes.read_snapshot

    def check_(self: SqliteStore) -> None:
        met.wait(DEADLINE_S)
        check(self)

    def read_(self: Indexes, wanted: IndexContents) -> HnswIndex | None:
        met.wait(DEADLINE_S)
        return read(self, wanted)

    monkeypatch.setattr(SqliteStore, "check", check_)
    monkeypatch.setattr(Indexes, "read_snapshot", read_)
    open_recommender(state, Meeting(met)).close()


def page_of(state: Path, name: str) -> int:
    """Where the root of a table or index begins, in bytes."""
    with closing(sqlite3.connect(state / DATABASE)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name=?", (name,)).fetchone()
    return (int(page) - 1) * PAGE


def test_a_database_that_fails_its_check_is_not_written_to(state: Path) -> None:
    """Although there are statistics to drop, words to compact, and a snapshot that has been read by then."""
    log = Log(1_800_000_000_000)
    with closing(opened(state)) as engine:
        engine.process([log.configure(index="hnsw"), *(log.upsert(f"i{n}", f"ticket {n}") for n in range(30))])
        engine.snapshot(all_changes=True)
    with closing(sqlite3.connect(state / DATABASE)) as database, database:
        database.execute("ANALYZE")
        database.execute("INSERT OR REPLACE INTO meta VALUES ('something was erased', '1')")
    with (state / DATABASE).open("r+b") as file:
        file.seek(page_of(state, "items_by_match"))
        file.write(b"\xff" * PAGE)
    before = (state / DATABASE).read_bytes()
    with pytest.raises(StateDamaged, match="recommender restore"):
        opened(state)
    assert (state / DATABASE).read_bytes() == before


def test_whatever_damage_does_to_the_start_the_check_says_what_it_is(state: Path) -> None:
    """A page of another table in the place of one that is read before the check is done."""
    with (state / DATABASE).open("r+b") as file:
        file.seek(page_of(state, "sqlite_sequence"))
        page = file.read(PAGE)
        file.seek(page_of(state, "collections"))
        file.write(page)
    with pytest.raises(StateDamaged, match="recommender restore"):
        opened(state)


def test_an_error_of_a_state_that_is_whole_stays_what_it_is(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Indexes, wanted: IndexContents) -> HnswIndex | None:
        raise ZeroDivisionError

    monkeypatch.setattr(Indexes, "read_snapshot", fail)
    with pytest.raises(ZeroDivisionError):
        opened(state)
    monkeypatch.undo()
    opened(state).close()


@pytest.mark.parametrize("late", [(VectorTable, "points"), (LearnedModels, "__init__")])
def test_a_start_that_fails_late_leaves_no_index_behind(
    state: Path, monkeypatch: pytest.MonkeyPatch, late: tuple[type, str]
) -> None:
    closed: list[AdaptiveIndex] = []
    monkeypatch.setattr(AdaptiveIndex, "close", lambda self: closed.append(self))

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(*late, fail)
    with pytest.raises(ZeroDivisionError):
        opened(state)
    assert len(closed) == 1


def test_a_database_is_read_in_the_disks_order_before_it_is_checked(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr("recommender_engine.store.sqlite.read_ahead", lambda descriptor: order.append("read"))
    monkeypatch.setattr("recommender_engine.store.sqlite.check", lambda *_: order.append("checked"))
    opened(state).close()
    assert order == ["read", "checked"]


def test_indexes_of_a_state_that_is_not_opened_are_let_go(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    discarded: list[bool] = []
    monkeypatch.setattr(Indexes, "discard", lambda self: discarded.append(True))
    with pytest.raises(ModelError, match="bring back the files and settings of the first"):
        opened(state, DeterministicEncoder(32))
    assert discarded == [True]
    opened(state).close()


def test_a_full_disk_is_reported_with_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(opening.os, "pwrite", full)
    with pytest.raises(StateError, match=f"{re.escape(str(tmp_path))} cannot be used: No space left on device"):
        opening.lock_directory(tmp_path)
    monkeypatch.undo()
    opening.release(opening.lock_directory(tmp_path))  # and it is not kept locked
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StateError, match=r"cannot be noted in .*\(RECOMMENDER_STATE_DIR\): No space left"):
        Checkpoint(tmp_path, "a run", restart=True).save()
