"""Backups of an owner: when they are made, what becomes of those that fail, and what may be trimmed meanwhile."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.owner.continuity import backups as keeping
from celery_recommender.owner.continuity.backups import BackupKeeper, BackupRequests
from celery_recommender.settings import Settings
from recommender_engine import Recommender, backups
from recommender_engine.errors import StateError, StateFull
from recommender_engine.items import START
from tests.support.engine import Log, opened
from tests.support.waiting import wait_until


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, backup_dir=tmp_path / "backups", backup_every_s=3600, backup_keep=2)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Recommender]:
    with closing(opened(tmp_path / "state")) as engine:
        engine.notes.identify("the identity")
        yield engine


@pytest.fixture
def requests() -> BackupRequests:
    return BackupRequests()


def tend_until(keeper: BackupKeeper, condition: Callable[[], object]) -> None:
    def tended() -> object:
        keeper.tend()
        return condition()

    wait_until(tended, "the backup", 10)


def test_nothing_may_be_trimmed_before_the_first_backup(
    settings: Settings, engine: Recommender, requests: BackupRequests
) -> None:
    log = Log()
    engine.process([log.upsert("a", "text")])
    keeper = BackupKeeper(engine, settings, requests)
    keeper.start()
    assert keeper.keep_from == START
    tend_until(keeper, lambda: keeper.newest)
    assert keeper.keep_from == engine.position
    first = keeper.keep_from
    engine.process([log.upsert("b", "text")])
    assert keeper.keep_from == first
    assert keeper.facts()["backup_position"] == str(first)


def test_without_a_folder_nothing_is_made_and_nothing_held(
    settings: Settings, engine: Recommender, requests: BackupRequests
) -> None:
    keeper = BackupKeeper(engine, settings.replaced(backup_dir=None), requests)
    keeper.start()
    keeper.tend()
    assert (keeper.keep_from, keeper.newest, keeper.facts()) == (None, None, {})
    answer = requests.ask()
    tend_until(keeper, answer.done)
    assert answer.result().path.parent == settings.state_dir / "backups"
    assert keeper.keep_from is None


def test_the_next_one_is_due_an_interval_after_the_last(
    settings: Settings, engine: Recommender, requests: BackupRequests
) -> None:
    engine.process([Log().upsert("a", "text")])
    keeper = BackupKeeper(engine, settings, requests)
    keeper.start()
    tend_until(keeper, lambda: keeper.newest)
    after_a_restart = BackupKeeper(engine, settings, requests)
    after_a_restart.start()
    after_a_restart.tend()
    assert after_a_restart.newest == keeper.newest
    assert after_a_restart.keep_from == START, "this process has verified none"
    late = BackupKeeper(engine, settings.replaced(backup_every_s=0.001), requests)
    late.start()
    tend_until(late, lambda: late.keep_from == engine.position)


def test_nothing_new_is_no_reason_for_another(
    settings: Settings, engine: Recommender, requests: BackupRequests
) -> None:
    keeper = BackupKeeper(engine, settings.replaced(backup_every_s=0.001), requests)
    keeper.start()
    tend_until(keeper, lambda: keeper.newest)
    first, at = keeper.newest, keeper.current_at
    tend_until(keeper, lambda: keeper.current_at != at)
    assert keeper.newest == first, "it is as current as one could be"


def test_one_that_fails_is_reported_counted_and_tried_again(
    settings: Settings, engine: Recommender, requests: BackupRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.process([Log().upsert("a", "text")])
    keeper = BackupKeeper(engine, settings, requests)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 0))
        answer = requests.ask()
        tend_until(keeper, answer.done)
        with pytest.raises(StateFull, match="has room for 0 bytes"):
            answer.result()
    assert (keeper.failures, keeper.keep_from) == (1, START)
    engine.process([Log(1_800_000_000_000).upsert("b", "text")])  # work goes on, the log is moved as ever
    monkeypatch.setattr(keeping, "_RETRY_S", 0.0)
    keeper._due_s = 0.0
    tend_until(keeper, lambda: keeper.keep_from == engine.position)


def test_an_older_one_that_cannot_be_deleted_does_not_undo_the_new_one(
    settings: Settings, engine: Recommender, requests: BackupRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> list[Path]:
        raise StateError("cannot be deleted")

    monkeypatch.setattr(backups, "prune", refuse)
    keeper = BackupKeeper(engine, settings, requests)
    answer = requests.ask()
    tend_until(keeper, answer.done)
    assert keeper.newest == answer.result()
    assert keeper.failures == 1


def slow_writing(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The disk takes its time, until a backup is cancelled."""
    begun = threading.Event()

    def write(copy: Any, directory: Path, origin: Any, cancelled: Callable[[], bool]) -> Any:
        begun.set()
        wait_until(cancelled, "somebody to give up", 10)
        raise backups.BackupCancelled("the backup was given up")

    monkeypatch.setattr(backups, "write", write)
    return begun


def test_an_owner_that_stops_gives_up_a_backup(
    settings: Settings, engine: Recommender, requests: BackupRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = slow_writing(monkeypatch)
    keeper = BackupKeeper(engine, settings, requests)
    first = requests.ask()
    keeper.tend()
    assert begun.wait(10)
    second = requests.ask()
    keeper.stop()
    with pytest.raises(backups.BackupCancelled, match="given up"):
        first.result(0)
    with pytest.raises(StateError, match="shutting down"):
        second.result(0)
    engine.begin_copy()  # the copy was ended
    engine.end_copy()


def test_a_question_to_a_stopped_owner_fails_with_the_reason(
    settings: Settings, engine: Recommender, requests: BackupRequests
) -> None:
    keeper = BackupKeeper(engine, settings, requests)
    keeper.stop()
    with pytest.raises(StateError, match="shutting down"):
        requests.ask().result(0)


def test_a_backup_that_takes_too_long_is_given_up(
    settings: Settings, engine: Recommender, requests: BackupRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_writing(monkeypatch)
    monkeypatch.setattr(keeping, "_MOST_LOG_BYTES", 1)
    keeper = BackupKeeper(engine, settings, requests)
    answer = requests.ask()
    keeper.tend()
    log = Log()
    for number in range(40):
        engine.process([log.upsert(f"{number}", f"{number} " * 1000)])
    tend_until(keeper, answer.done)
    with pytest.raises(backups.BackupCancelled, match="given up"):
        answer.result()


def test_an_erasure_has_another_backup_made_at_once_and_rarely_again(
    settings: Settings, engine: Recommender, requests: BackupRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    engine.process([log.upsert("a", "text"), log.interact("a", "u")])
    keeper = BackupKeeper(engine, settings, requests)
    keeper.start()
    tend_until(keeper, lambda: keeper.newest)
    first = keeper.newest
    assert first is not None
    engine.process([log.add("user.erased", user="nobody")])
    keeper.tend()
    assert keeper.newest == first, "the last one has just been made"
    monkeypatch.setattr(keeping, "_ERASURES_EVERY_S", 0.0)
    monkeypatch.setattr(keeping, "_SHARE", 1)
    keeper = BackupKeeper(engine, settings, requests)
    keeper.start()
    assert keeper.newest == first
    tend_until(keeper, lambda: keeper.newest != first)
    assert keeper.keep_from == engine.position
    assert [one.path for one in backups.listed(settings.backup_dir or Path(), settings.partition)] == [
        keeper.newest.path if keeper.newest else None
    ], "what holds the erased is gone"
    newest = keeper.newest
    engine.process([log.upsert("b", "text")])
    keeper.tend()
    assert keeper._job is None
    assert keeper.newest == newest, "nothing was erased since"
