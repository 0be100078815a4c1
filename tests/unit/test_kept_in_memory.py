"""What the engine keeps of what it read: bounded, and never anything that holds no longer."""

from __future__ import annotations

import csv
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine import Entry, Recommender, open_recommender
from recommender_engine.items import CollectionSettings, EntryId, Item
from recommender_engine.matching import LearnedMatcher, cached_bytes, forget_texts, item_terms
from recommender_engine.pipeline.lexical import counts as counts_module
from recommender_engine.pipeline.lexical import postings as postings_module
from recommender_engine.pipeline.lexical.counts import Counts
from recommender_engine.pipeline.lexical.postings import Postings
from recommender_engine.recent import Recent
from recommender_engine.store import KeyUse, SqliteStore
from recommender_engine.testing import DeterministicEncoder
from tests.support.bounds import keep_nothing
from tests.support.engine import Log, Models, outbox_lines

WORDS = ("printer", "jams", "again", "order", "1042", "1043", "lost", "black", "white", "router", "of", "the")


def test_what_was_put_longest_ago_goes_first() -> None:
    kept: Recent[str, int] = Recent(2)
    for number, key in enumerate("abc"):
        kept.put(key, number)
    assert (len(kept), kept.get("a"), kept.among("abc")) == (2, None, {"b": 1, "c": 2})
    kept.drop("b")
    kept.drop("never there")
    assert ("b" in kept, "c" in kept) == (False, True)
    kept.clear()
    assert len(kept) == 0


# -- the same decisions, whatever is kept ------------------------------------------------------------------------------


def commands(seed: int, count: int = 120) -> list[Entry]:
    """Items that come, change, go and come back, with answers and settings that change who stands for a group."""
    chance, log = random.Random(seed), Log()
    entries = [log.configure(canonical="longest")]
    while len(entries) < count:
        id_, other = (f"i{chance.randrange(25)}" for _ in range(2))
        text = " ".join(chance.choices(WORDS, k=chance.choice((3, 4, 9))))
        key = chance.choice((None, f"key {chance.randrange(60)}"))
        writes: dict[Callable[[], Entry], int] = {
            lambda: log.upsert(id_, text, key=key): 12,  # noqa: B023 (called at once)
            lambda: log.upsert(id_, text.upper(), attributes={"price": chance.randrange(3)}): 4,  # noqa: B023
            lambda: log.patch(id_, {"price": chance.randrange(3)}): 2,  # noqa: B023
            lambda: log.delete(id_): 3,  # noqa: B023
            lambda: log.erase(id_): 1,  # noqa: B023
            lambda: log.feedback(id_, chance.choice(("same", "different", "unsure")), other): 3,  # noqa: B023
            lambda: log.configure(canonical=chance.choice(("earliest", "latest", "longest"))): 1,
        }
        (write,) = chance.choices(list(writes), list(writes.values()))
        entries.append(write())
    return entries


