"""The engine's invariants, looked for counterexamples: few ids, few texts, and everything at once."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from recommender import Entry, Event, Recommender
from recommender.embedding import Embeddings, Encoder, ModelIdentity
from recommender.errors import EncodingError
from recommender.items import (
    CommandIgnored,
    ItemDeleted,
    ItemProcessed,
    ItemsBackfilled,
    Malformed,
    TickClock,
    UpsertItem,
)
from recommender.testing import DeterministicEncoder
from recommender.text import clean, fingerprint
from tests.support.engine import Log, data_of, lines, opened, outbox_lines

IDS = ("a", "b", "c", "d", "e")
COLLECTIONS = ("default", "tickets")
# Twins, near-duplicates, texts that fold into one another, texts cut to the same vector, texts that say nothing.
TEXTS = (
    "card payment declined at the shop",
    "Card  payment DECLINED at the\u00a0shop",
    "card payment declined at the shops",
    "payment of the card declined in a shop",
    "order 1042 has not arrived at my home",
    "order 1043 has not arrived at my home",
    "Straße gesperrt",
    "STRASSE GESPERRT",
    "one two three four five six seven and a tail",
    "one two three four five six seven and another tail",
    "refund",
    "\u200b",
)
DIMENSION = 16
VECTORS = (
    [1.0] + [0.0] * 15,
    [2.0] + [0.0] * 15,
    [1.0, 1e-4] + [0.0] * 14,
    [0.6, 0.8] + [0.0] * 14,
    [0.0] * 15 + [1.0],
    [1.0, 2.0],
)
MALFORMED = (b"", b"{", b"[]", b'{"id":1}', b'{"id":"a","txt":"b"}', b"\xff", b'{"id":"a","text":"  "}')
PAUSES_MS = (0, 0, 1, 1, 40, 2500, 5000, 13 * 3600 * 1000)
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"candidates": 1},
    {"candidates": 2, "index": "hnsw"},
    {"index": "exact", "recommendations": 1},
    {"index": "auto", "duplicate_from": 0.6, "review_from": 0.5, "similar_from": 0.1},
    {"duplicate_from": 1.0, "review_from": 1.0, "similar_from": -1.0, "candidates": 3},
    {"model": "unheard-of"},
    {"model": "other"},
)

Spec = tuple[str, Any, dict[str, Any]]
"""A command before it has a place in a log: type, data, and what ``Log.add`` takes beside."""

keys = st.sampled_from([None, None, None, "k1", "k2", "k3"])
versions = st.sampled_from([None, None, None, 1, 2, 3])
targets = st.fixed_dictionaries({"id": st.sampled_from(IDS), "collection": st.sampled_from(COLLECTIONS)})
silence = st.sampled_from([False, False, False, True])


def given_keys(value: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in value.items() if part is not None}


upserts = st.builds(
    lambda target, rest: {**target, **given_keys(rest)},
    targets,
    st.fixed_dictionaries(
        {
            "text": st.sampled_from(TEXTS),
            "vector": st.sampled_from([None, None, None, None, *VECTORS]),
            "version": versions,
            "silent": silence,
            "attributes": st.sampled_from([None, {"price": 1}]),
        }
    ),
)
patches = st.builds(
    lambda target, rest: {**target, **given_keys(rest)},
    targets,
    st.fixed_dictionaries(
        {"attributes": st.sampled_from([{"price": 2}, {"price": None}]), "version": versions, "silent": silence}
    ),
)
deletes = st.builds(
    lambda target, rest: {**target, **given_keys(rest)},
    targets,
    st.fixed_dictionaries({"version": versions, "silent": silence}),
)
configures = st.fixed_dictionaries({"collection": st.sampled_from(COLLECTIONS), "settings": st.sampled_from(SETTINGS)})


def specs(type_: str, data: st.SearchStrategy[Any]) -> st.SearchStrategy[Spec]:
    around = st.fixed_dictionaries({"key": keys, "later_ms": st.sampled_from(PAUSES_MS)})
    return st.tuples(st.just(type_), data, around)


arrivals = specs("item.upsert", upserts)
anything = st.one_of(
    arrivals,
    arrivals,
    arrivals,
    specs("item.patch", patches),
    specs("item.delete", deletes),
    specs("item.delete", deletes),
    specs("item.erase", targets),
    specs("collection.configured", configures),
    specs("item.upsert", st.sampled_from(MALFORMED)),
    specs("clock.ticked", st.just({})),
)
# One collection in which every place among the neighbours counts, so that what a batch takes away must be made up for.
ids = st.fixed_dictionaries({"id": st.sampled_from(IDS[:4])})
crowded = st.one_of(
    specs(
        "item.upsert",
        st.builds(
            lambda target, text, vector: {**target, "text": text, **given_keys({"vector": vector})},
            ids,
            st.sampled_from((TEXTS[0], TEXTS[1], TEXTS[3])),
            st.sampled_from([None, VECTORS[0], VECTORS[3], VECTORS[4]]),
        ),
    ),
    specs("item.delete", ids),
)
# Nothing changes by it, but what comes behind is prepared anew.
segment = specs("collection.configured", st.just({"collection": "tickets", "settings": {}}))
narrow_histories: st.SearchStrategy[list[Spec]] = st.builds(
    lambda candidates, before, after: [
        ("collection.configured", {"collection": "default", "settings": {**candidates, "similar_from": -1.0}}, {}),
        *before,
        *after,
    ],
    st.sampled_from([{"candidates": 1}, {"candidates": 2}]),
    st.lists(crowded, min_size=4, max_size=15),
    st.lists(st.one_of(crowded, crowded, crowded, segment), min_size=4, max_size=15),
)
wide_histories: st.SearchStrategy[list[Spec]] = st.one_of(
    st.lists(anything, min_size=1, max_size=10), st.lists(anything, min_size=20, max_size=50)
)
histories = st.one_of(wide_histories, narrow_histories)
cuts = st.lists(st.integers(1, 12), min_size=1, max_size=6)

many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
few = settings(many, max_examples=40)


def entries_of(history: Sequence[Spec]) -> list[Entry]:
    log = Log()
    return [log.add(type_, data, **around) for type_, data, around in history]


def batches(entries: Sequence[Entry], sizes: Sequence[int]) -> Iterator[Sequence[Entry]]:
    start = 0
    for size in cycle(sizes):
        if start >= len(entries):
            return
        yield entries[start : start + size]
        start += size


def encoder() -> Encoder:
    return DeterministicEncoder(DIMENSION, max_tokens=7)


def engine_in_memory(default: Encoder | None = None) -> Recommender:
    return opened(None, default or encoder(), other=DeterministicEncoder(DIMENSION, max_tokens=3))


def run(engine: Recommender, entries: Sequence[Entry], sizes: Sequence[int]) -> list[Event]:
    return [event for batch in batches(entries, sizes) for event in engine.process(batch)]


def state_of(engine: Recommender) -> dict[str, Any]:
    views = [engine.get(id_, collection) for collection in COLLECTIONS for id_ in IDS]
    return {
        "stats": engine.stats(),
        "outbox": outbox_lines(engine),
        "redactions": engine.outbox.redactions(),
        "views": [view and view.model_dump(mode="json") for view in views],
        "due_ms": engine.due_ms(),
    }


@many
@given(wide_histories, cuts)
def test_any_batching_gives_the_same_events(history: list[Spec], sizes: list[int]) -> None:
    assert_batching_changes_nothing(history, sizes)


@settings(many, max_examples=150)
@given(narrow_histories, st.lists(st.integers(3, 12), min_size=1, max_size=4))
def test_any_batching_gives_the_same_events_where_neighbours_are_few(history: list[Spec], sizes: list[int]) -> None:
    assert_batching_changes_nothing(history, sizes)


def assert_batching_changes_nothing(history: Sequence[Spec], sizes: Sequence[int]) -> None:
    entries = entries_of(history)
    one_by_one, cut = engine_in_memory(), engine_in_memory()

    assert lines(run(cut, entries, sizes)) == lines(run(one_by_one, entries, [1]))
    assert state_of(cut) == state_of(one_by_one)


class FailingNow:
    """An encoder that fails on every text while it is told to."""

    def __init__(self) -> None:
        self._encoder = encoder()
        self.failing = False

    @property
    def identity(self) -> ModelIdentity:
        return self._encoder.identity

    def encode(self, texts: Sequence[str]) -> Embeddings:
        if self.failing:
            raise EncodingError("out of memory")
        return self._encoder.encode(texts)


@few
@given(histories, cuts, st.lists(st.booleans(), max_size=20))
def test_batches_tried_again_after_a_failure_give_the_same_events(
    history: list[Spec], sizes: list[int], failures: list[bool]
) -> None:
    entries = entries_of(history)
    model, attempts = FailingNow(), iter(failures)
    calm, shaken = engine_in_memory(), engine_in_memory(model)
    events: list[Event] = []
    for batch in batches(entries, sizes):
        while True:
            before = shaken.stats(), outbox_lines(shaken)
            model.failing = next(attempts, False)
            try:
                events += shaken.process(batch)
            except EncodingError:
                assert (shaken.stats(), outbox_lines(shaken)) == before
            else:
                break

    assert lines(events) == lines(run(calm, entries, [7]))
    assert state_of(shaken) == state_of(calm)


@settings(few, max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(histories, cuts, st.lists(st.booleans(), min_size=1, max_size=6))
def test_restarts_between_batches_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, history: list[Spec], sizes: list[int], restarts: list[bool]
) -> None:
    entries = entries_of(history)
    directory = tmp_path_factory.mktemp("state")
    calm = engine_in_memory()
    shaken = opened(directory, encoder(), other=DeterministicEncoder(DIMENSION, max_tokens=3))
    events: list[Event] = []
    try:
        for batch, restart in zip(batches(entries, sizes), cycle(restarts), strict=False):
            events += shaken.process(batch)
            if restart:
                shaken.close()
                shaken = opened(directory, encoder(), other=DeterministicEncoder(DIMENSION, max_tokens=3))
        assert lines(events) == lines(run(calm, entries, [7]))
        assert state_of(shaken) == state_of(calm)
    finally:
        shaken.close()


@few
@given(histories, cuts)
def test_replay_into_an_empty_state_gives_the_same_events(history: list[Spec], sizes: list[int]) -> None:
    entries = entries_of(history)
    recorded = Recording(encoder())
    first = run(engine_in_memory(recorded), entries, sizes)

    again = engine_in_memory(Recording(encoder(), recorded.vectors))
    assert lines(run(again, entries, sizes)) == lines(first)


class Recording:
    """An encoder whose vectors are recorded the first time, so that padding does not move them the second time."""

    def __init__(self, encoder: Encoder, vectors: dict[str, tuple[Any, bool]] | None = None) -> None:
        self._encoder = encoder
        self.vectors: dict[str, tuple[Any, bool]] = {} if vectors is None else vectors

    @property
    def identity(self) -> ModelIdentity:
        return self._encoder.identity

    def encode(self, texts: Sequence[str]) -> Embeddings:
        unknown = [text for text in texts if text not in self.vectors]
        if unknown:
            found = self._encoder.encode(unknown)
            self.vectors.update(zip(unknown, zip(found.vectors, found.truncated, strict=True), strict=True))
        vectors, truncated = zip(*(self.vectors[text] for text in texts), strict=True)
        return Embeddings(np.stack(vectors), np.array(truncated))


# -- what events may say -----------------------------------------------------------------------------------------------

Place = tuple[str, str]
"""An item: its collection and its id."""


def mentioned(event: ItemProcessed) -> set[Place]:
    """Every item that a verdict names beside the one it is about."""
    named = {event.duplicate_of, event.canonical_id, event.matched_id, *(one.id for one in event.recommendations)}
    return {(event.collection, id_) for id_ in named - {None, event.item_id} if id_ is not None}


def assert_verdicts_hold(entries: Sequence[Entry], events: Sequence[Event]) -> None:
    """No item names itself, one that is gone, or a later one as its original."""
    commands_by_id = {str(entry.id): entry.command for entry in entries}
    arrived: dict[Place, int] = {}
    says: dict[Place, tuple[Any, ...]] = {}
    for place, event in enumerate(events):
        data = event.data
        if isinstance(data, ItemDeleted):
            arrived.pop((data.collection, data.item_id), None)
        if not isinstance(data, ItemProcessed):
            continue
        key, command = (data.collection, data.item_id), commands_by_id[data.command.id]
        assert isinstance(command, UpsertItem)
        said = (fingerprint(clean(command.content)), command.vector and unit(command.vector))
        if key not in arrived or says[key] != said:
            arrived[key], says[key] = place, said
        assert data.duplicate_of != data.item_id
        assert data.item_id not in [one.id for one in data.recommendations]
        assert mentioned(data) <= arrived.keys()
        if data.duplicate_of is not None:
            assert arrived[data.collection, data.duplicate_of] < arrived[key]
            assert data.canonical_id == data.duplicate_of
        else:
            assert data.canonical_id == data.item_id or data.band != "duplicate"


def unit(vector: Sequence[float]) -> tuple[float, ...]:
    return tuple(np.round(np.asarray(vector) / np.linalg.norm(vector), 6).tolist())


def assert_no_mutual_duplicates(engine: Recommender) -> None:
    for collection in COLLECTIONS:
        views = {id_: engine.get(id_, collection) for id_ in IDS}
        original_of = {id_: view.duplicate_of for id_, view in views.items() if view is not None}
        for id_, original in original_of.items():
            assert original is None or (original != id_ and original_of[original] is None)


@many
@given(histories, cuts)
def test_verdicts_name_earlier_items_that_are_there(history: list[Spec], sizes: list[int]) -> None:
    entries = entries_of(history)
    engine = engine_in_memory()
    events: list[Event] = []
    for batch in batches(entries, sizes):
        events += engine.process(batch)
        assert_no_mutual_duplicates(engine)
    assert_verdicts_hold(entries, events)


@many
@given(histories, cuts)
def test_every_command_has_exactly_one_outcome(history: list[Spec], sizes: list[int]) -> None:
    entries = entries_of(history)
    events = run(engine_in_memory(), entries, sizes)

    answered = [event.data.command.id for event in events if not isinstance(event.data, ItemsBackfilled)]
    seen: dict[str, int] = {}
    expected = []
    for entry in entries:
        fresh = entry.key is None or entry.id.ms - seen.get(entry.key, -(10**15)) >= 24 * 3600 * 1000
        if fresh and not isinstance(entry.command, TickClock):
            expected.append(str(entry.id))
            if entry.key is not None:
                seen[entry.key] = entry.id.ms
    assert answered == expected


@many
@given(histories, cuts)
def test_a_malformed_message_costs_one_message(history: list[Spec], sizes: list[int]) -> None:
    # A rejection is an outcome like any other and answers repeats of its key, so the malformed ones get none here.
    entries = [
        Entry(entry.id, entry.command) if isinstance(entry.command, Malformed) else entry
        for entry in entries_of(history)
    ]
    good = [entry for entry in entries if not isinstance(entry.command, Malformed)]
    malformed = {str(entry.id) for entry in entries} - {str(entry.id) for entry in good}

    def verdicts(of: Sequence[Entry]) -> list[dict[str, Any]]:
        # Summaries come with the command that happens to follow them; it may be a malformed one.
        events = run(engine_in_memory(), of, sizes)
        return [data_of(event) for event in events if not isinstance(event.data, ItemsBackfilled)]

    with_malformed = verdicts(entries)
    rejected = [data for data in with_malformed if data["command"]["id"] in malformed]
    assert len(rejected) == len(malformed)
    assert all(data["type"] == "recommender.command.rejected.v1" for data in rejected)
    assert [data for data in with_malformed if data not in rejected] == verdicts(good)


# -- against a model of what is there ----------------------------------------------------------------------------------


class LiveItems(RuleBasedStateMachine):
    """One command at a time or many, with restarts, against a dictionary of what should be there."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.waiting: list[Entry] = []
        self.live: dict[Place, tuple[str, dict[str, Any], int]] = {}
        self.expected: dict[Place, tuple[str, dict[str, Any], int]] = {}
        self.gone: set[Place] = set()

    @initialize(candidates=st.integers(1, 3))
    def start(self, candidates: int) -> None:
        self.engine = engine_in_memory()
        self.engine.process([self.log.configure(candidates=candidates)])

    @rule(item=targets, text=st.sampled_from(TEXTS[:-1]), vector=st.sampled_from([None, None, *VECTORS[:5]]))
    def upsert(self, item: dict[str, str], text: str, vector: list[float] | None) -> None:
        place = item["collection"], item["id"]
        revision = self.live[place][2] + 1 if place in self.live else 1
        self.live[place] = text, {}, revision
        self.waiting.append(self.log.add("item.upsert", {**item, "text": text, **given_keys({"vector": vector})}))

    @rule(item=targets, price=st.sampled_from([1, 2.5, None]))
    def patch(self, item: dict[str, str], price: float | None) -> None:
        place = item["collection"], item["id"]
        if place in self.live:
            text, _, revision = self.live[place]
            self.live[place] = text, given_keys({"price": price}), revision + 1
        self.waiting.append(self.log.add("item.patch", {**item, "attributes": {"price": price}}))

    @rule(item=targets, type_=st.sampled_from(["item.delete", "item.erase"]))
    def remove(self, item: dict[str, str], type_: str) -> None:
        self.live.pop((item["collection"], item["id"]), None)
        self.waiting.append(self.log.add(type_, item))

    @rule(data=st.sampled_from(MALFORMED))
    def say_nonsense(self, data: bytes) -> None:
        self.waiting.append(self.log.add("item.upsert", data))

    @rule()
    def configure(self) -> None:
        self.waiting.append(self.log.configure("tickets", candidates=1))

    @precondition(lambda self: self.waiting)
    @rule()
    def process(self) -> None:
        events = self.engine.process(self.waiting)
        outcomes = [event for event in events if not isinstance(event.data, ItemsBackfilled)]
        assert [event.data.command.id for event in outcomes] == [str(entry.id) for entry in self.waiting]
        ignored = [event.data for event in events if isinstance(event.data, CommandIgnored)]
        assert {one.reason for one in ignored} <= {"unknown_item"}
        self.waiting, self.expected = [], dict(self.live)

    @invariant()
    def what_is_there_is_what_was_sent(self) -> None:
        if not hasattr(self, "engine"):
            return
        found = {}
        for collection in COLLECTIONS:
            for id_ in IDS:
                view = self.engine.get(id_, collection)
                if view is not None:
                    found[collection, id_] = view.text, view.attributes, view.revision
        assert found == self.expected
        assert self.engine.stats()["items"] == len(self.expected)

    @invariant()
    def answers_name_what_is_there(self) -> None:
        if not hasattr(self, "engine"):
            return
        assert_no_mutual_duplicates(self.engine)
        for collection in COLLECTIONS:
            there = {id_ for of, id_ in self.expected if of == collection}
            assert {hit.id for hit in self.engine.search("card payment declined", collection)} <= there
            points = self.engine.stats()["collections"].get(collection, {"points": 0})["points"]
            assert points <= len(there)
            assert bool(points) == bool(there)


