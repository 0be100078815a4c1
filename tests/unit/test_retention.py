"""What is kept no longer goes, a little at a time, and its room with it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from recommender_engine import Recommender
from recommender_engine.items import CollectionSettings
from recommender_engine.items.limits import KEY_WINDOW_MS
from recommender_engine.opening import DATABASE
from recommender_engine.pipeline.migration import retention as tidying
from recommender_engine.store import SqliteStore, space
from recommender_engine.store.tombstones import TOMBSTONE_WINDOW_MS, TombstoneTable
from tests.support.engine import Log, data_of, opened

TEXT = "the card was declined at the shop"
DAY_MS = 86_400_000


def rows(engine: Recommender, table: str) -> int:
    return int(engine._store._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def tidy(engine: Recommender, outbox_ms: int = 0) -> int:
    """Until nothing is left to do; returns in how many parts."""
    parts = 0
    while engine.tidying.some(outbox_ms, engine.last_event):
        parts += 1
    return parts


def reason_of_a_late_upsert(engine: Recommender, log: Log) -> str | None:
    event = engine.process([log.upsert("a", TEXT, version=2)])[0]
    reason: str | None = data_of(event).get("reason")
    return reason


@pytest.mark.parametrize(
    ("versions", "gone"),
    [([5, 6], {"id": "a", "version": 6}), ([], {"id": "a", "version": 6})],
    ids=["that was there", "that never was"],
)
@pytest.mark.parametrize("tidied", [True, False])
def test_the_version_of_a_deleted_item_is_kept_for_a_week_of_stream_time(
    versions: list[int], gone: dict[str, object], *, tidied: bool
) -> None:
    engine, log = opened(), Log()
    engine.process([log.upsert("other", TEXT), *(log.upsert("a", TEXT, version=one) for one in versions)])
    engine.process([log.add("item.delete", gone)])
    engine.process([log.tick(later_ms=TOMBSTONE_WINDOW_MS - 2)])
    if tidied:
        tidy(engine)
    assert reason_of_a_late_upsert(engine, log) == "older_version"
    assert rows(engine, "tombstones") == 1
    engine.process([log.tick()])
    if tidied:
        tidy(engine)
        assert rows(engine, "tombstones") == 0
    assert reason_of_a_late_upsert(engine, log) is None, "whether it was cleared away makes no difference"


def test_offers_that_run_out_leave_no_more_than_a_week_of_versions_behind() -> None:
    engine, log = opened(), Log()
    engine.process([log.configure(ttl_seconds=86_400)])
    most = 0
    for day in range(20):
        engine.process([log.upsert(f"offer {day} {n}", f"{TEXT} {day} {n}", version=1) for n in range(5)])
        for _ in range(4):
            engine.process([log.tick(later_ms=DAY_MS // 4)])
        tidy(engine, DAY_MS)
        most = max(most, rows(engine, "tombstones"))
    assert most <= 5 * 9
    assert rows(engine, "outbox") < 5 * 2 * 3 + 20


def test_of_too_many_versions_the_oldest_go_and_it_does_not_matter_what_else_is_cleared_away() -> None:
    def kept(*, tidied: bool) -> list[str]:
        store = SqliteStore()
        store.tombstones = table = TombstoneTable(store._db, most=10)
        with store.transaction():
            here, left = (store.collections.create(name, CollectionSettings()).id for name in ("here", "left"))
            for n in range(8):
                table.bury(left, f"l{n}", 1, n)
                table.bury(here, f"h{n}", 1, n)
            table.counts.retire(left)
            store.transfer.retire(left, "left", "m")
            if tidied:
                store._db.execute("DELETE FROM tombstones WHERE collection=?", (left,))
            for n in range(8, 20):
                table.bury(here, f"h{n}", 1, n)
                table.bury(here, f"h{n}", 2, n)
        found = store._db.execute("SELECT id FROM tombstones WHERE collection=? ORDER BY id", (here,)).fetchall()
        return [id_ for (id_,) in found]

    assert kept(tidied=True) == kept(tidied=False)
    assert len(kept(tidied=True)) == 10


def test_events_keys_and_versions_go_in_parts_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidying, "_ROWS", 10)
    engine, log = opened(), Log()
    engine.process([log.add("item.delete", id=f"i{n}", version=1, key=f"k{n}") for n in range(35)])
    engine.process([log.upsert("other", TEXT, key="other")])
    engine.process([log.add("item.delete", id=f"i{n}", version=1, key=f"l{n}") for n in range(35)])
    engine.process([log.tick(later_ms=TOMBSTONE_WINDOW_MS + KEY_WINDOW_MS)])
    before = {table: rows(engine, table) for table in ("outbox", "keys", "tombstones")}
    assert before == {"outbox": 71, "keys": 71, "tombstones": 35}
    assert engine.tidying.some(0, engine.last_event)
    assert {table: before[table] - rows(engine, table) for table in before} == dict.fromkeys(before, 10)
    assert tidy(engine) == 7
    assert {rows(engine, table) for table in before} == {0}


def test_what_a_caller_waits_for_stays_however_old_it_is() -> None:
    engine, log = opened(), Log()
    engine.process([log.upsert("a", TEXT, reply_to="celery task")])
    engine.process([log.upsert(f"i{n}", f"{TEXT} {n}") for n in range(5)])
    engine.process([log.tick(later_ms=DAY_MS)])
    tidy(engine)
    assert rows(engine, "outbox") == 1


def test_the_database_file_shrinks_when_most_of_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "_KEPT_PAGES", 16)
    monkeypatch.setattr(space, "_PAGES_AT_ONCE", 50)
    engine, log = opened(tmp_path), Log()
    words = [f"{TEXT} {n} " + " ".join(f"word{n}x{m}" for m in range(300)) for n in range(60)]
    engine.process([log.upsert(f"i{n}", text) for n, text in enumerate(words)])
    engine.truncate_log()
    full = (tmp_path / DATABASE).stat().st_size
    engine.process([log.erase(f"i{n}") for n in range(58)])
    engine.process([log.tick(later_ms=TOMBSTONE_WINDOW_MS)])
    assert tidy(engine) > 3, "in parts"
    engine.truncate_log()
    assert (tmp_path / DATABASE).stat().st_size < full / 3
    assert engine._store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    engine.close()
    again = opened(tmp_path)
    assert again.stats()["items"] == 2
    again.close()


def test_nothing_is_given_back_while_the_database_is_being_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "_KEPT_PAGES", 0)
    monkeypatch.setattr(space, "_KEPT_SHARE", 1_000_000)
    engine, log = opened(tmp_path), Log()
    engine.process([log.upsert(f"i{n}", f"{TEXT} {n} " * 20) for n in range(60)])
    engine.process([log.delete(f"i{n}") for n in range(60)])
    engine.process([log.tick(later_ms=DAY_MS)])
    engine.tidying.prune(0, engine.last_event)
    engine.begin_copy()
    assert not engine._store.give_back()
    engine.end_copy()
    assert engine._store.give_back()
    engine.close()


@pytest.mark.parametrize(("most", "mode"), [(2**30, 2), (0, 0)], ids=["small", "large"])
def test_a_file_of_an_earlier_release_is_written_anew_if_that_is_soon_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, most: int, mode: int
) -> None:
    monkeypatch.setattr(space, "_MOST_REWRITTEN_BYTES", most)
    engine, log = opened(tmp_path), Log()
    engine.process([log.upsert("a", TEXT)])
    engine.close()
    old = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    old.execute("PRAGMA auto_vacuum=0")
    old.execute("VACUUM")
    assert old.execute("PRAGMA auto_vacuum").fetchone() == (0,)
    old.close()
    engine = opened(tmp_path)
    assert engine._store._db.execute("PRAGMA auto_vacuum").fetchone() == (mode,)
    assert engine.get("a") is not None
    engine.close()
    assert [record.event for record in caplog.records if record.name == space.__name__] == (
        [] if mode else ["store.does_not_shrink"]
    )
