"""What the state promises, in memory and on file."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine.errors import StateDamaged, StateError, StateLocked, StateTooNew
from recommender_engine.items import (
    START,
    Band,
    Cause,
    CollectionSettings,
    EntryId,
    Event,
    Item,
    ItemDeleted,
    ItemProcessed,
    PairVerdict,
    Reason,
    Timings,
)
from recommender_engine.items.limits import KEY_WINDOW_MS
from recommender_engine.opening import lock_directory, open_recommender, release
from recommender_engine.store import Answer, KeyUse, SqliteStore, StoredItem, Verdict
from recommender_engine.store.schema import APPLICATION_ID
from recommender_engine.store.tables import SCHEMA_VERSION
from tests.support.engine import Models

MS = 1_700_000_000_000
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["memory", "file"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return None if request.param == "memory" else tmp_path / "state.sqlite3"


@pytest.fixture
def store(path: Path | None) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    yield store
    store.close()


def entry_id(n: int) -> EntryId:
    return EntryId(MS + n, 0)


def deleted(item_id: str, n: int, silent: bool = False) -> Event:
    data = ItemDeleted(command=Cause(id=str(entry_id(n))), item_id=item_id, collection="default", erased=False)
    return Event(entry_id(n), data, silent)


def processed(item_id: str, n: int, matched_id: str, quoted: str) -> Event:
    data = ItemProcessed(
        command=Cause(id=str(entry_id(n))),
        item_id=item_id,
        collection="default",
        revision=1,
        band=Band.REVIEW,
        duplicate_of=None,
        canonical_id=item_id,
        group="g1",
        matched_id=matched_id,
        probability=0.5,
        similarity=0.9,
        reasons=(Reason(code="identifiers_differ", text=f"{quoted} there"),),
        explanation=f"the same wording, but {quoted} there",
        recommendations=(),
        truncated=False,
        model="m@1",
        timings=Timings(embed_ms=0.0, decide_ms=0.0),
    )
    return Event(entry_id(n), data)


def answer(one: str, other: str, n: int, *, same: bool = True) -> Answer:
    return Answer(one, other, same, entry_id(n), "ada", 0.25, {"cosine": 0.5})


def vector(n: int) -> Any:
    one = np.zeros(4, np.float32)
    one[n % 4] = 1.0
    return one


class Shelf:
    """Puts items into one collection of a store."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.collection = store.collections.create("default", CollectionSettings()).id

    def put(self, item_id: str, vector_row: int, point: int, **other: Any) -> StoredItem:
        seq = self._store.items.next_seq()
        given: dict[str, Any] = {
            "item": Item(id=item_id, text=f"text of {item_id}"),
            "fingerprint": item_id.encode(),
            "group": f"g{seq}",
            "verdict": Verdict(None, None),
            "at_ms": MS + seq,
            **other,
        }
        row = StoredItem(
            seq=seq, collection=self.collection, revision=1, version=None, vector=vector_row, point=point, **given
        )
        self._store.items.insert(row)
        return row


# -- transactions ------------------------------------------------------------------------------------------------------


def test_position_and_effects_commit_together(store: SqliteStore) -> None:
    with store.transaction():
        store.position, store.last_event = entry_id(5), entry_id(6)
        store.outbox.add(deleted("a", 6))
    assert (store.position, store.last_event) == (entry_id(5), entry_id(6))
    assert [row.id for row in store.outbox.after(START, 10)] == [entry_id(6)]


