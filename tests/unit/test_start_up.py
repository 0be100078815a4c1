"""What takes long at the start is done side by side: models load while the indexes are read."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from recommender.embedding import Encoder
from recommender.errors import ModelError
from recommender.pipeline import Indexes
from recommender.store import Collection
from recommender.testing import DeterministicEncoder
from tests.support.engine import Log, Models, opened

DEADLINE_S = 20


class Meeting(Models):
    """Models whose loading goes on only while the indexes are being read."""

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


def test_models_load_while_the_indexes_are_read(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recommender import open_recommender

    met, real = threading.Barrier(2), Indexes.open

    def open_(self: Indexes, collections: Iterable[Collection]) -> None:
        met.wait(DEADLINE_S)
        real(self, collections)

    monkeypatch.setattr(Indexes, "open", open_)
    open_recommender(state, Meeting(met)).close()


def test_indexes_of_a_state_that_is_not_opened_are_let_go(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    discarded: list[bool] = []
    monkeypatch.setattr(Indexes, "discard", lambda self: discarded.append(True))
    with pytest.raises(ModelError, match="bring back the files and settings of the first"):
        opened(state, DeterministicEncoder(32))
    assert discarded == [True]
    opened(state).close()
