"""Expired items are hidden at once, in any number; their rows are deleted in parts, at a cost of what is due."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine import Entry, Event, Recommender
from recommender_engine.items import GroupChanged, ItemDeleted, ItemProcessed, ItemRevised
from recommender_engine.matching import LearnedMatcher
from recommender_engine.pipeline.batch import Batch, Decision
from recommender_engine.pipeline.stream_time import expiry
from tests.support.engine import Log, at, data_of, is_outcome, lines, opened

SHOP = "the card payment was declined at the shop"
TTL_MS = 60_000


@pytest.fixture
def engine() -> Iterator[Recommender]:
    engine = opened(matcher=LearnedMatcher)
    yield engine
    engine.close()


def filled(engine: Recommender, log: Log, count: int = 60, **settings: Any) -> None:
    """Twins and near ones, and then an hour during which no command came."""
    engine.process([log.configure(ttl_seconds=60, **settings)])
    engine.process([log.upsert(f"i{n}", SHOP if n % 2 else f"{SHOP} number {n}", later_ms=0) for n in range(count)])


def processed(events: Sequence[Event]) -> list[dict[str, Any]]:
    return [data_of(event) for event in events if isinstance(event.data, ItemProcessed)]


@pytest.mark.parametrize("policy", [{}, {"window_seconds": 10**6}, {"canonical": "longest"}, {"rule": "cosine"}])
def test_nothing_that_is_due_is_met_by_the_next_command(engine: Recommender, log: Log, policy: dict[str, Any]) -> None:
    filled(engine, log, **policy)
    (found,) = processed(engine.process([log.upsert("new", SHOP, later_ms=3_600_000)]))
    assert (found["band"], found["duplicate_of"], found["matched_id"], found["recommendations"]) == (
        "new",
        None,
        None,
        [],
    )
    assert found["canonical_id"] == "new"
    assert engine.stats()["items"] > 30, "most of it is still to be deleted"
    assert [hit.id for hit in engine.search(SHOP)] == ["new"]
    assert engine.recommend("new") == []
    assert engine.recommend("i59") is None
    assert engine.get("i59") is None
    page = engine.export()
    assert page is not None
    assert [item.id for item in page.items] == ["new"]


def test_near_ones_behind_a_crowd_that_is_due_are_found(engine: Recommender, log: Log) -> None:
    """As many neighbours as are asked for are gone, and more."""
    crowd = [log.upsert(f"c{n}", f"text {n}", vector=at(n / 100), later_ms=0) for n in range(200)]
    engine.process([log.configure(ttl_seconds=60, candidates=5), *crowd])
    engine.process([log.upsert("near", "stays", vector=at(5), later_ms=50_000)])
    (found,) = processed(engine.process([log.upsert("q", "question", vector=at(6), later_ms=20_000)]))
    assert [one["id"] for one in found["recommendations"]] == ["near"]
    assert engine.stats()["items"] > 100


def test_the_rest_of_a_group_is_reported_once(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "MOST_AT_ONCE", 2)
    engine = opened()
    engine.process([log.configure(ttl_seconds=60), *(log.upsert(f"i{n}", SHOP, later_ms=0) for n in range(9))])
    engine.process([log.upsert("stays", SHOP, later_ms=30_000)])
    events = engine.process([log.upsert("new", SHOP, later_ms=30_001)])
    for n in range(10):
        events += engine.process([log.patch("new", {"x": n})])
    told = [event.data for event in events if isinstance(event.data, GroupChanged | ItemRevised)]
    assert [getattr(one, "change", "revised") for one in told] == ["left", "canonical_changed", "revised", "joined"]
    left, canonical, revised, _ = told
    assert isinstance(left, GroupChanged)
    assert isinstance(canonical, GroupChanged)
    assert isinstance(revised, ItemRevised)
    assert (len(left.items), left.size, left.canonical_id, canonical.items) == (9, 1, "stays", ("stays",))
    assert (revised.item_id, revised.previous_duplicate_of, revised.duplicate_of) == ("stays", "i0", None)
    assert next(one["duplicate_of"] for one in processed(events) if one["item_id"] == "new") == "stays"
    assert [event.data.item_id for event in events if isinstance(event.data, ItemDeleted)] == [
        f"i{n}" for n in range(9)
    ]
    engine.close()


def test_commands_that_name_what_is_gone_find_nothing(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "MOST_AT_ONCE", 1)
    engine = opened()
    engine.process([log.configure(ttl_seconds=60), *(log.upsert(f"i{n}", SHOP, version=5) for n in range(20))])
    engine.process([log.upsert("here", SHOP, later_ms=50_000)])
    events = engine.process(
        [
            log.patch("i10", {"x": 1}, later_ms=20_000),
            log.delete("i11", version=6),
            log.feedback("here", "same", "i12"),
            log.feedback("i13", "same", "here"),
            log.upsert("i14", SHOP, version=4),
            log.upsert("i15", SHOP, version=6),
            log.feedback("here", "right"),
        ]
    )
    told = [data_of(event) for event in events if is_outcome(event)]
    assert [one.get("reason") or one.get("code") or one["revision"] for one in told] == [
        "unknown_item",
        "unknown_item",
        "unknown_item",
        "unknown_item",
        "older_version",
        1,
        "no_duplicate",
    ]
    gone = [event.data.item_id for event in events if isinstance(event.data, ItemDeleted)]
    assert {f"i{n}" for n in range(10, 16)} <= set(gone)
    assert len(gone) == len(set(gone))
    engine.close()


def test_a_command_meets_no_verdict_on_an_item_that_is_gone(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names one in review with an item that has expired, and whose row waits behind others for its deletion."""
    monkeypatch.setattr(expiry, "MOST_AT_ONCE", 1)
    engine = opened()
    crowd = [log.upsert("crowd", "one", vector=at(105)), log.upsert("match", "two", vector=at(70))]
    engine.process([log.configure(ttl_seconds=60), *crowd])
    (found,) = processed(engine.process([log.upsert("here", "three", vector=at(35), later_ms=20_000)]))
    assert (found["band"], found["matched_id"]) == ("review", "match")
    events = engine.process([log.feedback("here", "right", later_ms=TTL_MS - 10_000)])
    (refused,) = [data_of(event) for event in events if is_outcome(event)]
    assert "the item's band is 'new'" in refused["message"]
    engine.close()