def test_an_error_leaves_nothing_behind(store: SqliteStore) -> None:
    def write_everything_and_fail() -> None:
        with store.transaction():
            shelf = Shelf(store)
            row = store.vectors.add("m@1", b"k", vector(0), truncated=False)
            shelf.put("a", row, store.vectors.add_point(shelf.collection, row))
            store.tombstones.bury(shelf.collection, "b", 3, MS)
            store.outbox.add(deleted("a", 1))
            store.outbox.remember_key("default", "key", MS, KeyUse(entry_id(1), b""))
            store.outbox.promise("task", entry_id(1))
            store.outbox.redact("default", "a")
            store.set_note("note", "here")
            store.words.add(1, 1, ["word"])
            store.words.change_counts(1, {"word": 1})
            store.answers.put(1, answer("a", "b", 1))
            store.answers.put_model(1, 1, {"learned": True})
            store.position = entry_id(1)
            raise RuntimeError("the model died")

    with pytest.raises(RuntimeError, match="the model died"):
        write_everything_and_fail()

    assert store.position == store.last_event == START
    assert store.collections.all() == []
    assert store.items.count() == 0
    assert store.items.next_seq() == 1
    assert store.tombstones.version(1, "b", MS) is None
    assert store.vectors.find("m@1", b"k") is None
    assert store.vectors.labels(1).tolist() == []
    assert store.outbox.after(START, 10) == []
    assert store.outbox.replies(0, 10) == []
    assert store.outbox.redactions() == []
    assert store.outbox.used("default", "key", MS) is None
    assert store.note("note") is None
    assert (store.words.having(1, "word"), store.words.counts(1)) == ([], {})
    assert (store.answers.all(1), store.answers.model(1)) == ([], None)


def test_a_transaction_after_an_error_works(store: SqliteStore) -> None:
    with pytest.raises(KeyboardInterrupt, match="now"), store.transaction():
        raise KeyboardInterrupt("now")
    with store.transaction():
        store.position = entry_id(1)
    assert store.position == entry_id(1)


def test_what_is_committed_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    first = SqliteStore(path)
    with first.transaction():
        shelf = Shelf(first)
        vector_row = first.vectors.add("m@1", b"k", vector(1), truncated=True)
        pair = PairVerdict(band=Band.SIMILAR, probability=0.25, similarity=0.5, reasons=(Reason(code="c", text="t"),))
        item = Item.model_validate_json(
            '{"id":"a","fields":{"z":"1","a":"2"},"attributes":{"x":1.5,"n":null},"timestamp":"2026-03-01T09:30:00+01:00"}'
        )
        row = shelf.put("a", vector_row, first.vectors.add_point(1, vector_row), item=item, verdict=Verdict(pair, 9))
        first.position = entry_id(1)
    first.close()

    again = SqliteStore(path)
    try:
        found = again.items.get(1, "a")
        assert found == row
        assert list((found.item.fields or {}).items()) == [("z", "1"), ("a", "2")]
        assert again.position == entry_id(1)
        known = again.vectors.find("m@1", b"k")
        assert known is not None
        assert np.array_equal(known.vector, vector(1))
        assert known.truncated is True
        assert [one.name for one in again.collections.all()] == ["default"]
    finally:
        again.close()


def test_what_is_not_committed_is_gone_after_a_crash(tmp_path: Path) -> None:
    crash = (
        "import os, sys; from pathlib import Path; from recommender_engine.items import EntryId; "
        "from recommender_engine.store import SqliteStore\n"
        "store = SqliteStore(Path(sys.argv[1]))\n"
        "with store.transaction(): store.position = EntryId(1, 0)\n"
        "with store.transaction():\n"
        "    store.position = EntryId(2, 0)\n"
        "    os._exit(3)\n"
    )
    path = tmp_path / "state.sqlite3"
    ended = subprocess.run([sys.executable, "-c", crash, str(path)], cwd=ROOT, timeout=60, check=False)
    assert ended.returncode == 3
    store = SqliteStore(path)
    assert store.position == EntryId(1, 0)
    store.close()


