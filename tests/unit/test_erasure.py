"""An erasure leaves no trace, and costs by what it removes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from recommender_engine import Recommender
from recommender_engine.matching import LearnedMatcher
from recommender_engine.store import words as word_index
from tests.support.engine import Log, opened
from tests.support.memory import remembered

NOTE = "something was erased"
SHOP = "the card was declined at the shop"


@pytest.fixture
def engine() -> Iterator[Recommender]:
    with closing(opened(matcher=LearnedMatcher)) as engine:
        yield engine


def fill(engine: Recommender, log: Log, items: int) -> None:
    engine.process([log.upsert(f"i{n}", " ".join(f"w{n}x{m}" for m in range(30))) for n in range(items)])


def merges(engine: Recommender) -> list[str]:
    """Statements that rewrite the word index, from now on."""
    found: list[str] = []
    engine._store._db.set_trace_callback(lambda said: found.append(said) if "'merge'" in said else None)
    return found


def test_an_erasure_of_nothing_rewrites_nothing(engine: Recommender, log: Log) -> None:
    fill(engine, log, 300)
    finish(engine)
    rewritten = merges(engine)
    for number in range(5):
        engine.process([log.upsert(f"new{number}", "a new one"), log.erase(f"nobody{number}")])
        engine.process([log.erase("nobody", collection="nowhere")])
    assert not engine.tidying.some(10**12, engine.last_event)
    assert not rewritten


BEFORE: dict[str, dict[str, Any]] = {
    "while it is there": {},
    "after it was deleted": {"type_": "item.delete", "id": "a"},
    "after it was changed": {"type_": "item.upsert", "id": "a", "text": "something else by now"},
    "after its time": {"type_": "clock.ticked", "later_ms": 120_000},
    "with its collection": {"type_": "collection.deleted", "collection": "default"},
}


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("before", BEFORE)
def test_no_word_of_what_was_erased_stays_in_memory(engine: Recommender, log: Log, before: str, asked: bool) -> None:
    """Whichever cache a word may stand in: all that the process can reach is looked through."""
    word = "".join(("zebra", "quux"))
    others = [log.upsert(id_, f"{SHOP}{again}", attributes={"all": 1}) for id_, again in (("b", ""), ("c", " again"))]
    engine.process([log.configure(ttl_seconds=60), *others])
    engine.process([log.upsert("a", f"the {word}es card was declined at the shop", attributes={"k": word, word: "k"})])
    engine.search(SHOP)
    assert engine.search(SHOP, filter={"k": word, word: "k"})
    assert remembered(word), "while it is not erased it is kept"
    if BEFORE[before]:
        engine.process([log.add(**BEFORE[before])])
        if asked and before != "with its collection":
            engine.search(SHOP, filter={"all": 1})
    if before != "with its collection":
        engine.process([log.erase("a")])
    assert remembered(word) == []


def test_an_erasure_of_nothing_drops_nothing_that_is_kept(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, attributes={"stock": 1}), log.upsert("b", f"{SHOP} again")])
    assert engine.search(SHOP, filter={"stock": 1})
    kept = engine.kept_bytes()
    assert all(kept.values())
    engine.process([log.erase("nobody"), log.erase("nobody", collection="nowhere")])
    assert engine.kept_bytes() == kept


def finish(engine: Recommender) -> int:
    """Tidy until nothing is left to do; how many parts it took."""
    parts = 0
    while engine.tidying.some(10**12, engine.last_event):
        parts += 1
        assert parts < 1000
    return parts


def test_an_erasure_waits_for_no_rewriting_and_the_rest_goes_in_parts(
    engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_index, "_PAGES", 2)
    fill(engine, log, 300)
    rewritten = merges(engine)
    engine.process([log.erase("i7")])
    assert not rewritten, "the command does not wait for it"
    assert finish(engine) > 5
    assert engine._store.note(NOTE) is None
    assert not engine._store.words.marked
    done = len(rewritten)
    finish(engine)
    assert len(rewritten) == done


def test_what_is_erased_while_the_index_is_rewritten_goes_in_the_next_round(
    engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_index, "_PAGES", 2)
    fill(engine, log, 200)
    hashes = [word_index.hash_of(1, f"w{n}x3") for n in (5, 6)]
    engine.process([log.erase("i5")])
    assert engine.tidying.some(10**12, engine.last_event)
    engine.process([log.erase("i6"), log.upsert("j", "something else")])
    finish(engine)
    assert not engine._store.words.marked
    pages = b"".join(row[0] for row in engine._store._db.execute("SELECT block FROM words_data"))
    kept = word_index.hash_of(1, "w9x3").encode()
    # Terms lie beside each other in order, each without what it begins with like the one before.
    assert tail_of(kept) in pages
    assert not any(tail_of(said.encode()) in pages for said in hashes)


def tail_of(term: bytes) -> bytes:
    return term[6:]


def test_a_batch_that_is_undone_forgets_nothing_of_what_is_to_be_rewritten(engine: Recommender, log: Log) -> None:
    fill(engine, log, 20)
    finish(engine)
    steps = count()

    def refuse() -> None:
        if next(steps) == 0:
            raise RuntimeError("undone")

    engine._before_commit = refuse
    entries = [log.delete("i3"), log.delete("i4")]
    with pytest.raises(RuntimeError, match="undone"):
        engine.process(entries)
    assert not engine._store.words.marked
    engine.process(entries)
    assert engine._store.words.marked


def test_a_rewriting_goes_on_after_a_restart(tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_index, "_PAGES", 2)
    with closing(opened(tmp_path, matcher=LearnedMatcher)) as engine:
        fill(engine, log, 200)
        engine.process([log.erase("i5")])
        assert engine.tidying.some(10**12, engine.last_event)
    with closing(opened(tmp_path, matcher=LearnedMatcher)) as engine:
        assert engine._store.note(NOTE) is not None
        assert finish(engine) > 1
        assert engine._store.note(NOTE) is None
