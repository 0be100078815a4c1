"""What takes long at the start is done side by side: the check of the database, the indexes, the models."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from recommender.embedding import Encoder
from recommender.errors import ModelError, StateDamaged
from recommender.index import HnswIndex
from recommender.opening import DATABASE
from recommender.pipeline import Indexes
from recommender.pipeline.indexes import Wanted
from recommender.store import SqliteStore
from recommender.testing import DeterministicEncoder
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
    from recommender import open_recommender

    met = threading.Barrier(3)
    check, restored = SqliteStore.check, Indexes.restored

    def check_(self: SqliteStore) -> None:
        met.wait(DEADLINE_S)
        check(self)

    def restored_(self: Indexes, wanted: Wanted) -> HnswIndex | None:
        met.wait(DEADLINE_S)
        return restored(self, wanted)

    monkeypatch.setattr(SqliteStore, "check", check_)
    monkeypatch.setattr(Indexes, "restored", restored_)
    open_recommender(state, Meeting(met)).close()


def test_a_database_that_fails_its_check_is_not_written_to(state: Path) -> None:
    """Its indexes have been read by then, and its models loaded."""
    with closing(sqlite3.connect(state / DATABASE)) as database, database:
        (index,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name='items_by_match'").fetchone()
    with (state / DATABASE).open("r+b") as file:
        file.seek((index - 1) * PAGE)
        file.write(b"\xff" * PAGE)
    before = (state / DATABASE).read_bytes()
    with pytest.raises(StateDamaged, match="recommender restore"):
        opened(state)
    assert (state / DATABASE).read_bytes() == before


def test_a_state_with_vectors_of_another_model_is_not_opened(state: Path) -> None:
    with pytest.raises(ModelError, match="bring back the files and settings of the first"):
        opened(state, DeterministicEncoder(32))
    opened(state).close()