def test_an_erased_text_is_gone_although_the_process_died_right_after(tmp_path: Path) -> None:
    """A commit is one thing, and what it leaves in the write-ahead log another."""
    erase = (
        "import os, sys; from pathlib import Path; from recommender_engine.items import *\n"
        "from recommender_engine.store import SqliteStore\n"
        "store = SqliteStore(Path(sys.argv[1]))\n"
        "def add(n, item): store.outbox.add(Event(EntryId(n, 0), ItemPatched(command=Cause(id='1-0'), item_id=item,"
        " collection='default', revision=1, attributes={'name': 'Wilhelmina' if item == 'a' else 'Quentin'})))\n"
        "with store.transaction(): add(1, 'a'); add(2, 'b')\n"
        "with store.transaction(): store.outbox.redact('default', 'a')\n"
        "os._exit(3)\n"
    )
    path = tmp_path / "state.sqlite3"
    ended = subprocess.run([sys.executable, "-c", erase, str(path)], cwd=ROOT, timeout=60, check=False)
    assert ended.returncode == 3
    assert b"Wilhelmina" in path.with_name(f"{path.name}-wal").read_bytes()
    store = SqliteStore(path)
    store.check()
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"Quentin" in files
    assert b"Wilhelmina" not in files
    store.close()


# -- outbox ------------------------------------------------------------------------------------------------------------


def test_outbox_is_read_in_order_from_any_place(store: SqliteStore) -> None:
    ids = [EntryId(MS, 9), EntryId(MS, 10), EntryId(MS + 1, 0), EntryId(MS + 10, 0)]
    for id_ in reversed(ids):
        store.outbox.add(Event(id_, deleted("a", 0).data))
    assert [row.id for row in store.outbox.after(START, 10)] == ids
    assert [row.id for row in store.outbox.after(START, 3)] == ids[:3]
    assert [row.id for row in store.outbox.after(ids[1], 10)] == ids[2:]
    assert store.outbox.after(ids[3], 10) == []


def test_silent_events_are_outcomes_but_not_published(store: SqliteStore) -> None:
    store.outbox.add(deleted("a", 1, silent=True))
    assert store.outbox.after(START, 10) == []
    row = store.outbox.get(entry_id(1))
    assert row is not None
    assert row.type == "recommender.item.deleted.v1"
    assert '"item_id":"a"' in row.event


def test_pruning_keeps_what_is_young_unpublished_or_waited_for(store: SqliteStore) -> None:
    for n in range(5):
        store.outbox.add(deleted("a", n))
    store.outbox.promise("task", entry_id(0))
    assert store.outbox.prune(before_ms=MS + 4, published=entry_id(2), limit=10) == 2
    assert [row.id for row in store.outbox.after(START, 10)] == [entry_id(0), entry_id(3), entry_id(4)]
    store.outbox.settle([reply.id for reply in store.outbox.replies(0, 10)])
    assert store.outbox.prune(before_ms=MS + 4, published=entry_id(2), limit=10) == 1


def test_a_key_is_known_for_a_day_of_stream_time(store: SqliteStore) -> None:
    store.outbox.remember_key("c", "k", MS, KeyUse(entry_id(1), b"d"))
    assert store.outbox.used("c", "k", MS) == (entry_id(1), b"d")
    assert store.outbox.used("c", "k", MS + KEY_WINDOW_MS - 1) == (entry_id(1), b"d")
    assert store.outbox.used("c", "k", MS + KEY_WINDOW_MS) is None
    assert store.outbox.used("c", "K", MS) is None


def test_a_key_that_is_used_again_after_its_window_counts_from_then(store: SqliteStore) -> None:
    store.outbox.remember_key("c", "k", MS, KeyUse(entry_id(1), b"d"))
    store.outbox.remember_key("c", "k", MS + KEY_WINDOW_MS, KeyUse(entry_id(2), b"d"))
    assert store.outbox.used("c", "k", MS + 2 * KEY_WINDOW_MS - 1) == (entry_id(2), b"d")


def test_only_keys_past_their_window_are_forgotten(store: SqliteStore) -> None:
    store.outbox.remember_key("c", "old", MS, KeyUse(entry_id(1), b"d"))
    store.outbox.remember_key("c", "young", MS + 1, KeyUse(entry_id(2), b"d"))
    store.outbox.forget_keys(MS + KEY_WINDOW_MS, 10)
    assert store.outbox.used("c", "old", MS) is None
    assert store.outbox.used("c", "young", MS + KEY_WINDOW_MS) == (entry_id(2), b"d")


