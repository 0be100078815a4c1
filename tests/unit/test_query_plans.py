"""What a batch asks of the database goes by an index, however large the tables grow."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from recommender_engine import Recommender
from recommender_engine.matching import LearnedMatcher
from recommender_engine.pipeline import Options
from recommender_engine.store import SqliteStore
from tests.support.bounds import keep_nothing
from tests.support.engine import Log, Models

GROWING = (
    *("items", "vectors", "points", "outbox", "keys", "terms", "answers", "tombstones"),
    *("users", "used_items", "sessions", "session_rings", "interactions", "behaviour_redo", "mentions"),
    *("shown_lists", "hit_rates"),
)
WHOLE = re.compile(rf"SCAN ({'|'.join(GROWING)})\b(?! VIRTUAL TABLE)")
OF_A_COLLECTION = re.compile(r"SEARCH items USING .*INDEX \w+ \(collection=\?( AND (at_ms|seq)[<>]\?)*\)")


def plan(connection: sqlite3.Connection, statement: str) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    keep_nothing(monkeypatch)
    store = SqliteStore(tmp_path / "state.sqlite3")
    yield store
    store.close()


def asked(store: SqliteStore, **settings: Any) -> list[str]:
    """Every statement of a life of items in a collection with such settings."""
    statements: dict[str, str] = {}
    engine, log = Recommender(store, Models(), options=Options(matcher=LearnedMatcher)), Log()
    words = ("printer", "jams", "again", "order", "1042", "1043", "lost", "router")
    # With the first event and the first key rows are counted, once in the life of a state.
    engine.process([log.upsert("first", "paper", key="first")])
    store._db.set_trace_callback(lambda said: statements.setdefault(re.sub(r"'[^']*'|\d+", "?", said), said))
    engine.process([log.configure(canonical="longest", **settings)])
    engine.process([log.upsert(f"i{n}", " ".join(words[n % 8 :] + words[: n % 5]), key=f"k{n}") for n in range(40)])
    engine.process([log.upsert(f"i{n}", f"changed {words[n % 8]} {n}") for n in range(0, 40, 3)])
    engine.process([log.delete(f"i{n}") for n in range(0, 40, 7)])
    engine.process([log.feedback("i1", "same", "i2"), log.feedback("i4", "different", "i5")])
    engine.process(
        [
            log.add("recommendation.shown", {"recommendation_id": f"r{n}", "items": ["i1", "i2"], "user": f"u{n % 3}"})
            for n in range(9)
        ]
    )
    engine.process([log.interact("i1", "u0"), log.interact("i2", "u1", recommendation_id="r7")])
    engine.process([log.add("user.merged", user="u2", session="s5"), log.tick(3 * 86_400_000)])
    engine.recommendations({"user": "u2"})
    engine.hits()
    engine.process([log.patch("i2", {"state": "open"}), log.erase("i8"), log.tick(86_400_000 * 40)])
    engine.process([log.configure(**settings, ttl_seconds=86_400), log.tick(86_400_000 * 2)])
    engine.process([log.upsert("i1", "printer jams")])
    engine.process([log.interact(f"i{n % 9}", f"u{n % 3}", session=f"s{n}", later_ms=60_000) for n in range(40)])
    engine.process([log.add("interaction.recorded", {"item": "i1", "session": f"s{n}"}, key=f"b{n}") for n in range(3)])
    engine.process([log.add("user.merged", user=f"u{n}", session=f"s{n}") for n in (0, 1, 7)])
    engine.process([log.add("user.erased", user="u1"), log.upsert("i5", "it is here"), log.delete("i5")])
    engine.search("printer jams again")
    engine.recommend("i1")
    engine.get("i1")
    store._db.set_trace_callback(None)
    return [said for said in statements.values() if said.startswith(("SELECT", "UPDATE", "DELETE", "WITH"))]


def reads_a_collection(said: str, steps: list[str]) -> bool:
    """Whether all items of a collection are read: no index says which are meant, or where to stop."""
    stops = "LIMIT" in said or said.startswith("SELECT min(at_ms)")
    return any(map(OF_A_COLLECTION.match, steps)) and (not stops or any("TEMP B-TREE" in step for step in steps))


@pytest.mark.parametrize("settings", [{}, {"window_seconds": 86_400 * 30}], ids=["plain", "policy"])
def test_no_statement_of_a_batch_reads_all_of_a_table_or_collection(
    store: SqliteStore, settings: dict[str, int]
) -> None:
    statements = asked(store, **settings)
    assert len(statements) > 30
    plans = {said: plan(store._db, said) for said in statements}
    assert {said: steps for said, steps in plans.items() if any(map(WHOLE.search, steps))} == {}
    assert {said: steps for said, steps in plans.items() if reads_a_collection(said, steps)} == {}


def test_items_that_are_named_are_not_looked_for_among_all_of_a_collection(store: SqliteStore) -> None:
    asked(store)
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    assert store.items.named(1, ["i1", "i2"])
    (steps,) = (plan(store._db, said) for said in statements)
    assert any("(collection=? AND id=?)" in step for step in steps)


def test_a_page_of_items_is_not_sorted(store: SqliteStore) -> None:
    asked(store)
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    store.items.after(1, 0, 10)
    store.items.before_last(1, 10)
    assert len(statements) == 2
    for said in statements:
        steps = plan(store._db, said)
        assert "items_by_collection" in steps[0]
        assert not any("TEMP B-TREE" in step for step in steps)


@pytest.mark.parametrize("rule", ["earliest", "latest", "longest"])
def test_the_item_that_stands_for_a_group_is_not_looked_for_among_all_of_it(
    store: SqliteStore, rule: Literal["earliest", "latest", "longest"]
) -> None:
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    store.groups.canonical(["g"], rule)
    store.groups.canonical(["g"], rule, hidden_ms=1)
    assert len(statements) == 2
    for said in statements:
        steps = plan(store._db, said)
        assert any("SEARCH items USING" in step and "(grp=?" in step for step in steps)
        assert not any("TEMP B-TREE" in step for step in steps)


def test_items_that_changed_are_read_for_filters_by_their_numbers(store: SqliteStore) -> None:
    asked(store)
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    list(store.items.attributes(1, [1, 2, 3]))
    store.groups.canonical_among("g", "longest", lambda seq: True)
    by_number, by_group = (plan(store._db, said) for said in statements)
    assert any("INTEGER PRIMARY KEY" in step for step in by_number)
    assert any("(grp=?" in step for step in by_group)
    assert not any("TEMP B-TREE" in step for step in (*by_number, *by_group))


def test_what_was_counted_of_small_tables_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    SqliteStore(path).close()
    other = sqlite3.connect(path)
    other.execute("INSERT INTO tombstones VALUES (1, 'a', 1, 0)")
    other.commit()
    other.execute("ANALYZE")
    counted = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'"
    assert other.execute(counted).fetchone()[0] >= 1
    other.close()
    for _ in range(2):
        store = SqliteStore(path)
        store.check()
        assert store._db.execute(counted).fetchone() == (0,)
        store.close()
