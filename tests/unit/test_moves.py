"""A collection moves between partitions: nothing is lost, nothing is decided twice, whatever comes meanwhile."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine import Recommender
from recommender_engine.items import (
    START,
    CommandForwarded,
    CommandRejected,
    EntryId,
    Event,
    ItemDeleted,
    RecommendationsUpdated,
)
from recommender_engine.items.limits import KEY_WINDOW_MS
from recommender_engine.items.moves import FIRST_PAGE
from recommender_engine.matching import LearnedMatcher
from recommender_engine.pipeline.migration.moved_collections import MOST_HOPS
from tests.support.engine import at, data_of, is_outcome, lines
from tests.support.partitions import Pair, Side

TEXTS = (
    "card payment declined at the shop",
    "CARD payment declined at the shop",
    "card payment declined at the shop today",
    "heavy rain up north",
    "heavy rain up north again",
    "the lid of the box is missing",
)


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


def upsert(id_: str, text: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "item.upsert", {"id": id_, "collection": "c", "text": text, **more}


def filled(pair: Pair, count: int = 12) -> None:
    """Items of ``c`` in ``a``, and others in both, so that numbers differ."""
    for n in range(3):
        pair["b"].add("item.upsert", {"id": f"o{n}", "collection": "other", "text": TEXTS[n]})
    for n in range(count):
        pair["a"].add(*upsert(f"i{n}", TEXTS[n % 6]), key=f"k{n}")
    pair["a"].add("item.upsert", {"id": "o", "collection": "other", "text": TEXTS[0]})
    pair.settle()


def moved(pair: Pair, source: str = "a", target: str = "b", move: str = "m1") -> None:
    for _ in pair.move(source, target, move):
        pass
    pair.settle()


def current(engine: Recommender, ids: Sequence[str]) -> dict[str, Any]:
    """Where items stand, and who shares a group with whom; a group's id is its partition's."""
    views = {id_: view for id_ in ids if (view := engine.get(id_, "c")) is not None}
    members: dict[str, set[str]] = {}
    for id_, view in views.items():
        members.setdefault(view.group, set()).add(id_)
    return {
        id_: {**view.model_dump(exclude={"group"}), "group": sorted(members[view.group])} for id_, view in views.items()
    }


def said(events: Sequence[Event]) -> list[Event]:
    """Outcomes as consumers see them."""
    return [event for event in events if is_outcome(event) and not event.silent]


# -- with and without a move -------------------------------------------------------------------------------------------

IDS = ("p", "q", "r", "s", "t")
upserts = st.tuples(st.just("upsert"), st.sampled_from(IDS), st.sampled_from(TEXTS))
others = st.one_of(
    st.tuples(st.sampled_from(("delete", "erase", "patch")), st.sampled_from(IDS), st.just("")),
    st.tuples(st.just("feedback"), st.sampled_from(IDS), st.sampled_from(IDS)),
)
operations = st.lists(st.one_of(upserts, upserts, others), min_size=1, max_size=30)


def command_of(operation: tuple[str, str, str]) -> tuple[str, dict[str, Any]]:
    kind, id_, more = operation
    of_item = {"id": id_, "collection": "c"}
    if kind == "upsert":
        return upsert(id_, more)
    if kind == "patch":
        return "item.patch", {**of_item, "attributes": {"seen": True}}
    if kind == "feedback":
        return "feedback.given", {**of_item, "other": more, "answer": "different"}
    return f"item.{kind}", of_item


@settings(max_examples=40, deadline=None)
@given(
    operations=operations,
    pauses=st.lists(st.integers(0, 4), min_size=12, max_size=12),
    batch=st.integers(1, 5),
    keyed=st.booleans(),
    twice=st.booleans(),
)
def test_a_move_at_any_point_changes_nothing(
    operations: list[tuple[str, str, str]], pauses: list[int], batch: int, keyed: bool, twice: bool
) -> None:
    pair, reference = Pair(), Side("a")
    try:
        pair["b"].add("item.upsert", {"id": "p", "collection": "other", "text": TEXTS[0]})
        first = upsert("first", TEXTS[0])
        waiting = [first, *map(command_of, operations)]
        for number, (type_, data) in enumerate(waiting):
            reference.add(type_, data, key=f"k{number}")
        reference.decide(batch)
        coming = iter(enumerate(waiting))

        def send(count: int) -> None:
            for number, (type_, data) in [one for one in (next(coming, None) for _ in range(count)) if one]:
                pair["a"].add(type_, data, key=f"k{number}" if keyed else None)

        send(1)
        pair.settle(batch)
        for place, _ in enumerate(pair.move()):
            send(pauses[place % len(pauses)])
            pair["a"].decide(batch)
            pair.pump(twice=twice)
        pair.settle(batch, twice=twice)
        send(len(waiting))
        pair.settle(batch, twice=twice)

        ids = ("first", *IDS)
        assert current(pair["b"].engine, ids) == current(reference.engine, ids)
        assert current(pair["a"].engine, ids) == {}
        asked = [one.model_dump(exclude={"at_ms"}) for one in pair["b"].engine.answers("c")]
        assert asked == [one.model_dump(exclude={"at_ms"}) for one in reference.engine.answers("c")]
        ours = Counter(
            data_of(event)["type"]
            for side in pair.sides.values()
            for event in said(side.events)
            if "collection.moved" not in event.data.type and data_of(event).get("collection") == "c"
        )
        assert ours == Counter(data_of(event)["type"] for event in said(reference.events))
    finally:
        pair.close()
        reference.engine.close()


def test_either_log_gives_the_same_again(pair: Pair) -> None:
    filled(pair)
    for place, _ in enumerate(pair.move()):
        pair["a"].add(*upsert(f"during {place}", TEXTS[place % 6]))
        pair["a"].decide()
    pair.settle()
    for side in pair.sides.values():
        again = Side(side.name)
        again.entries = side.entries
        again.decide(3)
        assert lines(again.events) == lines(side.events)
        assert again.engine.stats()["collections"] == side.engine.stats()["collections"]
        again.engine.close()


def test_every_step_survives_a_restart(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    filled(pair)
    before = current(pair["a"].engine, [f"i{n}" for n in range(12)])
    for _ in pair.move():
        for side in pair.sides.values():
            side.reopen()
    for side in pair.sides.values():
        side.reopen()
    pair.settle()
    assert current(pair["b"].engine, [f"i{n}" for n in range(12)]) == before
    pair.close()


def test_there_and_back_again(pair: Pair) -> None:
    filled(pair)
    ids = [f"i{n}" for n in range(12)]
    before = current(pair["a"].engine, ids)
    moved(pair)
    moved(pair, "b", "a", "m2")
    assert current(pair["a"].engine, ids) == before
    pair["b"].add(*upsert("i0", TEXTS[0]))
    pair.settle()
    assert pair["a"].events[-1].data.type == "recommender.item.processed.v1"


def test_groups_have_ids_of_their_partition(pair: Pair) -> None:
    filled(pair)
    before = pair["a"].engine.get("i0", "c")
    moved(pair)
    after = pair["b"].engine.get("i0", "c")
    offset = next(
        data_of(event)["groups_offset"] for event in pair["b"].events if data_of(event).get("step") == "arrived"
    )
    assert before is not None
    assert after is not None
    assert int(after.group.removeprefix("g")) == int(before.group.removeprefix("g")) + offset
    assert pair["b"].engine.get("o0", "other").group != after.group  # type: ignore[union-attr]


# -- keys, replies, answers --------------------------------------------------------------------------------------------


def test_a_key_that_was_used_before_the_move_has_no_second_effect_behind_it(pair: Pair) -> None:
    filled(pair)
    first = pair["a"].engine.outcome("k3")
    moved(pair)
    told = len(said(pair["b"].events))
    pair["b"].add(*upsert("i3", TEXTS[3]), key="k3", reply_to="0 task")
    pair.settle()
    assert len(said(pair["b"].events)) == told
    assert pair["b"].engine.outcome("k3") == first
    assert [reply.reply_to for reply in pair["b"].engine.outbox.replies(0, 10)] == ["0 task"]


def test_a_waiting_caller_is_answered_by_the_deciding_partition(pair: Pair) -> None:
    filled(pair)
    moved(pair)
    pair["a"].add(*upsert("late", TEXTS[0]), key="late", reply_to="0 task")
    pair.settle()
    assert pair["a"].engine.outbox.replies(0, 10) == []
    assert [reply.reply_to for reply in pair["b"].engine.outbox.replies(0, 10)] == ["0 task"]
    assert pair["a"].engine.outcome("late") is None


def test_a_command_without_a_key_is_passed_on_under_its_position(pair: Pair) -> None:
    filled(pair)
    moved(pair)
    entry = pair["a"].add(*upsert("late", TEXTS[0]))
    pair.settle(twice=True)
    (forwarded,) = [event.data for event in pair["a"].events if isinstance(event.data, CommandForwarded)]
    assert (forwarded.key, forwarded.to) == (f"/recommender/a {entry.id}", "b")
    assert sum(data_of(event).get("item_id") == "late" for event in said(pair["b"].events)) == 1


# -- what is erased, what expires --------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["a", "b"])
def test_an_erasure_reaches_what_was_said_before_the_move(pair: Pair, door: str) -> None:
    filled(pair)
    moved(pair)
    pair[door].add("item.erase", {"id": "i1", "collection": "c"}, key="erase")
    pair.settle()
    for side in pair.sides.values():
        kept = [json.loads(row.event) for row in side.engine.outbox.after(START, 1000)]
        about = [event for event in kept if event["data"].get("item_id") == "i1"]
        assert all(event["type"] != "recommender.item.processed.v1" for event in about), side.name
    erased = [
        event for side in pair.sides.values() for event in said(side.events) if isinstance(event.data, ItemDeleted)
    ]
    assert len(erased) == 1
    assert pair["a"].engine.outbox.redactions()


def copies_of(side: Side, item_id: str) -> int:
    """Rows of an item, in whatever copy of its collection."""
    rows = side.engine._store._db.execute("SELECT count(*) FROM items WHERE id=?", (item_id,))
    return int(rows.fetchone()[0])


@pytest.mark.parametrize("door", ["a", "b"])
def test_an_erasure_reaches_the_copy_that_has_left(pair: Pair, door: str) -> None:
    pair["a"].add(*upsert("secret", "zanzibar is the password"))
    filled(pair)
    moved(pair)
    pair[door].add("item.erase", {"id": "secret", "collection": "c"}, key="erase")
    pair.settle()
    assert [copies_of(side, "secret") for side in pair.sides.values()] == [0, 0]
    while pair["a"].engine.moving.clear(5):
        pass
    assert pair["b"].engine.stats()["collections"]["c"]["items"] == 12


@pytest.mark.parametrize("door", ["a", "b"])
@pytest.mark.parametrize("at", ["begun", "points 0", "arrived", "released"])
def test_an_erasure_during_the_move_leaves_nothing_and_backups_between_count_as_unclean(
    pair: Pair, door: str, at: str
) -> None:
    pair["a"].add(*upsert("secret", "zanzibar is the password"))
    filled(pair)
    for step in pair.move():
        if step == at:
            pair[door].add("item.erase", {"id": "secret", "collection": "c"}, elsewhere="a" if door == "b" else None)
            pair.settle()
            between = pair["a"].engine.position
    pair.settle(twice=True)
    assert [copies_of(side, "secret") for side in pair.sides.values()] == [0, 0]
    store = pair["a"].engine._store
    assert EntryId.parse(store.note("last_erasure") or "0-0") > between
    erased = [
        event for side in pair.sides.values() for event in said(side.events) if isinstance(event.data, ItemDeleted)
    ]
    assert len(erased) == 1


def test_an_erasure_does_not_come_back_for_an_item_that_came_after_it(pair: Pair) -> None:
    """The source, which has not been released yet, cannot know that the target has decided it."""
    filled(pair)
    for step in pair.move():
        if step == "released":
            pair["b"].add("item.erase", {"id": "i1", "collection": "c"})
            pair.settle()
            pair["b"].add(*upsert("i1", TEXTS[3]))
            pair.settle()
    pair.settle()
    assert copies_of(pair["a"], "i1") == 0
    assert pair["b"].engine.get("i1", "c") is not None


def test_an_erasure_reaches_an_older_copy_where_the_collection_came_back(pair: Pair) -> None:
    filled(pair)
    moved(pair)
    moved(pair, "b", "a", "m2")
    assert copies_of(pair["a"], "i1") == 2
    pair["a"].add("item.erase", {"id": "i1", "collection": "c"})
    pair.settle()
    assert [copies_of(side, "i1") for side in pair.sides.values()] == [0, 0]


def test_a_clearing_that_fails_leaves_the_rows_as_they_are(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(pair)
    moved(pair)
    engine = pair["a"].engine
    store = engine._store
    (retired,) = store.transfer.retired_as("c")
    assert len(store.items.after(retired, 0, 100)) == 12

    def fail(*_: object) -> bool:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(store.vectors, "release", fail)
        with pytest.raises(OSError, match="the disk is full"):
            engine.moving.clear(5)
    assert len(store.items.after(retired, 0, 100)) == 12
    while engine.moving.clear(5):
        pass
    assert store.items.after(retired, 0, 100) == []


def test_nothing_expires_on_the_way(pair: Pair) -> None:
    pair["a"].add("collection.configured", {"collection": "c", "settings": {"ttl_seconds": 1}})
    filled(pair, 3)
    for _ in pair.move():
        for side in pair.sides.values():
            side.add("clock.ticked", {}, later_ms=5000)
            side.decide()
    expired = [event for event in pair["a"].events if isinstance(event.data, ItemDeleted)]
    assert len(expired) == 3, "all before it was sealed"
    pair["b"].add("clock.ticked", {})
    pair.settle()
    assert pair["b"].engine.stats()["collections"]["c"]["items"] == 0


def test_what_has_left_is_cleared_away(pair: Pair) -> None:
    filled(pair)
    moved(pair)
    engine = pair["a"].engine
    assert "c" not in engine.settings()
    while engine.moving.clear(5):
        pass
    store = engine._store
    assert [store.items.count(), len(store.collections.all())] == [1, 1]
    left = {table: store._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("points", "vectors")}
    assert left == {"points": 1, "vectors": 1}
    numbers = [id_ for (id_,) in store._db.execute("SELECT id FROM collections")]
    assert (len(numbers), store.transfer.retired()) == (1, None)
    pair["a"].add("collection.configured", {"collection": "new", "settings": {}})
    pair["a"].decide()
    (number,) = store._db.execute("SELECT id FROM collections WHERE name='new'").fetchone()
    assert number == 3, "no number is used twice"


# -- commands for other partitions -------------------------------------------------------------------------------------


def test_a_command_for_a_collection_of_another_partition_is_passed_on(pair: Pair) -> None:
    pair["a"].add(*upsert("x", TEXTS[0]), elsewhere="b")
    pair.settle()
    assert pair["a"].engine.settings() == {}
    assert pair["b"].engine.get("x", "c") is not None


def test_what_is_here_stays_here_whatever_the_settings_say(pair: Pair) -> None:
    filled(pair)
    pair["a"].add(*upsert("x", TEXTS[0]), elsewhere="b")
    pair.settle()
    assert pair["a"].engine.get("x", "c") is not None


def test_partitions_that_disagree_do_not_send_in_circles(pair: Pair) -> None:
    entry = pair["a"].add(*upsert("x", TEXTS[0]), elsewhere="b")
    pair["a"].decide()
    pair.pump()
    pair["b"].entries[-1] = replace(pair["b"].entries[-1], elsewhere="a")
    pair["b"].decide()
    (rejected,) = [event.data for event in pair["b"].events if isinstance(event.data, CommandRejected)]
    assert rejected.code == "misrouted"
    assert rejected.command.key == f"/recommender/a {entry.id}"
    assert json.loads(rejected.payload)["id"] == "x"


def test_a_command_is_passed_on_so_many_times_at_most(pair: Pair) -> None:
    filled(pair)
    moved(pair)
    pair["a"].add(*upsert("x", TEXTS[0]), via=("z",) * MOST_HOPS)
    pair.settle()
    assert isinstance(pair["a"].events[-1].data, CommandRejected)


def test_a_via_that_a_producer_made_up_harms_its_own_command_only(pair: Pair) -> None:
    filled(pair)
    moved(pair)
    pair["a"].add(*upsert("x", TEXTS[0]), via=("z",) * MOST_HOPS)
    pair["a"].add(*upsert("y", TEXTS[0]), via=("b", "a"))
    pair["a"].add(*upsert("z", TEXTS[0]))
    pair["b"].add(*upsert("here", TEXTS[0]), via=("a", "b"))
    pair.settle()
    codes = [event.data.code for side in pair.sides.values() for event in side.events if hasattr(event.data, "code")]
    assert codes == ["misrouted"]
    assert [pair["b"].engine.get(one, "c") is not None for one in ("x", "y", "z", "here")] == [False, True, True, True]


def test_the_key_of_a_forwarded_command_can_be_used_up_and_that_is_reported(pair: Pair) -> None:
    filled(pair)
    moved(pair)
    entry, keyed = pair["a"].add(*upsert("late", TEXTS[0])), pair["a"].add(*upsert("keyed", TEXTS[0]), key="own")
    pair["b"].add(*upsert("other", TEXTS[1]), key=f"/recommender/a {entry.id}")
    pair["b"].decide()
    pair.settle()
    (rejected,) = [event.data for event in pair["b"].events if isinstance(event.data, CommandRejected)]
    assert (rejected.code, rejected.item_id) == ("key_reused", "late")
    assert pair["b"].engine.get("late", "c") is None
    assert pair["b"].engine.get("keyed", "c") is not None, keyed


def test_a_rejected_command_is_rejected_where_it_comes(pair: Pair) -> None:
    filled(pair)
    moved(pair)
    pair["a"].add("item.upsert", {"id": "x", "collection": "c"})
    pair.settle()
    assert isinstance(pair["a"].events[-1].data, CommandRejected)


# -- a move that is undone ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("told", [True, False])
def test_a_cancelled_move_leaves_everything_where_it_was(pair: Pair, steps: int, told: bool) -> None:
    filled(pair)
    list(islice(pair.move(), steps + 1))
    pair["a"].add(*upsert("meanwhile", TEXTS[0]), key="meanwhile")
    pair["a"].decide()
    if steps > 1 and told:
        pair.step("b", "cancelled", "a", "b")
        assert "c" not in pair["b"].engine.settings()
        while pair["b"].engine.moving.clear(100):
            pass
    pair.step("a", "cancelled", "a", "b")
    pair.settle()
    assert pair["a"].engine.get("meanwhile", "c") is not None
    assert pair["a"].engine.stats()["collections"]["c"]["items"] == 13
    moved(pair, move="m2")
    assert pair["b"].engine.stats()["collections"]["c"]["items"] == 13


# -- steps that do not follow ------------------------------------------------------------------------------------------


def rejections(side: Side) -> list[str]:
    return [event.data.code for event in side.events if isinstance(event.data, CommandRejected)]


@pytest.mark.parametrize("step", ["arrived", "released", "cancelled"])
def test_a_step_that_does_not_follow_is_rejected(pair: Pair, step: str) -> None:
    filled(pair)
    pair.step("a", step, "a", "b")
    assert rejections(pair["a"]) == ["unknown_move"]
    assert pair["a"].engine.moving.status("c")["place"] == "here"


def test_a_collection_with_shown_lists_stays(pair: Pair) -> None:
    filled(pair)
    source = pair["a"]
    source.add("recommendation.shown", {"collection": "c", "items": ["nowhere"], "recommendation_id": "r"})
    pair.step("a", "sealed", "a", "b")
    assert rejections(source) == ["has_interactions"]
    assert source.engine.hits("c")


def test_a_collection_with_interactions_stays(pair: Pair) -> None:
    filled(pair)
    source = pair["a"]
    source.add("interaction.recorded", {"collection": "c", "item": "i0", "user": "u"})
    pair.step("a", "sealed", "a", "b")
    assert rejections(source) == ["has_interactions"]
    source.add("item.upsert", {"id": "later", "collection": "c", "text": "it is decided here as before"})
    source.decide()
    assert source.engine.get("later", "c") is not None
    source.add("user.erased", {"collection": "c", "user": "u"})
    source.add("item.delete", {"collection": "c", "id": "i0"})
    source.decide()
    moved(pair)
    assert pair["b"].engine.get("later", "c") is not None, "there are none any more"


def told(side: Side) -> dict[str | None, list[str]]:
    """The lists of ``c`` as they were told last."""
    found = [event.data for event in side.events if isinstance(event.data, RecommendationsUpdated)]
    return {one.item_id or one.user: [item.id for item in one.recommendations] for one in found}


def test_subscribed_lists_go_along_and_are_told_where_they_are(pair: Pair) -> None:
    filled(pair)
    source, target = pair["a"], pair["b"]
    for n in range(3):
        source.add(*upsert(f"v{n}", f"text {n}", vector=at(50 * n)))
    for which in ({"item": "v0"}, {"item": "v1"}, {"user": "u"}):
        source.add("recommendations.subscribed", {"collection": "c", **which})
    source.decide()
    source.add("clock.ticked", {})
    pair.settle()
    before = told(source)
    assert before.keys() == {"v0", "v1", "u"}
    assert before["v0"] == ["v1"]
    moved(pair)
    target.add("clock.ticked", {})
    pair.settle()
    assert told(target) == {}, "nothing has changed"
    target.add("item.delete", {"collection": "c", "id": "v2"})
    target.add("clock.ticked", {}, later_ms=60_000)
    target.decide()
    assert told(target)["v1"] == ["v0"]
    assert "v0" not in told(target)
    assert source.engine.subscriptions() == (0, 0)
    assert target.engine.subscriptions() == (3, 0)


def test_steps_that_are_said_twice_have_one_effect(pair: Pair) -> None:
    filled(pair)
    steps = pair.move()
    next(steps), next(steps)
    pair.step("a", "sealed", "a", "b")
    next(steps)
    pair.step("b", "begun", "a", "b", arrivals=5, points=5)
    for part in pair.parts("a", "m1", FIRST_PAGE):
        pair["b"].add("collection.records", part)
    for part in pair.parts("a", "m1", FIRST_PAGE):
        pair["b"].add("collection.records", part)
    pair["b"].decide()
    assert set(rejections(pair["b"])) == {"unknown_move", "out_of_order"}
    assert rejections(pair["a"]) == ["unknown_move"]


def test_a_page_that_was_cut_short_begins_anew_though_it_has_changed(pair: Pair) -> None:
    """The mover was killed inside a page of keys, and some came to the end of their time before the next one came."""
    filled(pair)
    steps = pair.move()
    for name in steps:
        if name.startswith("keys"):
            break
    before = pair.parts("a", "m1", name)
    pair["b"].add("collection.records", before[0])
    pair["b"].decide()
    pair["a"].add("clock.ticked", {}, later_ms=KEY_WINDOW_MS + 1)
    pair["a"].decide()
    pair["a"].engine.tidying.prune(0, pair["a"].engine.last_event)
    assert pair.parts("a", "m1", name) != before
    for _ in steps:
        pass
    pair.settle()
    assert rejections(pair["b"]) == []
    assert pair["b"].engine.stats()["collections"]["c"]["items"] == 12


def test_a_part_that_is_missing_is_noticed(pair: Pair) -> None:
    filled(pair)
    for name in pair.move():
        if name.startswith("items"):
            break
    parts = pair.parts("a", "m1", name)
    for part in (parts[0], parts[2]):
        pair["b"].add("collection.records", part)
    pair["b"].decide()
    assert rejections(pair["b"]) == ["out_of_order"]


def test_a_collection_of_the_same_name_is_not_mixed(pair: Pair) -> None:
    filled(pair)
    pair["b"].add(*upsert("theirs", TEXTS[0]))
    pair.settle()
    pair.step("a", "sealed", "a", "b")
    pair.step("b", "begun", "a", "b", arrivals=50, points=50)
    assert rejections(pair["b"]) == ["unknown_move"]


def _spoiled(part: dict[str, Any], records: list[dict[str, Any]] | None = None, **change: Any) -> dict[str, Any]:
    if records is not None:
        data = json.dumps(records).encode()
        change |= {"data": base64.b64encode(data).decode(), "sha256": hashlib.sha256(data).hexdigest()}
    return {**part, **change}


@pytest.mark.parametrize("change", ["sum", "json", "kind", "vector", "seq", "point", "same id"])
def test_records_that_are_none_are_rejected_and_harm_nothing(pair: Pair, change: str) -> None:
    filled(pair)
    steps = pair.move(part_bytes=1_000_000)
    for name in steps:
        if name.startswith("items"):
            break
    (part,) = pair.parts("a", "m1", name, 1_000_000)
    records = json.loads(base64.b64decode(part["data"]))
    spoiled = {
        "sum": lambda: _spoiled(part, sha256="0" * 64),
        "json": lambda: _spoiled(part, data="AAAA"),
        "kind": lambda: _spoiled(part, [{"kind": "other"}]),
        "vector": lambda: _spoiled(part, [{**records[0], "key": "aa", "vector": "AAAA"}]),
        "seq": lambda: _spoiled(part, [{**records[0], "seq": 10**9}]),
        "point": lambda: _spoiled(part, [{**records[0], "point": 10**9}]),
        "same id": lambda: _spoiled(part, [records[0], {**records[1], "item": records[0]["item"]}]),
    }[change]()
    pair["b"].add("collection.records", spoiled)
    pair["b"].add("item.upsert", {"id": "next", "collection": "other", "text": TEXTS[3]})
    pair["b"].decide()
    assert len(rejections(pair["b"])) == 1
    assert pair["b"].engine.get("next", "other") is not None
    pair.step("b", "cancelled", "a", "b")
    assert "c" not in pair["b"].engine.settings()


def test_a_text_that_was_known_here_keeps_the_vector_it_has_here(tmp_path: Path) -> None:
    """The index and the state have the same one, so a restart changes nothing."""
    pair = Pair(tmp_path)
    filled(pair, 1)
    steps = pair.move(part_bytes=1_000_000)
    for name in steps:
        if name.startswith("points"):
            break
    (part,) = pair.parts("a", "m1", name, 1_000_000)
    (record,) = json.loads(base64.b64decode(part["data"]))
    other = -np.frombuffer(base64.b64decode(record["vector"]), "<f4")
    spoiled = _spoiled(part, [{**record, "vector": base64.b64encode(other.tobytes()).decode()}])
    pair["b"].add("collection.records", spoiled)
    pair["b"].decide()
    for _ in steps:
        pass
    (before,) = pair["b"].engine.search(TEXTS[0], "c")
    pair["b"].reopen()
    assert pair["b"].engine.search(TEXTS[0], "c") == [before]
    pair.close()


def test_keys_are_kept_for_as_long_as_ever(pair: Pair) -> None:
    filled(pair)
    moved(pair)
    pair["b"].add("clock.ticked", {}, later_ms=KEY_WINDOW_MS + 1)
    pair["b"].add(*upsert("i3", TEXTS[3]), key="k3")
    pair.settle()
    assert data_of(said(pair["b"].events)[-1])["revision"] == 2


def test_lists_the_queue_and_counts_move_with_their_collection() -> None:
    """Each item stands as it stood, and arrived when it did."""
    pair, words = Pair(matcher=LearnedMatcher), ("printer", "jams", "again", "order", "1042", "1043", "lost", "router")
    pair["b"].add("item.upsert", {"id": "o", "collection": "other", "text": TEXTS[0]})
    for n in range(24):
        pair["a"].add(*upsert(f"i{n}", " ".join(words[n % 8 :] + words[: n % 5])))
    pair["a"].add("feedback.given", {"id": "i1", "collection": "c", "answer": "different", "other": "i0"})
    pair.settle()

    def said(side: Side) -> tuple[Any, ...]:
        engine = side.engine
        listed = engine.list_items("c", order="probability", limit=200)
        queue = engine.review("c", limit=100)
        (counted,) = [one for one in engine.overview().collections if one.name == "c"]
        assert listed is not None
        assert queue is not None
        shown = [(one.id, one.band, one.probability, one.duplicate_of, one.arrived_at) for one in listed.items]
        pairs = {(one.item.id, one.other.id, one.item.probability) for one in queue.pairs}
        answers = [(one.item_id, one.other_id) for one in engine.answer_page("c").answers]
        hours = [(hour.start, sum(hour.bands.values())) for hour in counted.rates.hours]
        return shown, pairs, answers, hours, counted.model_dump(exclude={"rates"}), engine.preview("c")

    before = said(pair["a"])
    for _ in pair.move():
        pair.settle()
    pair.settle()
    assert pair["b"].engine.has("c")
    assert said(pair["b"]) == before
    assert all(before[:4])
    pair.close()