def test_replies_wait_in_order_until_settled(store: SqliteStore) -> None:
    store.outbox.add(deleted("a", 1))
    store.outbox.add(deleted("b", 2, silent=True))
    store.outbox.promise("first", entry_id(2))
    store.outbox.promise("second", entry_id(1))
    first, second = store.outbox.replies(0, 10)
    assert (first.reply_to, first.outcome.id) == ("first", entry_id(2))
    assert (second.reply_to, second.outcome.id) == ("second", entry_id(1))
    assert store.outbox.replies(0, 1) == [first]
    assert store.outbox.replies(first.id, 10) == [second]
    store.outbox.settle([first.id])
    assert store.outbox.replies(0, 10) == [second]
    store.outbox.settle([second.id])
    store.outbox.promise("third", entry_id(1))
    assert store.outbox.replies(0, 10)[0].id > second.id, "a number is never used twice"


def test_redaction_empties_the_events_of_one_item(store: SqliteStore) -> None:
    for event in (deleted("a", 1), deleted("b", 2), deleted("a", 3, silent=True)):
        store.outbox.add(event)
    store.outbox.redact("default", "a")
    store.outbox.redact("tickets", "b")

    assert [row.id for row in store.outbox.after(START, 10)] == [entry_id(2)]
    emptied = [store.outbox.get(entry_id(n)) for n in (1, 3)]
    told = [json.loads(row.event)["data"] for row in emptied if row is not None]
    assert [data.keys() for data in told] == [{"command", "item_id", "collection", "erased"}] * 2
    assert all(data["erased"] for data in told)
    assert store.outbox.redactions() == [entry_id(1)]  # the silent one never was in the stream
    store.outbox.redacted([entry_id(1)])
    store.outbox.redact("default", "a")
    assert store.outbox.redactions() == []


def test_redaction_takes_the_quotes_out_of_verdicts_on_others(store: SqliteStore) -> None:
    store.outbox.add(processed("b", 1, matched_id="a", quoted="AB1042"))
    store.outbox.add(processed("c", 2, matched_id="b", quoted="AB1043"))
    store.outbox.redact("default", "a")
    rows = store.outbox.after(START, 10)
    assert [row.id for row in rows] == [entry_id(1), entry_id(2)]
    assert "AB1042" not in rows[0].event
    assert '"reasons":[]' in rows[0].event
    assert '"explanation":""' in rows[0].event
    assert '"item_id":"b"' in rows[0].event
    assert "AB1043" in rows[1].event
    assert store.outbox.redactions() == [], "others' entries stay: a consumer may not have read them"


# -- items, vectors, points --------------------------------------------------------------------------------------------


def test_arrival_numbers_are_never_used_twice(store: SqliteStore) -> None:
    shelf = Shelf(store)
    row = store.vectors.add("m@1", b"k", vector(0), truncated=False)
    point = store.vectors.add_point(shelf.collection, row)
    last = [shelf.put(item_id, row, point) for item_id in "abc"][-1]
    store.items.delete(last.seq)
    assert store.items.next_seq() == last.seq + 1


def test_a_point_and_its_vectors_stay_as_long_as_anything_hangs_on_them(store: SqliteStore) -> None:
    shelf = Shelf(store)
    near, nearer = (store.vectors.add("m@1", key, vector(0), truncated=False) for key in (b"1", b"2"))
    point = store.vectors.add_point(shelf.collection, near)
    first, second = shelf.put("a", near, point), shelf.put("b", nearer, point)

    store.items.delete(first.seq)
    assert store.vectors.release(point, near) is False
    assert store.vectors.find("m@1", b"1") is not None  # the index holds it for the point
    store.items.delete(second.seq)
    assert store.vectors.release(point, nearer) is True
    assert store.vectors.find("m@1", b"1") is None
    assert store.vectors.find("m@1", b"2") is None
    assert store.vectors.labels(shelf.collection).tolist() == []