TestLiveItems = LiveItems.TestCase
TestLiveItems.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


# -- with the real model -----------------------------------------------------------------------------------------------

TICKETS = Path(__file__).resolve().parents[2] / "workers" / "samples" / "tickets.csv"


def ticket_entries(pairs: int) -> list[Entry]:
    """Tickets with their duplicates, with every third edited and every fifth deleted after a while."""
    with TICKETS.open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    repeats = [row for row in rows.values() if row["duplicate_of"]][:pairs]
    log = Log()
    entries: list[Entry] = []
    for place, row in enumerate(row for repeat in repeats for row in (rows[repeat["duplicate_of"]], repeat)):
        text = f"{row['title']}\n{row['description']}"
        entries.append(log.upsert(row["id"], text))
        if place % 3 == 2:
            entries.append(log.upsert(row["id"], f"{text} Still waiting."))
        if place % 5 == 4:
            entries.append(log.delete(row["id"]))
    return entries


@pytest.mark.model
def test_real_model_gives_the_same_events_in_any_batching_and_in_a_replay() -> None:
    from recommender.embedding.model_source import ALL_MINILM_L6_V2
    from recommender.embedding.sentence_transformer import SentenceTransformerEncoder

    model = Recording(SentenceTransformerEncoder(ALL_MINILM_L6_V2))
    entries = ticket_entries(25)
    one_batch, in_pieces, replay = opened(None, model), opened(None, model), opened(None, model)

    events = run(one_batch, entries, [len(entries)])
    assert len({event.data.band for event in events if isinstance(event.data, ItemProcessed)}) > 1
    assert lines(run(in_pieces, entries, [1, 7, 30])) == lines(events)
    assert lines(run(replay, entries, [len(entries)])) == lines(events)
    assert in_pieces.stats() == replay.stats() == one_batch.stats()
    assert outbox_lines(in_pieces) == outbox_lines(replay) == outbox_lines(one_batch)