def test_on_a_quiet_stream_many_go_at_once(engine: Recommender, log: Log) -> None:
    filled(engine, log, 600)
    left = [600]
    tick = log.tick(later_ms=TTL_MS)
    while left[-1]:
        engine.process([tick])
        left.append(engine.stats()["items"])
        tick = log.tick()
    assert left == [600, 350, 100, 0]
    assert engine.due_ms() is None


def test_what_is_gone_stays_gone_when_the_time_to_live_grows(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "MOST_AT_ONCE", 2)
    engine = opened()
    engine.process([log.configure(ttl_seconds=60), *(log.upsert(f"i{n}", SHOP) for n in range(9))])
    engine.process([log.add("collection.configured", {"collection": "default", "settings": {}}, later_ms=2 * TTL_MS)])
    assert engine.get("i8") is None
    (found,) = processed(engine.process([log.upsert("new", SHOP)]))
    assert found["band"] == "new"
    for _ in range(5):
        engine.process([log.upsert("new", SHOP)])
    assert engine.stats()["items"] == 1
    assert engine.due_ms() is None
    engine.close()


def test_what_is_gone_stays_gone_over_a_restart(log: Log, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "MOST_AT_ONCE", 2)
    engine = opened(tmp_path)
    engine.process([log.configure(ttl_seconds=60), *(log.upsert(f"i{n}", SHOP) for n in range(9))])
    engine.process([log.upsert("other", "another text", later_ms=2 * TTL_MS)])
    engine.close()
    again = opened(tmp_path)
    assert again.due_ms() is not None
    (found,) = processed(again.process([log.upsert("new", SHOP)]))
    assert (found["band"], found["group"]) == ("new", "g11")
    again.close()