def test_a_vector_stays_while_another_collection_uses_it(store: SqliteStore) -> None:
    shelf = Shelf(store)
    other = store.collections.create("other", CollectionSettings()).id
    row = store.vectors.add("m@1", b"k", vector(0), truncated=False)
    point, elsewhere = store.vectors.add_point(shelf.collection, row), store.vectors.add_point(other, row)
    item = shelf.put("a", row, point)
    store.items.delete(item.seq)
    assert store.vectors.release(point, row) is True
    assert store.vectors.find("m@1", b"k") is not None
    assert store.vectors.labels(other).tolist() == [elsewhere]


def test_labels_are_never_used_twice(store: SqliteStore) -> None:
    shelf = Shelf(store)
    row = store.vectors.add("m@1", b"k", vector(0), truncated=False)
    labels = [store.vectors.add_point(shelf.collection, row) for _ in range(3)]
    assert store.vectors.release(labels[-1], row) is True
    assert store.vectors.add_point(shelf.collection, row) == labels[-1] + 1


def test_vectors_of_two_models_are_apart(store: SqliteStore) -> None:
    store.vectors.add("m@1", b"k", vector(0), truncated=False)
    assert store.vectors.find("m@2", b"k") is None
    store.vectors.add("m@2", b"k", vector(1), truncated=False)
    found = store.vectors.find("m@1", b"k")
    assert found is not None
    assert np.array_equal(found.vector, vector(0))


def test_of_several_keys_the_first_that_is_known_counts(store: SqliteStore) -> None:
    one = store.vectors.add("m@1", b"one", vector(0), truncated=False)
    store.vectors.add("m@1", b"two", vector(1), truncated=True)
    asked: list[str] = []
    store._db.set_trace_callback(asked.append)
    found = store.vectors.find("m@1", b"none", b"one", b"two")
    assert found is not None
    assert (found.key, found.row, found.truncated) == (b"one", one, False)
    assert store.vectors.find("m@1", b"neither", b"nor") is None
    assert len(asked) == 2
    assert store.vectors.find("m@1", b"none", b"nor") is None
    assert len(asked) == 2


def test_points_come_in_blocks_of_ascending_labels(store: SqliteStore) -> None:
    shelf = Shelf(store)
    rows = [store.vectors.add("m@1", bytes([n]), vector(n), truncated=False) for n in range(5)]
    labels = [store.vectors.add_point(shelf.collection, row) for row in rows]
    blocks = list(store.vectors.points(np.array(labels, np.int64), block=2))
    assert [len(block) for block, _ in blocks] == [2, 2, 1]
    assert np.concatenate([block for block, _ in blocks]).tolist() == labels
    assert np.array_equal(np.concatenate([vectors for _, vectors in blocks]), np.stack([vector(n) for n in range(5)]))


def test_deleting_takes_the_reasons_from_verdicts_that_may_quote_the_item(store: SqliteStore) -> None:
    shelf = Shelf(store)
    row = store.vectors.add("m@1", b"k", vector(0), truncated=False)
    point = store.vectors.add_point(shelf.collection, row)
    quoted = shelf.put("a", row, point)
    pair = PairVerdict(
        band=Band.REVIEW,
        probability=0.5,
        similarity=0.9,
        reasons=(Reason(code="c", text="AB1042 there"),),
        explanation="AB1042 there",
    )
    shelf.put("b", row, point, verdict=Verdict(pair, quoted.seq))
    store.items.delete(quoted.seq)
    found = store.items.get(shelf.collection, "b")
    assert found is not None
    assert found.verdict == Verdict(pair.model_copy(update={"reasons": (), "explanation": ""}), quoted.seq)


def shelved(store: SqliteStore, *texts: str, **given: Any) -> tuple[Shelf, list[StoredItem]]:
    """Items of one group with these texts, at one point."""
    shelf = Shelf(store)
    row = store.vectors.add("m@1", b"k", vector(0), truncated=False)
    point = store.vectors.add_point(shelf.collection, row)
    items = [Item(id=f"i{n}", text=text) for n, text in enumerate(texts)]
    return shelf, [shelf.put(item.id, row, point, item=item, **{"group": "g1", **given}) for item in items]


