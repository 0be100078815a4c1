"""Word search: candidates that share the rarest terms, and the counts it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine import Recommender
from recommender_engine.embedding import Encoders
from recommender_engine.evaluation.recording import RecordingMatcher
from recommender_engine.items import CollectionSettings, Item
from recommender_engine.matching import MatcherFactory, TermStatistics, item_terms
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.lexical import rarest
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.store import SqliteStore
from recommender_engine.store import words as words_table
from tests.support.engine import Log, Models, at, data_of, opened
from tests.support.matchers import cosine_matcher

TEXTS = ("printer E-4012 jams", "printer on fire", "the printer jams again", "refund please", "Drucker brennt")


def item(text: str, id_: str = "a") -> Item:
    return Item(id=id_, text=text)


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    store = SqliteStore()
    yield store
    store.close()


@pytest.fixture
def words(store: SqliteStore) -> Words:
    for name in ("one", "two"):
        store.collections.create(name, CollectionSettings())
    return Words(store, Collections(store, encoders()))


def encoders() -> Encoders:
    return Models()


def counted(statistics: TermStatistics, texts: list[str]) -> dict[str, int]:
    terms = {term for text in texts for term in item_terms(item(text)).whole.counts}
    return {term: statistics.frequency(term) for term in terms}


def test_terms_are_counted_by_collection(words: Words) -> None:
    for seq, text in enumerate(TEXTS, start=1):
        words.add(1, seq, item(text))
    words.add(2, 9, item(TEXTS[0]))
    one, two = words.statistics("one"), words.statistics("two")
    assert (one.documents, two.documents) == (5, 1)
    assert (one.frequency("printer"), two.frequency("printer")) == (3, 1)
    assert (one.frequency("unheard"), words.statistics("nowhere").documents) == (0, 0)


def test_what_has_gone_is_counted_no_longer(words: Words) -> None:
    words.add(1, 1, item(TEXTS[0]))
    words.add(1, 2, item(TEXTS[1]))
    words.remove(1, 1, item(TEXTS[0]))
    assert (words.statistics("one").documents, words.statistics("one").frequency("jams")) == (1, 0)
    assert words.search(1, item("jams"), 10) == []


def test_the_most_rare_words_shared_come_first_and_ties_by_arrival(words: Words) -> None:
    texts = ["printer E-4012 jams", "printer jams", "printer", "printer jams", "E-4012"]
    for seq, text in enumerate(texts, start=1):
        words.add(1, seq, item(text))
    found = words.search(1, item("printer E-4012 jams"), 10)
    assert found[0] == 1
    assert found.index(2) < found.index(4) < found.index(3)
    assert words.search(1, item("printer E-4012 jams"), 2) == found[:2]
    assert words.search(2, item("printer E-4012 jams"), 10) == []
    assert words.search(1, item("nothing of it"), 10) == []


def test_a_term_that_too_many_items_have_is_not_read(words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rarest, "MOST_ITEMS", 3)
    for seq in range(1, 6):
        words.add(1, seq, item("common" if seq > 1 else "common rare"))
    assert words.search(1, item("common rare"), 10) == [1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 2), st.sampled_from(TEXTS), st.integers(0, 3), st.booleans()), max_size=15),
)
def test_counts_are_those_of_the_items_that_are_there(steps: list[tuple[int, str, int, bool]]) -> None:
    """Whatever is added, taken out and written, at once or later; and the same after reading it back."""
    store = SqliteStore()
    for name in ("one", "two"):
        store.collections.create(name, CollectionSettings())
    words = Words(store, Collections(store, encoders()))
    there: dict[int, tuple[int, str]] = {}
    for seq, (collection, text, victim, flush) in enumerate(steps, start=1):
        words.add(collection, seq, item(text))
        there[seq] = collection, text
        if victim in there:
            of, gone = there.pop(victim)
            words.remove(of, victim, item(gone))
        if flush:
            words.flush()
    words.flush()
    again = Words(store, Collections(store, encoders()))
    for one in (words, again):
        for collection, name in ((1, "one"), (2, "two")):
            texts = [text for of, text in there.values() if of == collection]
            expected = Counter(term for text in texts for term in item_terms(item(text)).whole.counts)
            assert one.statistics(name).documents == len(texts)
            assert counted(one.statistics(name), list(TEXTS)) == {
                term: expected[term] for text in TEXTS for term in item_terms(item(text)).whole.counts
            }
            for text in TEXTS:
                found = one.search(collection, item(text), 100)
                assert set(found) == {
                    seq
                    for seq, (of, other) in there.items()
                    if of == collection
                    and item_terms(item(text)).whole.counts.keys() & item_terms(item(other)).whole.counts.keys()
                }
    store.close()


def test_counts_are_built_again_when_terms_are_cut_in_another_way(store: SqliteStore, words: Words) -> None:
    words.add(1, 1, item("of no item that is there"))
    words.flush()
    store.set_note("terms version", "0")
    again = Words(store, Collections(store, encoders()))
    assert again.statistics("one").documents == 0
    assert again.search(1, item("of no item that is there"), 10) == []
    assert store.note("terms version") != "0"


# -- in the engine -----------------------------------------------------------------------------------------------------


def test_words_find_what_vectors_do_not(engine_with: Callable[..., Recommender]) -> None:
    log, engine = Log(), engine_with()
    engine.process([log.configure(candidates=1), log.upsert("near", "another matter", vector=at(0))])
    engine.process([log.upsert("code", "error E-4012", vector=at(37))])
    engine.process([log.upsert("nearer", "a third matter", vector=at(1))])
    (event,) = engine.process([log.upsert("q", "again E-4012", vector=at(74))])
    assert data_of(event)["matched_id"] == "code"


def test_an_edit_and_a_delete_leave_no_words_behind(engine_with: Callable[..., Recommender]) -> None:
    log, engine = Log(), engine_with()
    engine.process([log.upsert("a", "error E-4012"), log.upsert("a", "error E-9999"), log.upsert("b", "E-5000")])
    engine.process([log.delete("b"), log.upsert("a", "ERROR E-9999")])
    assert terms_of(engine) == set(item_terms(item("ERROR E-9999")).whole.counts) | {""}


def test_an_erased_word_is_nowhere_in_the_files(tmp_path: Path) -> None:
    log, engine = Log(), opened(tmp_path)
    engine.process([log.upsert("a", "Wilhelmina asks"), log.upsert("b", "Quentin asks")])
    assert b"wilhelmina" in on_disk(tmp_path).lower()
    engine.process([log.erase("a")])
    engine.close()
    assert b"quentin" in on_disk(tmp_path).lower()
    assert b"wilhelmina" not in on_disk(tmp_path).lower()


def test_an_erasure_leaves_no_hash_of_a_term_in_the_database_file(tmp_path: Path) -> None:
    """Who has the key of the hash, which is no secret, could try names against what is left."""
    log, engine = Log(), opened(tmp_path)
    engine.process([log.upsert("a", "Wilhelmina asks"), log.upsert("b", "Quentin asks")])
    engine.process([log.upsert(f"more {n}", f"asks number{n}") for n in range(30)])
    gone, kept = (words_table.hash_of(1, term).encode() for term in ("wilhelmina", "quentin"))
    assert engine._store.words.having(1, "wilhelmina") == [1]
    engine.process([log.erase("a")])
    while engine.tidying.some(0, engine.last_event):
        pass
    engine.close()
    # A page of the index leaves out what a term has in common with the one before it.
    assert kept[4:] in on_disk(tmp_path)
    assert gone[4:] not in on_disk(tmp_path)


def test_a_delete_alone_does_not_rewrite_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    monkeypatch.setattr(words_table.WordTable, "begin_compaction", lambda table: begun.append(1))
    log, engine = Log(), opened()
    engine.process([log.upsert("a", "Wilhelmina asks"), log.upsert("b", "Quentin asks"), log.delete("a")])
    engine._store.scrub_some()
    assert begun == []
    engine.process([log.erase("b"), log.erase("never there")])
    engine._store.scrub_some()
    assert begun == [1]
    engine.close()


def test_of_items_on_one_point_the_one_that_shares_rare_words_is_a_candidate_too(
    engine_with: Callable[..., Recommender],
) -> None:
    """Of a point only the earliest item is judged for its vector; words have candidates of their own."""
    judged: dict[str, list[str]] = {}
    log, engine = Log(), engine_with(matcher=recording(judged))
    engine.process([log.upsert("first", "quite another matter", vector=at(0))])
    engine.process([log.upsert("code", "error E-4012 in the hall", vector=at(0))])
    engine.process([log.upsert("q", "again E-4012", vector=at(20))])
    assert sorted(judged["q"]) == ["code", "first"]


def test_an_item_on_the_point_of_a_twin_is_a_candidate_by_its_words(
    engine_with: Callable[..., Recommender],
) -> None:
    judged: dict[str, list[str]] = {}
    log, engine = Log(), engine_with(matcher=recording(judged))
    engine.process([log.upsert("a", "again E-4012", vector=at(20)), log.upsert("b", "error E-4012", vector=at(20))])
    engine.process([log.upsert("twin", "again E-4012", vector=at(0))])
    assert sorted(judged["twin"]) == ["a", "b"]


def recording(judged: dict[str, list[str]]) -> MatcherFactory:
    return lambda statistics, models: RecordingMatcher(cosine_matcher(statistics, models), judged)


def on_disk(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def terms_of(engine: Recommender) -> set[str]:
    return set(engine._store.words.counts(1))


@pytest.fixture
def engine_with() -> Iterator[Callable[..., Recommender]]:
    engines: list[Recommender] = []

    def make(**given: Any) -> Recommender:
        engines.append(opened(**given))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()
