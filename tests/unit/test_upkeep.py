"""The chores of an owner: what one that fails means for the others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis.exceptions import ConnectionError as ServerAway
from redis.exceptions import OutOfMemoryError

from celery_recommender.owner.loop import upkeep
from celery_recommender.owner.loop.upkeep import Upkeep
from recommender_engine.errors import StateFull


class Chores:
    """Three chores, of which the second fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.done: list[str] = []
        self.doubts = 0
        self.upkeep = Upkeep((self.note("first"), self.fail, self.note("third")), self.doubt)

    def note(self, name: str) -> Callable[[], None]:
        return lambda: self.done.append(name)

    def fail(self) -> None:
        raise self.error

    def doubt(self) -> None:
        self.doubts += 1


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_EVERY_S", 0.0)


def test_a_full_disk_leaves_out_one_chore_only(caplog: pytest.LogCaptureFixture) -> None:
    chores = Chores(StateFull("no room"))
    chores.upkeep.tend()
    assert (chores.done, chores.doubts) == (["first", "third"], 0)
    assert "owner.disk_full" in caplog.text


@pytest.mark.parametrize(("error", "doubts"), [(ServerAway("away"), 1), (OutOfMemoryError("full"), 0)])
def test_after_an_error_of_the_server_the_rest_is_left_for_the_next_second(error: Exception, doubts: int) -> None:
    chores = Chores(error)
    chores.upkeep.tend()
    assert (chores.done, chores.doubts) == (["first"], doubts)
    chores.upkeep.tend()
    assert chores.done == ["first", "first"]


def test_an_error_that_no_wait_helps_ends_the_owner() -> None:
    with pytest.raises(ZeroDivisionError, match="unexpected"):
        Chores(ZeroDivisionError("unexpected")).upkeep.tend()


def test_chores_are_done_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_EVERY_S", 3600.0)
    chores = Chores(StateFull("no room"))
    chores.upkeep.tend()
    chores.upkeep.tend()
    assert chores.done == ["first", "third"]