def test_items_are_found_by_when_they_arrived(store: SqliteStore) -> None:
    shelf, rows = shelved(store, *"abcd")
    other = store.collections.create("other", CollectionSettings()).id
    assert store.items.first_arrival_ms(shelf.collection) == MS + 1
    assert store.items.first_arrival_ms(other) is None
    assert store.items.arrived_until(shelf.collection, MS + 3, 10) == [row.seq for row in rows[:3]]
    assert store.items.arrived_until(shelf.collection, MS + 3, 2) == [row.seq for row in rows[:2]]
    assert store.items.arrived_until(shelf.collection, MS, 10) == store.items.arrived_until(other, MS + 9, 10) == []
    found = store.items.get(shelf.collection, "i2")
    assert found is not None
    assert found.at_ms == MS + 3


def test_a_corrected_verdict_takes_the_place_of_the_first(store: SqliteStore) -> None:
    shelf, (first, second) = shelved(store, "a", "b")
    pair = PairVerdict(
        band=Band.REVIEW, probability=0.5, similarity=0.9, reasons=(), explanation="perhaps", contested=True
    )
    store.items.correct(second.seq, Verdict(pair, first.seq))
    assert store.items.matched_with(first.seq, Band.REVIEW, 10) == [second.seq]
    found = store.items.get(shelf.collection, "i1")
    assert found is not None
    assert found.verdict == Verdict(pair, first.seq)
    store.items.correct(second.seq, Verdict(None, None))
    assert store.items.matched_with(first.seq, Band.REVIEW, 10) == []


# -- groups ------------------------------------------------------------------------------------------------------------


def test_a_group_is_what_its_items_say_it_is(store: SqliteStore) -> None:
    _, rows = shelved(store, *"abcde")
    seqs = [row.seq for row in rows]
    assert store.groups.size("g1") == 5
    assert [member.seq for member in store.groups.earliest("g1", 2)] == seqs[:2]
    assert [member.seq for member in store.groups.latest("g1", 2)] == seqs[:2:-1]
    store.groups.move(seqs[3:], "g4")
    assert [member.id for member in store.groups.all("g1")] == ["i0", "i1", "i2"]
    assert [member.id for member in store.groups.all("g4")] == ["i3", "i4"]
    assert (store.groups.size("nobody"), store.groups.all("nobody")) == (0, [])


@pytest.mark.parametrize(
    ("rule", "expected"), [("earliest", "i0"), ("latest", "i3"), ("longest", "i1")], ids=lambda value: str(value)
)
def test_rules_choose_the_item_that_represents_a_group(
    store: SqliteStore, rule: Literal["earliest", "latest", "longest"], expected: str
) -> None:
    shelved(store, "ab", "abc", '"', "xyz")
    assert store.groups.canonical(["g1", "nobody"], rule) == {"g1": expected}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["g1", "g2", "g3"]), st.text('ab"é\U0001f600', max_size=4), st.booleans()),
        max_size=12,
    )
)
def test_rules_choose_as_a_plain_search_would(said: list[tuple[str, str, bool]]) -> None:
    store = SqliteStore()
    shelf = Shelf(store)
    point = store.vectors.add_point(shelf.collection, store.vectors.add("m", b"k", vector(0), truncated=False))
    texts: dict[str, list[tuple[int, str, int]]] = {}
    for n, (group, text, fielded) in enumerate(said):
        given_text: dict[str, Any] = {"fields": {"title": text, "body": "b"}} if fielded else {"text": text + "-"}
        row = shelf.put(f"i{n}", 1, point, group=group, item=Item(id=f"i{n}", **given_text))
        texts.setdefault(group, []).append((row.seq, f"i{n}", len(text) + 1))
    wanted = [*texts, "nobody"]
    earliest = {group: min(found)[1] for group, found in texts.items()}
    latest = {group: max(found)[1] for group, found in texts.items()}
    longest = {group: min(found, key=lambda one: (-one[2], one[0]))[1] for group, found in texts.items()}
    assert store.groups.canonical(wanted) == store.groups.canonical(wanted, "earliest") == earliest
    assert store.groups.canonical(wanted, "latest") == latest
    assert store.groups.canonical(wanted, "longest") == longest
    assert store.groups.canonical([]) == {}
    store.close()