def batches(entries: Sequence[Entry], size: int = 9) -> Iterator[Sequence[Entry]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


class Undone(Exception):
    """A commit that fails."""


def decided(entries: Sequence[Entry], *, commits_fail: bool = False) -> list[str]:
    """What is published; with ``commits_fail`` each batch is carried out once more than it is committed."""
    fails = False

    def before_commit() -> None:
        if fails:
            raise Undone("not this time")

    engine = open_recommender(
        None, Models(DeterministicEncoder(64)), matcher=LearnedMatcher, before_commit=before_commit
    )
    for batch in batches(entries):
        if commits_fail:
            fails = True
            with pytest.raises(Undone, match="not this time"):
                engine.process(batch)
            fails = False
        engine.process(batch)
    said = outbox_lines(engine)
    engine.close()
    return said


@pytest.mark.parametrize("seed", range(4))
def test_the_same_is_decided_when_nothing_is_kept_and_when_commits_fail(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = commands(seed)
    expected = decided(entries)
    assert decided(entries, commits_fail=True) == expected
    keep_nothing(monkeypatch)
    assert decided(entries) == expected


def test_a_process_that_starts_anew_decides_as_one_that_kept_everything(tmp_path: Path) -> None:
    entries = commands(9)
    for batch in batches(entries, 30):
        engine = open_recommender(tmp_path, Models(DeterministicEncoder(64)), matcher=LearnedMatcher)
        engine.process(batch)
        said = outbox_lines(engine)
        engine.close()
    assert said == decided(entries)


def test_nothing_of_an_undone_batch_is_remembered() -> None:
    log, fails = Log(), False

    def before_commit() -> None:
        if fails:
            raise Undone("not this time")

    engine: Recommender = open_recommender(None, Models(), before_commit=before_commit)
    engine.process([log.upsert("a", "the printer jams")])
    fails, undone = True, [log.delete("a"), log.upsert("b", "the router is lost", key="k")]
    with pytest.raises(Undone, match="not this time"):
        engine.process(undone)
    store = engine._store
    assert [member.id for member in store.items.members([1, 2])] == ["a"]
    assert store.items.texts([1, 2], "default").keys() == {1}
    assert store.groups.canonical(["g1", "g2"]) == {"g1": "a"}
    assert store.vectors.several([1, 2]).keys() == {1}
    assert store.outbox.used("default", "k", 0) is None
    engine.close()


def test_all_that_is_kept_is_read_again_even_if_some_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    def undone() -> None:
        raise Undone("not this time")

    def unread() -> None:
        raise OSError("the disk is gone")

    engine: Recommender = open_recommender(None, Models(), before_commit=undone)
    kept = list(engine._store._on_rollback)
    read_again: list[object] = []
    failing = [lambda one=one: read_again.append(one) or unread() for one in kept]
    monkeypatch.setattr(engine._store, "_on_rollback", failing)
    with pytest.raises(OSError, match="the disk is gone"):
        engine.process([Log().upsert("a", "the printer jams")])
    assert read_again == kept
    owners = {type(getattr(one, "__self__", None)).__name__ for one in kept}
    assert owners > {
        "Collections",
        "Words",
        "Postings",
        "Models",
        "Training",
        "Answers",
        "Rates",
        "Summaries",
        "Expiry",
    }
    engine.close()


def test_a_key_that_is_used_after_it_was_asked_for_is_known() -> None:
    store = SqliteStore()
    assert store.outbox.used("c", "k", 5) is None
    store.outbox.remember_key("c", "k", 5, KeyUse(EntryId(7, 0), b"d"))
    assert store.outbox.used("c", "k", 5) == (EntryId(7, 0), b"d")
    store.close()


# -- terms -------------------------------------------------------------------------------------------------------------

steps = st.lists(
    st.tuples(st.integers(1, 12), st.lists(st.sampled_from(WORDS), unique=True, max_size=4).map(tuple), st.booleans()),
    max_size=40,
)


@settings(max_examples=25, deadline=None)
@given(steps, st.integers(0, 4000), st.integers(0, 4))
def test_postings_are_those_of_the_store(
    taken: list[tuple[int, tuple[str, ...], bool]], most: int, longest: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings_module, "LONGEST_KEPT", longest)
        store = SqliteStore()
        store.collections.create("one", CollectionSettings())
        postings = Postings(store, most)
        there: dict[int, tuple[str, ...]] = {}
        for seq, terms, goes in taken:
            if seq in there:
                postings.remove(1, seq, there.pop(seq))
            if not goes:
                known = {term for has in there.values() for term in has}
                postings.add(1, seq, terms, [term for term in terms if term not in known])
                there[seq] = terms
            assert postings.kept_bytes <= most
            for term in WORDS[seq % 3 :: 3]:
                assert sorted(postings.having(1, term).tolist()) == [
                    number for number in sorted(there) if term in there[number]
                ]
        postings.clear()
        assert postings.kept_bytes == 0
        assert all(set(postings.having(1, term)) == set(store.words.having(1, term)) for term in WORDS)
        store.close()


@settings(max_examples=100, deadline=None)
@given(steps, st.integers(0, 3), st.integers(0, 3), st.integers(1, 9))
def test_counts_stay_true_when_terms_are_numbered_anew(
    taken: list[tuple[int, tuple[str, ...], bool]], kept: int, unused: int, forgets_each: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts_module, "_TERMS_KEPT", 1000 * kept)
        patch.setattr(counts_module, "_UNUSED", unused)
        counts, there = Counts({"": 1, "printer": 1}), {0: ("printer",)}
        for step, (seq, terms, flushes) in enumerate(taken, 1):
            if seq in there:
                counts.change(there.pop(seq), -1)
            else:
                counts.change(terms, 1)
                there[seq] = terms
            if flushes:
                counts.flushed()
            if step % forgets_each == 0:
                counts.forget_unused()
            expected = Counter(term for has in there.values() for term in has)
            assert counts.documents == len(there)
            assert counts.frequencies(WORDS).tolist() == [expected[term] for term in WORDS]
            assert counts.frequency("unheard of") == 0


def test_counts_forget_the_terms_that_no_item_has() -> None:
    counts = Counts({"": 1, "printer": 1})
    counts.change(("printer", "jams", "again"), 1)
    counts.change(("printer", "jams", "again"), -1)
    assert counts.frequencies(("jams", "again")).tolist() == [0, 0]
    counts.forget_unused()
    assert not {"jams", "again"} & counts._number.keys()
    assert len(counts._kept) == 0
    counts.change(("again", "jams"), 1)
    assert counts.frequencies(("printer", "jams", "again")).tolist() == [1, 1, 1]


def test_what_no_item_has_is_looked_up_and_not_kept() -> None:
    counts = Counts({"": 1, "printer": 1})
    before = len(counts._number)
    for n in range(100):
        assert counts.frequencies((f"unheard of {n}", "printer")).tolist() == [0, 1]
    assert len(counts._number) == before


def test_long_items_are_kept_as_far_as_their_terms_go() -> None:
    kept = Recent[str, int](10, lambda key, value: value)
    for key, value in (("a", 4), ("b", 4), ("b", 5), ("c", 1)):
        kept.put(key, value)
    assert [key in kept for key in "abc"] == [True, True, True]
    kept.put("d", 2)
    assert [key in kept for key in "abcd"] == [False, True, True, True]
    kept.put("e", 11)
    assert len(kept) == 0


@pytest.mark.parametrize("sample", ["products.csv", "tickets.csv"])
def test_texts_weigh_what_they_take(sample: str) -> None:
    """Once they are read word by word; with a second reading, in which what all texts share is there already."""
    with (resources.files("celery_recommender.samples") / sample).open(encoding="utf-8") as file:
        texts = [f"{row['title']} {row['description']}" for row in csv.DictReader(file)]

    def taken() -> int:
        forget_texts()
        tracemalloc.start()
        try:
            assert all(item_terms(Item(id="1", text=text)).reading is not None for text in texts)
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    taken()
    assert taken() == pytest.approx(cached_bytes(), rel=0.25)