# -- in any batching, at any pace --------------------------------------------------------------------------------------

TEXTS = (SHOP, f"{SHOP}s", f"a {SHOP}", "order 1042 has not arrived", "order 1043 has not arrived")
ids = st.sampled_from("abcdefghij")
commands = st.one_of(
    st.tuples(st.just("upsert"), ids, st.sampled_from(TEXTS)),
    st.tuples(st.just("upsert"), ids, st.sampled_from(TEXTS)),
    st.tuples(st.just("upsert"), ids, st.sampled_from(TEXTS)),
    st.tuples(st.just("patch"), ids, st.just("")),
    st.tuples(st.just("delete"), ids, st.just("")),
    st.tuples(st.just("same"), ids, ids),
    st.tuples(st.just("different"), ids, ids),
    st.tuples(st.just("wrong"), ids, st.just("")),
    st.tuples(st.just("tick"), st.just(""), st.just("")),
    st.tuples(st.just("ttl"), st.sampled_from([30, 60, None]), st.sampled_from(["earliest", "latest"])),
)


def entry_of(log: Log, command: tuple[str, Any, Any], pause_ms: int) -> Entry | None:
    kind, one, other = command
    if kind == "upsert":
        return log.upsert(one, other, later_ms=pause_ms)
    if kind == "patch":
        return log.patch(one, {"x": 1}, later_ms=pause_ms)
    if kind == "delete":
        return log.delete(one, later_ms=pause_ms)
    if kind == "tick":
        return log.tick(pause_ms)
    if kind == "ttl":
        return log.configure(**({} if one is None else {"ttl_seconds": one}), canonical=other)
    if kind == "wrong":
        return log.feedback(one, "wrong", later_ms=pause_ms)
    return None if one == other else log.feedback(one, kind, other, later_ms=pause_ms)


histories = st.lists(st.tuples(commands, st.sampled_from([1, 1, 1, 20_000, 40_000])), min_size=4, max_size=40)


def entries_of(history: list[tuple[tuple[str, Any, Any], int]]) -> list[Entry]:
    log = Log()
    entries = [log.configure(ttl_seconds=60, candidates=3)]
    entries += [entry for command, pause in history if (entry := entry_of(log, command, pause)) is not None]
    return [*entries, *(log.tick(1) for _ in range(40))]


def run(entries: Sequence[Entry], cut: int, at_once: int) -> list[Event]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expiry, "MOST_AT_ONCE", at_once)
        patch.setattr(expiry, "MOST_ON_A_TICK", at_once)
        engine = opened()
        events = [event for n in range(0, len(entries), cut) for event in engine.process(entries[n : n + cut])]
        assert engine.stats()["items"] == len(engine._store.items.after(1, 0, 100))
        engine.close()
    return events


@settings(max_examples=80, deadline=None)
@given(history=histories, cut=st.integers(1, 9))
def test_the_pace_of_deletion_changes_no_decision(history: list[tuple[tuple[str, Any, Any], int]], cut: int) -> None:
    entries = entries_of(history)
    slow, fast = run(entries, cut, 1), run(entries, 1, 1000)
    decided = [
        # The id of a list is the position of its event, which deletions before it move.
        [
            {**data_of(event), "type": event.data.type, "recommendation_id": None}
            for event in events
            if is_outcome(event)
        ]
        for events in (slow, fast)
    ]
    assert decided[0] == decided[1]
    gone = [
        sorted(event.data.item_id for event in events if isinstance(event.data, ItemDeleted)) for events in (slow, fast)
    ]
    assert gone[0] == gone[1]
    assert current_verdicts_of(slow) == current_verdicts_of(fast)