# -- words -------------------------------------------------------------------------------------------------------------


def test_words_are_found_in_their_collection_until_they_are_taken_back(store: SqliteStore) -> None:
    store.words.add(1, 7, ["one", "two"])
    store.words.add(1, 9, ["two", "AND", '"*', ""])
    store.words.add(2, 8, ["two"])
    assert store.words.having(1, "two") == [7, 9]
    assert store.words.having(1, '"*') == store.words.having(1, "AND") == [9]
    assert store.words.having(2, "one") == []
    store.words.remove(1, 9, ["two", "AND", '"*', ""])
    assert (store.words.having(1, "two"), store.words.having(1, "AND")) == ([7], [])
    store.words.clear()
    assert store.words.having(1, "two") == store.words.having(2, "two") == []


def test_counts_of_words_add_up_and_end_with_the_last_item(store: SqliteStore) -> None:
    store.words.change_counts(1, {"one": 2, "two": 1, "none": 0})
    store.words.change_counts(2, {"one": 5})
    store.words.change_counts(1, {"one": -1, "two": -1, "three": 1})
    assert store.words.counts(1) == {"one": 1, "three": 1}
    assert store.words.counts(2) == {"one": 5}


def test_no_word_can_be_read_in_the_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.sqlite3")
    store.words.add(1, 1, ["wilhelmina"])
    store.close()
    assert b"wilhelmina" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


# -- answers -----------------------------------------------------------------------------------------------------------


def test_answers_are_kept_in_the_order_in_which_they_were_given(store: SqliteStore) -> None:
    for name in ("one", "two"):
        store.collections.create(name, CollectionSettings())
    given = [answer("b", "c", 1), answer("a", "b", 2, same=False), answer("a", "c", 3)]
    for one in given:
        store.answers.put(1, one)
    store.answers.put(2, answer("a", "b", 4))
    assert store.answers.all(1) == given
    assert store.answers.pairs(1) == [("b", "c", True), ("a", "b", False), ("a", "c", True)]
    assert store.answers.pairs(3) == []
    assert (store.answers.count(1), store.answers.count(2), store.answers.count(3)) == (3, 1, 0)


def test_the_last_answer_on_a_pair_counts(store: SqliteStore) -> None:
    store.answers.put(1, answer("a", "b", 1))
    store.answers.put(1, answer("a", "c", 2))
    store.answers.put(1, answer("a", "b", 3, same=False))
    assert store.answers.all(1) == [answer("a", "c", 2), answer("a", "b", 3, same=False)]


def test_answers_are_taken_back_or_forgotten_with_an_item(store: SqliteStore) -> None:
    for name in ("one", "two"):
        store.collections.create(name, CollectionSettings())
    for n, (one, other) in enumerate([("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")]):
        store.answers.put(1, answer(one, other, n))
    store.answers.put(2, answer("a", "b", 9))
    store.answers.remove(1, "a", "b")
    store.answers.forget_item(1, "c")
    assert (store.answers.count(1), store.answers.count(2)) == (0, 1)


def test_a_learned_model_is_kept_replaced_and_dropped(store: SqliteStore) -> None:
    collection = store.collections.create("default", CollectionSettings()).id
    assert store.answers.model(collection) is None
    store.answers.put_model(collection, 3, {"slope": 1.5})
    store.answers.put_model(collection, 4, {"slope": 2.5})
    assert store.answers.model(collection) == (4, {"slope": 2.5})
    store.answers.drop_model(collection)
    assert store.answers.model(collection) is None


