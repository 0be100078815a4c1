"""A collection is deleted: nobody finds it from that command on, and nothing of it is left in the end."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from recommender_engine import Entry, Recommender
from recommender_engine.items import CollectionDeleted, CommandForwarded, CommandRejected
from recommender_engine.matching import LearnedMatcher
from recommender_engine.opening import open_recommender
from recommender_engine.store.tombstones import TOMBSTONE_WINDOW_MS
from tests.support.engine import Log, Models, data_of, is_outcome, lines, opened
from tests.support.partitions import Pair

TEXTS = (
    "the card was declined at the shop",
    "The CARD was declined at the shop",
    "the card was declined at this shop",
    "order 1042 has not arrived",
)


def rows(engine: Recommender, table: str) -> int:
    return int(engine._store._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def tidy(engine: Recommender) -> int:
    parts = 0
    while engine.tidying.some(0, engine.last_event):
        parts += 1
    return parts


def delete(log: Log, collection: str = "gone", **more: Any) -> Entry:
    return log.add("collection.deleted", {"collection": collection}, **more)


def life(log: Log, collection: str) -> list[Entry]:
    """Every kind of thing that is kept of a collection."""
    return [
        log.configure(collection, commands_per_second=1000, index="hnsw"),
        *(log.upsert(f"i{n}", text, collection=collection, version=3, key=f"k{n}") for n, text in enumerate(TEXTS)),
        log.upsert("i9", "a word that nobody else has: zyx", collection=collection, version=1),
        log.delete("i9", collection=collection, version=2),
        log.feedback("i0", "different", "i3", collection=collection),
        log.feedback("i0", "same", "i1", collection=collection),
        log.upsert("i4", "a quiet one", collection=collection, silent=True),
    ]


def test_nothing_of_it_is_left_anywhere(tmp_path: Path) -> None:
    engine, log = opened(tmp_path, matcher=LearnedMatcher), Log()
    engine.process([log.upsert("stays", TEXTS[0], collection="here", key="k0")])
    engine.process(life(log, "gone"))
    engine.snapshot(all_changes=True)
    number = engine._base.collections.find("gone").id  # type: ignore[union-attr]
    assert (tmp_path / "index" / str(number)).is_dir()
    tables = ("items", "points", "vectors", "terms", "answers", "models", "tombstones", "collections")
    assert all(rows(engine, table) for table in tables)
    assert len(engine._store.words.having(number, "card")) == 3

    (summary, event) = engine.process([delete(log)])
    assert data_of(summary)["commands"] == 1, "what was silent is told first"
    assert (event.data.type, data_of(event)["items"]) == ("recommender.collection.deleted.v1", 5)
    assert not (tmp_path / "index" / str(number)).exists()
    assert not [key for (key,) in engine._store._db.execute("SELECT key FROM meta") if f" {number}" in key]
    kept = (
        engine._base.words._counts,
        engine._base.answers._links,
        engine._base.models._models,
        engine._deciding.rates._next_us,
    )
    assert not any(number in one for one in kept)
    assert number not in engine._base.indexes._indexes

    engine.process([log.tick(later_ms=TOMBSTONE_WINDOW_MS)])
    tidy(engine)
    left = {table: rows(engine, table) for table in (*tables, "keys", "outbox", "deletions", "moves")}
    assert left == {
        **dict.fromkeys(left, 0),
        "items": 1,
        "points": 1,
        "vectors": 1,
        "terms": left["terms"],
        "collections": 1,
    }
    assert {one for (one,) in engine._store._db.execute("SELECT collection FROM terms")} == {1}
    assert engine._store.words.having(number, "card") == []
    assert {collection for collection, _ in engine._base.words._postings._kept} <= {1}
    engine.close()


@pytest.mark.parametrize("tidied", [True, False])
def test_what_comes_under_its_name_finds_nothing_of_it(*, tidied: bool) -> None:
    engine, log = opened(matcher=LearnedMatcher), Log()
    engine.process(life(log, "gone"))
    engine.process([delete(log, key="d")])
    if tidied:
        tidy(engine)
    assert engine.get("i0", "gone") is None
    assert engine.search(TEXTS[0], "gone") == []
    assert engine.answers("gone") == []
    assert engine.settings() == {}
    assert engine.stats()["items"] == 0
    assert engine.stats()["collections"] == {}
    assert engine.outcome("k0", "gone") is None

    events = [event for event in engine.process(life(log, "gone")) if is_outcome(event)]
    fresh, log = opened(matcher=LearnedMatcher), Log()
    alone = [event for event in fresh.process(life(log, "gone")) if is_outcome(event)]
    assert [said(data_of(event)) for event in events] == [said(data_of(event)) for event in alone]
    assert engine.settings() == fresh.settings()


def said(data: dict[str, Any]) -> dict[str, Any]:
    """Without what counts in the partition as a whole: positions, and numbers of groups."""
    positions = ("command", "group", "recommendations", "recommendation_id")
    kept = {name: value for name, value in data.items() if name not in positions}
    return {**kept, "recommended": [one["id"] for one in data.get("recommendations", ())]}


def history(log: Log) -> list[Entry]:
    entries = []
    for collection, _ in product(("gone", "other"), range(2)):
        entries += life(log, collection)
        entries.append(delete(log, "gone"))
        entries.append(log.upsert("i0", TEXTS[0], collection="gone", key="k0"))
    return [*entries, delete(log, "never"), delete(log, "other"), *life(log, "other")]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("restarted", [True, False])
def test_batches_restarts_and_tidying_change_nothing(tmp_path: Path, size: int, *, restarted: bool) -> None:
    entries = history(Log())
    expected = lines(opened(matcher=LearnedMatcher).process(entries))
    engine, told = opened(tmp_path, matcher=LearnedMatcher), []
    for start in range(0, len(entries), size):
        told += lines(engine.process(entries[start : start + size]))
        engine.tidying.some(0, engine.last_event)
        if restarted:
            engine.close()
            engine = opened(tmp_path, matcher=LearnedMatcher)
    assert told == expected
    engine.close()


def test_a_batch_that_is_undone_leaves_it_as_it_was() -> None:
    def fail() -> None:
        if failing:
            raise RuntimeError("the lease is gone")

    failing = False
    engine = open_recommender(None, Models(), matcher=LearnedMatcher, before_commit=fail)
    log = Log()
    engine.process(life(log, "gone"))
    before = engine.stats()
    failing, entry = True, delete(log)
    with pytest.raises(RuntimeError, match="the lease is gone"):
        engine.process([entry, *life(log, "gone")])
    failing = False
    assert engine.stats() == before
    assert engine.outcome("k0", "gone") is not None
    assert data_of(engine.process([entry])[-1])["items"] == 5


def test_snapshots_that_a_process_did_not_live_to_delete_go_at_the_next_start(tmp_path: Path) -> None:
    engine, log = opened(tmp_path), Log()
    engine.process(life(log, "gone"))
    engine.snapshot(all_changes=True)
    engine._base.indexes.forget = lambda collection: None  # type: ignore[method-assign]
    engine.process([delete(log)])
    engine.close()
    assert list((tmp_path / "index").iterdir()), "it died right after the commit"
    opened(tmp_path).close()
    assert not list((tmp_path / "index").iterdir())


def test_a_large_collection_goes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, log = opened(), Log()
    engine.process([log.upsert(f"i{n}", f"text {n} of many", collection="gone") for n in range(600)])
    statements: list[str] = []
    engine._store._db.set_trace_callback(statements.append)
    engine.process([delete(log)])
    engine._store._db.set_trace_callback(None)
    assert len(statements) < 100, "the command costs no more for a large one"
    assert rows(engine, "items") == 600
    assert tidy(engine) >= 600 / 50
    assert rows(engine, "items") == rows(engine, "vectors") == rows(engine, "collections") == 0


def test_one_that_is_not_there_is_gone_as_well() -> None:
    engine, log = opened(), Log()
    (event,) = engine.process([delete(log, "never")])
    assert data_of(event)["items"] == 0


# -- with several partitions -------------------------------------------------------------------------------------------


def test_a_deletion_is_forwarded_to_the_collection_and_reported_at_its_former_partition() -> None:
    pair = Pair()
    for n, text in enumerate(TEXTS):
        pair["a"].add("item.upsert", {"id": f"i{n}", "collection": "c", "text": text}, key=f"k{n}")
    pair.settle()
    for _ in pair.move("a", "b", "m1"):
        pass
    pair.settle()
    for name in ("a", "b"):
        pair[name].add("collection.deleted", {"collection": "c"}, key=f"d {name}")
        pair.settle()
    told = [event.data for side in pair.sides.values() for event in side.events if not event.silent]
    assert [one.items for one in told if isinstance(one, CollectionDeleted)] == [4, 0]
    assert any(isinstance(one, CommandForwarded) for one in told)
    for side in pair.sides.values():
        while side.engine.tidying.some(0, side.engine.last_event):
            pass
        tables = ("items", "points", "vectors", "collections", "moves", "forwards")
        assert {table: rows(side.engine, table) for table in tables} == dict.fromkeys(tables, 0)
    pair["a"].add("item.upsert", {"id": "i0", "collection": "c", "text": TEXTS[0]}, key="k0")
    pair.settle()
    assert pair["a"].engine.get("i0", "c") is not None
    pair.close()


def test_a_deletion_waits_for_a_collection_that_is_on_its_way() -> None:
    pair = Pair()
    for n, text in enumerate(TEXTS):
        pair["a"].add("item.upsert", {"id": f"i{n}", "collection": "c", "text": text})
    pair.settle()
    for step, _ in enumerate(pair.move("a", "b", "m1")):
        if step == 1:
            pair["a"].add("collection.deleted", {"collection": "c"}, key="d")
            pair["a"].decide()
    pair.settle()
    assert [side.engine.settings() for side in pair.sides.values()] == [{}, {}]
    pair.close()


# -- how many there may be ---------------------------------------------------------------------------------------------


def test_one_collection_too_many_is_rejected_and_nothing_else() -> None:
    engine = open_recommender(None, Models(), most_collections=3)
    log = Log()
    events = engine.process([log.upsert("a", TEXTS[0], collection=f"c{n}") for n in range(5)])
    assert [data_of(event).get("code") for event in events] == [None] * 3 + ["too_many_collections"] * 2
    (event,) = engine.process([log.configure("c9")])
    assert isinstance(event.data, CommandRejected)
    assert "recommender delete-collection" in event.data.message
    assert is_outcome(engine.process([log.upsert("b", TEXTS[1], collection="c0")])[0])
    assert engine.stats()["items"] == 4
    assert rows(engine, "vectors") == 2
    engine.process([delete(log, "c1")])
    (event,) = engine.process([log.upsert("a", TEXTS[0], collection="c9")])
    assert data_of(event)["band"] == "new", "there is room again at once, however much is to be cleared away"


def test_collections_that_come_and_go_leave_nothing_behind(tmp_path: Path) -> None:
    engine, log = opened(tmp_path, matcher=LearnedMatcher), Log()
    sizes = []
    for n in range(60):
        engine.process([*life(log, f"c{n}"), delete(log, f"c{n}"), log.tick(later_ms=3_600_000)])
        tidy(engine)
        sizes.append(
            {
                table: rows(engine, table)
                for table in ("items", "vectors", "points", "terms", "answers", "models", "collections", "moves")
            }
            | {"meta": rows(engine, "meta"), "counts": len(engine._base.words._counts)}
        )
    assert sizes[-1] == sizes[5]
    assert rows(engine, "deletions") <= 25
    assert not list(tmp_path.glob("index/*"))
    engine.close()
