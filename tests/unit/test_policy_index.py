"""A policy finds what an item may repeat whatever lies before it, and as fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine import Entry, Recommender
from recommender_engine.items import ItemProcessed
from recommender_engine.matching import LearnedMatcher
from recommender_engine.pipeline.candidates import policy_index
from recommender_engine.pipeline.candidates.policy_index import Allowed, PolicyIndex
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.policy import Dated, allows
from recommender_engine.store import Collection, StoredItem
from tests.support.engine import Log, at, lines, opened

SHOP = "the card payment was declined at the shop"
MANY = 10_050
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def hours(count: float) -> str:
    return (NOON + timedelta(hours=count)).isoformat()


def originals(engine: Recommender, *entries: Entry) -> list[str | None]:
    """Of each item that was processed, what it repeats."""
    events = engine.process(entries)
    return [event.data.duplicate_of for event in events if isinstance(event.data, ItemProcessed)]


def multiply(engine: Recommender, item_id: str, count: int) -> None:
    """As if many more had come that say what an item says, each an item by itself."""
    store, columns = engine._store, "collection, revision, version, content, attributes, fingerprint, vector, point, "
    columns += "verdict, matched_seq, at_ms, scope, moment"
    with store.transaction():
        store._db.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO items (id, grp,"
            f" {columns}) SELECT items.id || ' ' || i, 'of ' || i, {columns} FROM items, n WHERE items.id = ?",
            (count, item_id),
        )
    store.items.recent.clear()
    store.items.counts.forget()


# One policy of each kind: what an item must not repeat, and two that may be repeats of each other.
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "window": ({"window_seconds": 3600}, {"later_ms": 1}, {"later_ms": 7_200_000}),
    "window by timestamp": ({"window_seconds": 3600}, {"timestamp": hours(0)}, {"timestamp": hours(2)}),
    "window, they are in the future": ({"window_seconds": 3600}, {"timestamp": hours(9)}, {"timestamp": hours(2)}),
    "window, with and without a timestamp": ({"window_seconds": 3600}, {"timestamp": hours(0)}, {}),
    "only": ({"only": {"status": ["open"]}}, {"attributes": {"status": "closed"}}, {"attributes": {"status": "open"}}),
    "only, a dotted name": (
        {"only": {"ticket.status": ["open", None]}},
        {"attributes": {"ticket.status": "closed"}},
        {"attributes": {}},
    ),
    "equal": ({"equal": ["customer"]}, {"attributes": {"customer": 1}}, {"attributes": {"customer": 2}}),
    "equal, a dotted name": (
        {"equal": ["customer.id"]},
        {"attributes": {"customer.id": "1"}},
        {"attributes": {"customer.id": 1}},
    ),
    "equal, a quoted name": ({"equal": ['a"b']}, {"attributes": {'a"b': True}}, {"attributes": {'a"b': 1}}),
    "equal, nothing": ({"equal": ["customer"]}, {"attributes": {"customer": 1}}, {}),
    "min_length": ({"min_length": len(SHOP) + 2}, {}, {"text": f"  {SHOP}"}),
    "all of them": (
        {"equal": ["customer", "product"], "only": {"status": ["open"]}, "window_seconds": 3600, "min_length": 5},
        {"attributes": {"customer": 1, "product": "x", "status": "closed"}},
        {"attributes": {"customer": 1.0, "product": "x", "status": "open"}, "later_ms": 10_000},
    ),
}


@pytest.mark.parametrize("rule", ["learned", "cosine"])
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_that_it_must_not_repeat_hide_none_that_it_repeats(kind: str, rule: str) -> None:
    policy, old, new = KINDS[kind]
    engine, log = opened(matcher=LearnedMatcher), Log()
    engine.process([log.configure(**policy, rule=rule), log.upsert("old", **{"text": SHOP, **old})])
    multiply(engine, "old", MANY)
    said = {"text": SHOP, **new}
    first, second = log.upsert("first", **said), log.upsert("second", **{**said, "later_ms": 1})
    assert originals(engine, first) == [None]
    assert originals(engine, second) == ["first"]
    engine.close()


@contextmanager
def steps_of(engine: Recommender) -> Iterator[list[int]]:
    """Counts the steps of SQLite's machine, which are the same at each run."""
    counted = [0]

    def step() -> None:
        counted[0] += 1

    engine._store._db.set_progress_handler(step, 10)
    yield counted
    engine._store._db.set_progress_handler(None, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_outside_costs_nothing(kind: str) -> None:
    policy, old, new = KINDS[kind]

    def steps(count: int) -> int:
        engine, log = opened(matcher=LearnedMatcher), Log()
        engine.process([log.configure(**policy), log.upsert("old", **{"text": SHOP, **old})])
        multiply(engine, "old", count)
        said = {"text": SHOP, **new}
        engine.process([log.upsert("first", **said)])
        with steps_of(engine) as counted:
            engine.process([log.upsert("second", **{**said, "later_ms": 1})])
        engine.close()
        return counted[0]

    assert steps(MANY) < 1.3 * steps(100)


def test_many_near_ones_outside_do_not_hide_a_near_one_inside() -> None:
    """The nearest fifty are all of another customer."""
    engine, log = opened(), Log()
    engine.process([log.configure(equal=["customer"], candidates=50)])
    crowd = [
        log.upsert(f"c{n}", f"text {n}", vector=at(n / 100), attributes={"customer": 1}, later_ms=0) for n in range(200)
    ]
    engine.process([log.upsert("mine", "far off", vector=at(5), attributes={"customer": 2}), *crowd])
    assert originals(engine, log.upsert("q", "question", vector=at(0), attributes={"customer": 2})) == ["mine"]
    engine.close()


def test_many_near_ones_outside_a_window_do_not_hide_those_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many are allowed to compare with all, so the nearest of them are asked for."""
    monkeypatch.setattr(policy_index, "FEW", 5)
    engine, log = opened(), Log()
    crowd = [log.upsert(f"c{n}", f"text {n}", vector=at(n / 100), later_ms=0) for n in range(300)]
    engine.process([log.configure(window_seconds=60, candidates=10), *crowd])
    engine.process([log.upsert(f"i{n}", f"new {n}", vector=at(90 + n), later_ms=10_000) for n in range(8)])
    engine.process([log.upsert("mine", "far off", vector=at(5))])
    assert originals(engine, log.upsert("q", "question", vector=at(0))) == ["mine"]
    engine.close()


def test_many_that_share_rare_words_outside_do_not_hide_those_inside() -> None:
    engine, log = opened(matcher=LearnedMatcher), Log()
    engine.process([log.configure(equal=["customer"], candidates=1)])
    text = "wildebeest {} umbrella xylophone quartz"
    crowd = [log.upsert(f"c{n}", text.format(n), attributes={"customer": 1}) for n in range(60)]
    engine.process([*crowd, log.upsert("mine", text.format("mine"), attributes={"customer": 2})])
    (event,) = engine.process([log.upsert("q", text.format("again"), attributes={"customer": 2})])
    assert isinstance(event.data, ItemProcessed)
    assert event.data.matched_id == "mine"
    engine.close()


# -- new settings, new values ------------------------------------------------------------------------------------------


def test_a_patch_puts_an_item_into_reach_and_out_of_it() -> None:
    engine, log = opened(), Log()
    engine.process([log.configure(only={"status": ["open"]}), log.upsert("a", SHOP, attributes={"status": "open"})])
    assert originals(engine, log.upsert("b", SHOP, attributes={"status": "closed"})) == ["a"]
    engine.process([log.patch("a", {"status": "closed"})])
    assert originals(engine, log.upsert("c", SHOP, attributes={"status": "closed"})) == [None]
    engine.process([log.patch("b", {"status": "open"})])
    assert originals(engine, log.upsert("d", SHOP, attributes={"status": "closed"})) == ["a"], "of the group of b"
    engine.close()


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_new_settings_hold_from_the_next_command_on(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Items are given their spots a few at a time, and found all the while."""
    monkeypatch.setattr(policy_index, "SORTED_AT_ONCE", at_once)
    engine, log = opened(), Log()
    engine.process(
        [log.configure(equal=["n"]), *(log.upsert(f"i{n}", SHOP, attributes={"n": n, "m": n % 2}) for n in range(9))]
    )
    engine.process([log.configure(equal=["m"])])
    assert originals(engine, log.upsert("x", SHOP, attributes={"n": 99, "m": 1})) == ["i1"]
    engine.process([log.configure(equal=["n"])])
    for n in range(9):
        event, *_ = engine.process([log.upsert(f"y{n}", SHOP, attributes={"n": n, "m": 7})])
        assert isinstance(event.data, ItemProcessed)
        assert event.data.matched_id == f"i{n}"
    engine.close()


def test_settings_that_change_nothing_for_the_spots_keep_them() -> None:
    engine, log = opened(), Log()
    engine.process([log.configure(window_seconds=60), log.upsert("a", SHOP)])
    engine.process([log.configure(window_seconds=3600, candidates=3)])
    assert engine._base.collections.find("default").unsorted_seq == 0  # type: ignore[union-attr]
    engine.process([log.configure(candidates=3)])
    assert engine._base.collections.find("default").unsorted_seq == 1  # type: ignore[union-attr]
    engine.close()


def test_an_upgraded_state_finds_what_was_there(tmp_path: Path) -> None:
    """Items of an earlier release have no spot; they are found, and get one as commands come."""
    engine, log = opened(tmp_path), Log()
    engine.process([log.configure(equal=["n"]), *(log.upsert(f"i{n}", SHOP, attributes={"n": n}) for n in range(250))])
    with engine._store.transaction():
        engine._store._db.execute("UPDATE items SET scope=NULL, moment=NULL")
        engine._store._db.execute("UPDATE collections SET unsorted_seq=250")
    engine.close()
    again = opened(tmp_path)
    assert originals(again, log.upsert("x", SHOP, attributes={"n": 3})) == ["i3"]
    for n in range(3):
        assert originals(again, log.upsert(f"y{n}", SHOP, attributes={"n": n})) == [f"i{n}"]
    (left,) = again._store._db.execute("SELECT count(*) FROM items WHERE scope IS NULL").fetchone()
    assert left == 0
    again.close()


# -- against looking at everything -------------------------------------------------------------------------------------


class LookedAtAll(PolicyIndex):
    """The same by reading every item of the collection."""

    def _all(self, allowed: Allowed, subject: Subject) -> list[StoredItem]:
        collection, later, _ = allowed
        rows = self._store.items.after(collection.id, 0, 1_000_000)
        before = [row for row in rows if row.item.id != subject.item.id]
        if subject.seq is not None:
            before = [row for row in before if row.seq < subject.seq]
        return [row for row in before if allows(collection.settings, later, Dated(row.item, row.at_ms))]

    def _earliest(self, allowed: Allowed, sharing: Any, values: Sequence[Any], subject: Subject) -> list[int]:
        rows = self._all(allowed, subject)
        found = [next((row.seq for row in rows if getattr(row, sharing) == value), 0) for value in values]
        return [seq for seq in found if seq]

    def near(self, collection: Collection, subject: Subject) -> list[int] | None:
        rows = self._all(self.allowed(collection, subject), subject)
        return sorted({row.point for row in rows})

    def among(self, collection: Collection, subject: Subject) -> Callable[[Sequence[int]], list[int]]:
        found = {row.seq for row in self._all(self.allowed(collection, subject), subject)}
        return lambda seqs: [seq for seq in seqs if seq in found]

    def sort(self, command: Any) -> None:
        """Nothing has a spot."""


POLICIES: tuple[dict[str, Any], ...] = (
    {"equal": ["who"]},
    {"equal": ["a.b", "who"]},
    {"only": {"state": ["open", None]}},
    {"window_seconds": 60},
    {"window_seconds": 60, "equal": ["who"], "only": {"state": ["open"]}},
    {"min_length": 28},
    {},
    {"rule": "cosine", "window_seconds": 60, "equal": ["who"]},
)
TEXTS = (SHOP, f" {SHOP.upper()}", "the card payment was declined", "order 17 has not arrived yet", "order 17 is late")
attributes = st.fixed_dictionaries(
    {},
    optional={
        "who": st.sampled_from([1, 1.0, True, "1", None]),
        "a.b": st.sampled_from(["x", "y"]),
        "state": st.sampled_from(["open", "closed"]),
    },
)
times = st.sampled_from([None, None, *(f"2023-11-14T22:{minute}:20Z" for minute in range(10, 18))])
commands = st.one_of(
    st.tuples(st.just("upsert"), st.sampled_from("abcdefgh"), st.sampled_from(TEXTS), attributes, times),
    st.tuples(st.just("upsert"), st.sampled_from("abcdefgh"), st.sampled_from(TEXTS), attributes, times),
    st.tuples(st.just("patch"), st.sampled_from("abcdefgh"), attributes),
    st.tuples(st.just("delete"), st.sampled_from("abcdefgh")),
    st.tuples(st.just("configure"), st.sampled_from(POLICIES[:-1])),
)


def entry_of(log: Log, command: tuple[Any, ...], pause_ms: int) -> Entry:
    kind, first, *rest = command
    if kind == "configure":
        return log.configure(**first)
    if kind == "patch":
        return log.patch(first, rest[0] or {"x": 1}, later_ms=pause_ms)
    if kind == "delete":
        return log.delete(first, later_ms=pause_ms)
    text, given_attributes, timestamp = rest
    said = {"attributes": given_attributes} | ({} if timestamp is None else {"timestamp": timestamp})
    return log.upsert(first, text, later_ms=pause_ms, **said)


@settings(max_examples=60, deadline=None)
@given(
    policy=st.sampled_from(POLICIES),
    history=st.lists(st.tuples(commands, st.sampled_from([1, 1, 20_000, 45_000])), min_size=3, max_size=30),
    cut=st.integers(1, 8),
)
def test_what_is_found_is_what_looking_at_everything_finds(
    policy: dict[str, Any], history: list[tuple[tuple[Any, ...], int]], cut: int
) -> None:
    log = Log()
    entries = [log.configure(**policy), *(entry_of(log, command, pause) for command, pause in history)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy_index, "SORTED_AT_ONCE", 2)
        engine = opened(matcher=LearnedMatcher)
        told = [event for n in range(0, len(entries), cut) for event in engine.process(entries[n : n + cut])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recommender_engine.pipeline.wiring.base.PolicyIndex", LookedAtAll)
        reference = opened(matcher=LearnedMatcher)
        expected = reference.process(entries)
    assert lines(told) == lines(expected)
    engine.close()
    reference.close()


def test_an_item_that_is_judged_again_sees_those_before_it_only() -> None:
    engine, log = opened(), Log()
    engine.process(
        [log.configure(equal=["who"]), *(log.upsert(f"i{n}", SHOP, attributes={"who": 1}) for n in range(4))]
    )
    collection = engine._base.collections.find("default")
    assert collection is not None
    (member,) = engine._store.items.named(collection.id, ["i2"])
    found = PolicyIndex(engine._store, engine._base.collections)
    subject = Subject(engine._store.items.by_seq([member.seq])[member.seq].item, b"", at(0), 0, member.seq)  # type: ignore[arg-type]
    row = engine._store.items.by_seq([member.seq])[member.seq]
    subject = replace(subject, fingerprint=row.fingerprint, at_ms=row.at_ms)
    twin = found.twin(collection, subject)
    assert twin is not None
    assert twin.id == "i0"
    engine.close()