@settings(max_examples=40, deadline=None)
@given(history=histories, cut=st.integers(2, 9))
def test_deletion_in_slices_is_the_same_in_any_batching(
    history: list[tuple[tuple[str, Any, Any], int]], cut: int
) -> None:
    entries = entries_of(history)
    assert lines(run(entries, cut, 2)) == lines(run(entries, 1, 2))


def current_verdicts_of(events: Sequence[Event]) -> dict[str, tuple[Any, ...]]:
    """How each item stands, for a reader of all events."""
    told: dict[str, tuple[Any, ...]] = {}
    for event in events:
        data = event.data
        if isinstance(data, ItemProcessed | ItemRevised):
            told[data.item_id] = (data.band, data.duplicate_of)
        elif isinstance(data, ItemDeleted):
            told.pop(data.item_id, None)
    return told


# -- what it costs -----------------------------------------------------------------------------------------------------


def statements_of(engine: Recommender, entries: Sequence[Entry]) -> int:
    asked: list[str] = []
    engine._store._db.set_trace_callback(asked.append)
    engine.process(entries)
    engine._store._db.set_trace_callback(None)
    return len(asked)


def test_collections_with_a_time_to_live_cost_the_commands_of_others_nothing(log: Log) -> None:
    def statements(collections: int) -> int:
        engine = opened()
        for n in range(collections):
            engine.process([log.configure(f"c{n}", ttl_seconds=3600), log.upsert("a", SHOP, collection=f"c{n}")])
        engine.process([log.upsert("a", SHOP)])
        count = statements_of(engine, [log.upsert("b", "another text")])
        assert engine.due_ms() is not None
        engine.close()
        return count

    assert statements(200) == statements(2)


def test_what_is_due_costs_what_is_deleted(log: Log) -> None:
    """However many collections have had something due, it is looked at when its turn comes, and then no more."""

    def statements(collections: int) -> int:
        engine = opened()
        for n in range(collections):
            engine.process([log.configure(f"c{n}", ttl_seconds=60), log.upsert("a", f"text {n}", collection=f"c{n}")])
        engine.process([log.upsert("x", SHOP, collection="other", later_ms=2 * TTL_MS)])
        for _ in range(10):
            engine.process([log.upsert("x", SHOP, collection="other")])
        assert engine.stats()["items"] == 1
        count = statements_of(engine, [log.upsert("y", "another text", collection="other")])
        engine.close()
        return count

    assert statements(100) == statements(2)


def test_collections_that_await_a_summary_cost_the_commands_of_others_nothing(log: Log) -> None:
    """Those that are due are found without looking at the others."""
    engine = opened()
    for n in range(30):
        engine.process([log.upsert("a", SHOP, collection=f"c{n}", silent=True)])
    asked: list[int] = []
    by_id = engine._base.collections.by_id
    engine._base.collections.by_id = lambda id_: asked.append(id_) or by_id(id_)  # type: ignore[func-returns-value, method-assign]
    engine._deciding.changes.summaries.emit_due(Decision(log.upsert("b", SHOP), Batch(engine._store)))
    assert asked == []
    engine._base.collections.by_id = by_id  # type: ignore[method-assign]
    events = engine.process([log.tick(later_ms=5000)])
    assert [data_of(event)["collection"] for event in events] == [f"c{n}" for n in range(30)]
    assert engine.due_ms() is None
    engine.close()


def test_upkeep_looks_at_what_may_have_changed(log: Log) -> None:
    engine = opened()
    for n in range(20):
        engine.process([log.upsert("a", SHOP, collection=f"c{n}")])
    engine.process([log.configure("graph", index="hnsw"), log.upsert("a", SHOP, collection="graph")])
    engine.process([log.delete("a", collection="c3")])
    assert engine.sizes() == (20, {"exact": 19, "hnsw": 1})
    assert {one.name for one in engine._base.indexes._graphs.values()} == {"graph"}
    engine.process([log.configure("graph", index="exact")])
    assert engine.sizes() == (20, {"exact": 20})
    assert engine._base.indexes._graphs == {}
    engine.close()