def test_verdicts_that_name_another_group_are_found_from_either_side(store: SqliteStore) -> None:
    shelf, rows = shelved(store, *"abcdef")
    store.groups.move([rows[0].seq, rows[1].seq], "g9")
    for row, matched in ((rows[1], rows[0]), (rows[2], rows[0]), (rows[3], rows[1]), (rows[4], rows[2])):
        store.items.correct(row.seq, Verdict(None, matched.seq))
    assert store.groups.matched_across("g1", "g9") == [rows[2].seq, rows[3].seq]
    assert store.groups.matched_across("g9", "g1") == []
    store.items.correct(rows[0].seq, Verdict(None, rows[5].seq))
    assert store.groups.matched_across("g9", "g1") == [rows[0].seq]
    assert store.groups.vectors("g9") == {row.seq: row.vector for row in rows[:2]}
    assert [one.seq for one in store.groups.with_vector("g1", shelf.collection, rows[0].vector)] == [
        row.seq for row in rows[2:]
    ]


# -- one owner, one schema, no damage ----------------------------------------------------------------------------------

HOLDER = (
    "import sys; from pathlib import Path; from recommender_engine.opening import lock_directory; "
    "from recommender_engine.store import SqliteStore\n"
    "held = {what}(Path(sys.argv[1]))\n"
    "print('held', flush=True); sys.stdin.read()\n"
)


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[[str, Path], int]]:
    """Another process holds the state until the test ends."""
    holders: list[subprocess.Popen[str]] = []

    def start(what: str, path: Path) -> int:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER.format(what=what), str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        holders.append(holder)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        return holder.pid

    yield start
    for holder in holders:
        holder.communicate(timeout=30)


def test_a_database_that_another_process_has_open_is_refused(tmp_path: Path, hold: Callable[[str, Path], int]) -> None:
    path = tmp_path / "state.sqlite3"
    hold("(lambda path: (store := SqliteStore(path)).check() or store)", path)
    for _ in range(2):  # neither its check nor who is refused takes the lock from it
        with pytest.raises(StateLocked, match=r"another process has .*state\.sqlite3 open"):
            SqliteStore(path)


def test_a_directory_that_another_process_owns_is_refused_by_name(
    tmp_path: Path, hold: Callable[[str, Path], int]
) -> None:
    pid = hold("lock_directory", tmp_path)
    with pytest.raises(StateLocked, match=f"is owned by process {pid}$"):
        open_recommender(tmp_path, Models())


def test_a_directory_is_free_again_after_closing(tmp_path: Path) -> None:
    open_recommender(tmp_path, Models()).close()
    release(lock_directory(tmp_path))
    open_recommender(tmp_path, Models()).close()


def test_a_refused_directory_is_not_left_locked(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(StateDamaged, match="damaged"):
        open_recommender(tmp_path, Models())
    release(lock_directory(tmp_path))


def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StateError, match="cannot be used"):
        open_recommender(tmp_path / "file" / "state", Models())


def test_the_directory_is_for_its_owner_alone(tmp_path: Path) -> None:
    open_recommender(tmp_path / "state", Models()).close()
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE users (id INTEGER)")
    database.close()


def foreign_by_id(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA application_id=7")
    database.close()


def newer(path: Path) -> None:
    SqliteStore(path).close()
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    database.close()


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def truncated(path: Path) -> None:
    SqliteStore(path).close()
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size // 2)


def overwritten(path: Path) -> None:
    SqliteStore(path).close()
    with path.open("rb+") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (foreign, StateDamaged, "belongs to another program"),
        (foreign_by_id, StateDamaged, "belongs to another program"),
        (newer, StateTooNew, f"schema {SCHEMA_VERSION + 1}, this release knows {SCHEMA_VERSION}"),
        (garbage, StateDamaged, "is damaged|not a database"),
        (truncated, StateDamaged, "damaged|quick check of the state failed"),
        (overwritten, StateDamaged, "damaged|quick check of the state failed"),
    ],
)
def test_a_database_that_is_not_ours_or_not_whole_is_refused(
    tmp_path: Path, spoil: Callable[[Path], None], error: type[StateError], message: str
) -> None:
    path = tmp_path / "state.sqlite3"
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(error, match=message), closing(SqliteStore(path)) as store:
        store.check()
    assert path.read_bytes() == before


def test_a_new_database_says_whose_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    SqliteStore(path).close()
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    database.close()
