"""The engine's invariants, looked for counterexamples: few ids, few texts, and everything at once."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import combinations, cycle
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from recommender_engine import Entry, Event, Recommender
from recommender_engine.embedding import Embeddings, Encoder, ModelIdentity
from recommender_engine.errors import EncodingError
from recommender_engine.items import (
    DEFAULT_MODEL,
    CollectionConfigured,
    CommandIgnored,
    CommandRejected,
    DeleteCollection,
    FeedbackAccepted,
    GiveFeedback,
    GroupChanged,
    Item,
    ItemDeleted,
    ItemProcessed,
    ItemRevised,
    QuarantineCommand,
    RejectedCommand,
    TickClock,
    UpsertItem,
)
from recommender_engine.matching import LearnedMatcher, MatcherFactory
from recommender_engine.testing import DeterministicEncoder
from recommender_engine.text import clean, fingerprint
from tests.support.encoders import FailingEncoder
from tests.support.engine import Log, at, data_of, is_outcome, lines, opened, outbox_lines
from tests.support.matchers import cosine_matcher
from tests.support.samples import MALFORMED, PAUSES_MS, SETTINGS, TEXTS

IDS = ("a", "b", "c", "d", "e")
COLLECTIONS = ("default", "tickets")
DIMENSION = 16
VECTORS = (
    [1.0] + [0.0] * 15,
    [2.0] + [0.0] * 15,
    [1.0, 1e-4] + [0.0] * 14,
    [0.6, 0.8] + [0.0] * 14,
    [0.0] * 15 + [1.0],
    [1.0, 2.0],
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
feedbacks = st.builds(
    lambda target, said: {**target, **said} if said.get("other") != target["id"] else {**target, "answer": "wrong"},
    targets,
    st.one_of(
        st.fixed_dictionaries(
            {
                "other": st.sampled_from(IDS),
                "answer": st.sampled_from(["same", "same", "different", "different", "unsure"]),
            }
        ),
        st.fixed_dictionaries({"answer": st.sampled_from(["right", "wrong"])}),
    ),
)
configures = st.fixed_dictionaries({"collection": st.sampled_from(COLLECTIONS), "settings": st.sampled_from(SETTINGS)})
second_models = st.builds(
    lambda collection, model: {"collection": collection, "model": model[0], "digest": model[1].fingerprint},
    st.sampled_from(COLLECTIONS),
    st.sampled_from(
        (
            ("other", DeterministicEncoder(DIMENSION, max_tokens=3).identity),
            (DEFAULT_MODEL, DeterministicEncoder(DIMENSION, max_tokens=7).identity),
        )
    ),
)


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
    specs("feedback.given", feedbacks),
    specs("feedback.given", feedbacks),
    specs("collection.configured", configures),
    specs("collection.deleted", st.fixed_dictionaries({"collection": st.sampled_from(COLLECTIONS)})),
    st.one_of(
        specs("model.proposed", second_models),
        specs("model.promoted", second_models),
        specs("model.promoted", second_models),
        specs("model.dropped", second_models),
    ),
    specs("item.upsert", st.sampled_from(MALFORMED)),
    specs("clock.ticked", st.just({})),
    specs("command.quarantined", st.just({"entry": "1-0", "reason": "it ends a process"})),
    specs(
        "message.refused",
        st.fixed_dictionaries(
            {
                "source": st.just("celery"),
                "code": st.sampled_from(["not_json", "unknown_task"]),
                "message": st.just("no task of ours"),
                "payload": st.text(max_size=20).filter(lambda text: text.isascii()),
                "payload_encoding": st.just("utf-8"),
                "payload_bytes": st.integers(0, 100),
            }
        ),
    ),
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
    specs(
        "feedback.given",
        st.builds(
            lambda target, answer: {**target, "other": "z" if target["id"] == "a" else "a", "answer": answer},
            ids,
            st.sampled_from(["same", "different", "unsure"]),
        ),
    ),
)
# Nothing changes by it, but what comes behind is prepared anew.
segment = specs("collection.configured", st.just({"collection": "tickets", "settings": {}}))
narrow_histories: st.SearchStrategy[list[Spec]] = st.builds(
    lambda candidates, before, after: [
        ("collection.configured", {"collection": "default", "settings": {**candidates, "similar_from": -1.0}}, {}),
        *before,
        *after,
    ],
    st.sampled_from([{"candidates": 1}, {"candidates": 2}, {"candidates": 1, "ttl_seconds": 5}]),
    st.lists(crowded, min_size=4, max_size=15),
    st.lists(st.one_of(crowded, crowded, crowded, segment), min_size=4, max_size=15),
)
# One collection whose items lie in a plane, some like two others that are unlike: groups that merge, split and part.
in_a_plane = st.one_of(
    specs(
        "item.upsert",
        st.builds(
            lambda id_, degrees: {"id": id_, "text": f"{id_} at {degrees}", "vector": at(degrees, DIMENSION)},
            st.sampled_from(IDS),
            st.sampled_from((0, 0, 20, 38, 58, 180)),
        ),
    ),
    specs("item.upsert", st.fixed_dictionaries({"id": st.sampled_from(IDS), "text": st.just(TEXTS[0])})),
    specs(
        "feedback.given",
        st.builds(
            lambda pair, answer: {"id": pair[0], "other": pair[1], "answer": answer},
            st.permutations(IDS),
            st.sampled_from(["same", "same", "different", "different", "different", "unsure"]),
        ),
    ),
    specs("feedback.given", st.builds(lambda id_: {"id": id_, "answer": "wrong"}, st.sampled_from(IDS))),
    specs("item.delete", st.fixed_dictionaries({"id": st.sampled_from(IDS)})),
    specs("item.erase", st.fixed_dictionaries({"id": st.sampled_from(IDS)})),
)
living_histories: st.SearchStrategy[list[Spec]] = st.builds(
    lambda rule, first, rest: [
        ("collection.configured", {"collection": "default", "settings": rule}, {}),
        *first,
        *((type_, data, {"later_ms": around["later_ms"]}) for type_, data, around in rest),
    ],
    st.sampled_from([{}, {}, {"canonical": "latest"}, {"canonical": "longest"}, {"ttl_seconds": 40_000}]),
    st.permutations(IDS).map(
        lambda ids: [
            ("item.upsert", {"id": id_, "text": f"{id_}", "vector": at(degrees, DIMENSION)}, {})
            for id_, degrees in zip(ids, (0, 2, 38, 60, 180), strict=True)
        ]
    ),
    st.lists(in_a_plane, min_size=4, max_size=25),
)
wide_histories: st.SearchStrategy[list[Spec]] = st.one_of(
    st.lists(anything, min_size=1, max_size=10), st.lists(anything, min_size=20, max_size=50)
)
histories = st.one_of(wide_histories, narrow_histories, living_histories)
cuts = st.lists(st.integers(1, 12), min_size=1, max_size=6)

many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
few = settings(many, max_examples=25)
matchers = st.sampled_from([cosine_matcher, cosine_matcher, LearnedMatcher])


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


def engine_in_memory(default: Encoder | None = None, matcher: MatcherFactory = cosine_matcher) -> Recommender:
    return opened(None, default or encoder(), matcher=matcher, other=DeterministicEncoder(DIMENSION, max_tokens=3))


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
        "answers": [one.model_dump(mode="json") for name in COLLECTIONS for one in engine.answers(name)],
        "learned": [asked(engine, name) for name in COLLECTIONS],
    }


def asked(engine: Recommender, collection: str) -> dict[str, Any]:
    """A verdict that rests on the document frequencies and the model of a collection."""
    one, other = (Item(id=id_, collection=collection, text=TEXTS[place]) for id_, place in (("x", 0), ("y", 3)))
    return engine.compare(one, other).model_dump(mode="json")


@many
@given(wide_histories, cuts, matchers)
def test_any_batching_gives_the_same_events(history: list[Spec], sizes: list[int], matcher: MatcherFactory) -> None:
    assert_batching_changes_nothing(history, sizes, matcher)


@settings(many, max_examples=100)
@given(narrow_histories, st.lists(st.integers(3, 12), min_size=1, max_size=4), matchers)
def test_any_batching_gives_the_same_events_where_neighbours_are_few(
    history: list[Spec], sizes: list[int], matcher: MatcherFactory
) -> None:
    assert_batching_changes_nothing(history, sizes, matcher)


def assert_batching_changes_nothing(history: Sequence[Spec], sizes: Sequence[int], matcher: MatcherFactory) -> None:
    entries = entries_of(history)
    one_by_one, cut = engine_in_memory(matcher=matcher), engine_in_memory(matcher=matcher)

    assert lines(run(cut, entries, sizes)) == lines(run(one_by_one, entries, [1]))
    assert state_of(cut) == state_of(one_by_one)


@few
@given(histories, cuts, st.lists(st.booleans(), max_size=20), matchers)
def test_batches_tried_again_after_a_failure_give_the_same_events(
    history: list[Spec], sizes: list[int], failures: list[bool], matcher: MatcherFactory
) -> None:
    entries = entries_of(history)
    model, attempts = FailingEncoder(encoder()), iter(failures)
    calm, shaken = engine_in_memory(matcher=matcher), engine_in_memory(model, matcher)
    events: list[Event] = []
    for batch in batches(entries, sizes):
        while True:
            failing = next(attempts, False)
            before = state_of(shaken) if failing else None
            model.failing = failing
            try:
                events += shaken.process(batch)
            except EncodingError:
                model.failing = False
                assert state_of(shaken) == before
            else:
                model.failing = False
                break

    assert lines(events) == lines(run(calm, entries, [7]))
    assert state_of(shaken) == state_of(calm)


@settings(few, max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(histories, cuts, st.lists(st.booleans(), min_size=1, max_size=6), matchers)
def test_restarts_between_batches_change_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[Spec],
    sizes: list[int],
    restarts: list[bool],
    matcher: MatcherFactory,
) -> None:
    entries = entries_of(history)
    directory = tmp_path_factory.mktemp("state")

    def start() -> Recommender:
        return opened(directory, encoder(), matcher=matcher, other=DeterministicEncoder(DIMENSION, max_tokens=3))

    calm, shaken = engine_in_memory(matcher=matcher), start()
    events: list[Event] = []
    try:
        for batch, restart in zip(batches(entries, sizes), cycle(restarts), strict=False):
            events += shaken.process(batch)
            if restart:
                shaken.close()
                shaken = start()
        assert lines(events) == lines(run(calm, entries, [7]))
        assert state_of(shaken) == state_of(calm)
    finally:
        shaken.close()


@few
@given(histories, cuts, matchers)
def test_replay_into_an_empty_state_gives_the_same_events(
    history: list[Spec], sizes: list[int], matcher: MatcherFactory
) -> None:
    entries = entries_of(history)
    recorded = Recording(encoder())
    first = run(engine_in_memory(recorded, matcher), entries, sizes)

    again = engine_in_memory(Recording(encoder(), recorded.vectors), matcher)
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


def mentioned(data: ItemProcessed | ItemRevised | GroupChanged) -> set[Place]:
    """Every item that an event names as one that is there, beside the one it is about."""
    if isinstance(data, GroupChanged):
        there = {data.canonical_id, *(() if data.change == "left" else data.items)}
    else:
        there = {data.duplicate_of, data.canonical_id, data.matched_id}
        there |= {one.id for one in getattr(data, "recommendations", ())}
    return {(data.collection, id_) for id_ in there if id_ is not None}


def assert_verdicts_hold(entries: Sequence[Entry], events: Sequence[Event]) -> None:
    """No item names itself, one that is gone, or a later one as its original."""
    commands_by_id = {str(entry.id): entry.command for entry in entries}
    arrived: dict[Place, int] = {}
    says: dict[Place, tuple[Any, ...]] = {}
    rules: dict[str, str] = {}
    for place, event in enumerate(events):
        data = event.data
        if isinstance(data, CollectionConfigured):
            rules[data.collection] = data.settings.canonical
        if isinstance(data, ItemDeleted):
            arrived.pop((data.collection, data.item_id), None)
        if isinstance(data, ItemProcessed):
            key, command = (data.collection, data.item_id), commands_by_id[data.command.id]
            assert isinstance(command, UpsertItem)
            said = (fingerprint(clean(command.content)), command.vector and unit(command.vector))
            if key not in arrived or says[key] != said:
                arrived[key], says[key] = place, said
            assert data.item_id not in [one.id for one in data.recommendations]
        if isinstance(data, ItemProcessed | ItemRevised):
            key = (data.collection, data.item_id)
            assert key in arrived
            assert (data.band == "duplicate") == (data.duplicate_of is not None)
            assert data.matched_id != data.item_id
            if data.duplicate_of is not None:
                assert arrived[data.collection, data.duplicate_of] < arrived[key]
            if rules.get(data.collection, "earliest") == "earliest":
                assert data.canonical_id == (data.duplicate_of or data.item_id)
        if isinstance(data, ItemProcessed | ItemRevised | GroupChanged):
            assert mentioned(data) <= arrived.keys()


def unit(vector: Sequence[float]) -> tuple[float, ...]:
    return tuple(np.round(np.asarray(vector) / np.linalg.norm(vector), 6).tolist())


def assert_no_mutual_duplicates(engine: Recommender) -> None:
    for collection in COLLECTIONS:
        views = {id_: engine.get(id_, collection) for id_ in IDS}
        original_of = {id_: view.duplicate_of for id_, view in views.items() if view is not None}
        for id_, original in original_of.items():
            assert original is None or (original != id_ and original_of[original] is None)


@many
@given(histories, cuts, matchers)
def test_verdicts_name_earlier_items_that_are_there(
    history: list[Spec], sizes: list[int], matcher: MatcherFactory
) -> None:
    entries = entries_of(history)
    engine = engine_in_memory(matcher=matcher)
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

    answered = [event.data.command.id for event in events if is_outcome(event)]
    refused = {event.data.command.id for event in events if isinstance(event.data, CommandRejected)}
    seen: dict[tuple[str | None, str], tuple[int, Any]] = {}
    expected, repeats = [], set()
    for entry in entries:
        if isinstance(entry.command, TickClock | QuarantineCommand):
            continue
        place = getattr(entry.command, "collection", None), entry.key or ""
        at_ms, said = seen.get(place, (-(10**15), None))
        if entry.key is None or entry.id.ms - at_ms >= 24 * 3600 * 1000:
            expected.append(str(entry.id))
            if isinstance(entry.command, DeleteCollection):  # what was said of its name before is no first command
                seen = {one: first for one, first in seen.items() if one[0] != entry.command.collection}
            if entry.key is not None:
                seen[place] = entry.id.ms, said_by(entry)
        elif said == said_by(entry):
            repeats.add(str(entry.id))
    # Another command under a key is rejected, unless what the first said was erased: then it counts as a repeat.
    others = set(answered) - set(expected)
    assert [id_ for id_ in answered if id_ not in others] == expected
    assert len(set(answered)) == len(answered)
    assert others <= refused - repeats


def said_by(entry: Entry) -> Any:
    """What a command says; of one that cannot be read, its bytes."""
    command = entry.command
    return command.payload if isinstance(command, RejectedCommand) else (command.type, command.model_dump())


@many
@given(histories, cuts)
def test_a_malformed_message_costs_one_message(history: list[Spec], sizes: list[int]) -> None:
    # A rejection is an outcome like any other and answers repeats of its key, so the malformed ones get none here.
    entries = [
        Entry(entry.id, entry.command) if isinstance(entry.command, RejectedCommand) else entry
        for entry in entries_of(history)
    ]
    good = [entry for entry in entries if not isinstance(entry.command, RejectedCommand)]
    malformed = {str(entry.id) for entry in entries} - {str(entry.id) for entry in good}

    # Summaries and what expires come with the command that happens to follow; it may be a malformed one.
    def verdicts(of: Sequence[Entry]) -> list[dict[str, Any]]:
        return [data_of(event) for event in run(engine_in_memory(), of, sizes) if is_outcome(event)]

    with_malformed = verdicts(entries)
    rejected = [data for data in with_malformed if data["command"]["id"] in malformed]
    assert len(rejected) == len(malformed)
    assert all(data["type"] == "recommender.command.rejected.v1" for data in rejected)
    assert [data for data in with_malformed if data not in rejected] == verdicts(good)


# -- what people said --------------------------------------------------------------------------------------------------

Pair = frozenset[str]


class Said:
    """People's answers as the events tell them, followed through their chains in the plainest way."""

    def __init__(self) -> None:
        self._answers: dict[str, dict[Pair, str]] = {collection: {} for collection in COLLECTIONS}

    def hear(self, data: Any) -> None:
        if isinstance(data, ItemDeleted) and data.erased:
            held = self._answers[data.collection]
            self._answers[data.collection] = {pair: word for pair, word in held.items() if data.item_id not in pair}
        if isinstance(data, FeedbackAccepted):
            pair = frozenset((data.item_id, data.other_id))
            self._answers[data.collection].pop(pair, None)
            if data.answer != "unsure":
                self._answers[data.collection][pair] = data.answer

    def alike(self, collection: str, start: str) -> set[str]:
        """All that are the same as an item."""
        reached, waiting = {start}, [start]
        while waiting:
            near = waiting.pop()
            for pair, word in self._answers[collection].items():
                if word == "same" and near in pair:
                    fresh = pair - reached
                    reached |= fresh
                    waiting += fresh
        return reached

    def unlike(self, collection: str, one: str, other: str) -> bool:
        ones, others = self.alike(collection, one), self.alike(collection, other)
        differ = [tuple(pair) for pair, word in self._answers[collection].items() if word == "different"]
        return any((x in ones and y in others) or (y in ones and x in others) for x, y in differ)


def assert_answers_hold(engine: Recommender, said: Said) -> None:
    for collection in COLLECTIONS:
        views = {id_: engine.get(id_, collection) for id_ in IDS}
        groups = {id_: view.group for id_, view in views.items() if view is not None}
        for one, other in combinations(groups, 2):
            if other in said.alike(collection, one):
                assert groups[one] == groups[other], f"{one} and {other} are the same"
            if said.unlike(collection, one, other):
                assert groups[one] != groups[other], f"{one} and {other} are different"


@settings(many, max_examples=100)
@given(st.one_of(living_histories, living_histories, wide_histories), matchers)
def test_what_people_said_holds_after_every_command(history: list[Spec], matcher: MatcherFactory) -> None:
    engine, said = engine_in_memory(matcher=matcher), Said()
    for entry in entries_of(history):
        events = engine.process([entry])
        for event in events:
            if isinstance(event.data, FeedbackAccepted | CommandRejected):
                assert_contradictions_are_rejected(entry, event.data, said)
            said.hear(event.data)
        assert_answers_hold(engine, said)
        assert_no_mutual_duplicates(engine)
    assert {name: len(engine.answers(name)) for name in COLLECTIONS} == {
        name: len(held) for name, held in said._answers.items()
    }


def assert_contradictions_are_rejected(entry: Entry, data: FeedbackAccepted | CommandRejected, said: Said) -> None:
    command = entry.command
    if isinstance(data, FeedbackAccepted):
        if data.answer == "same":
            assert not said.unlike(data.collection, data.item_id, data.other_id)
        if data.answer == "different":
            assert data.other_id not in said.alike(data.collection, data.item_id)
    elif data.code == "contradiction":
        assert isinstance(command, GiveFeedback)
        if command.other is not None:
            same = command.other in said.alike(command.collection, command.id)
            assert same if command.answer == "different" else said.unlike(command.collection, command.id, command.other)


@many
@given(living_histories, matchers)
def test_a_verdict_is_revised_once_at_most_and_follows_on_what_was_said_before(
    history: list[Spec], matcher: MatcherFactory
) -> None:
    """What is published is enough to know where every item stands."""
    engine = engine_in_memory(matcher=matcher)
    stands: dict[Place, tuple[str, str | None]] = {}
    for entry in entries_of(history):
        events = engine.process([entry])
        revised = [
            (event.data.collection, event.data.item_id) for event in events if isinstance(event.data, ItemRevised)
        ]
        assert len(revised) == len(set(revised)) or any(isinstance(event.data, ItemDeleted) for event in events)
        for event in events:
            data = event.data
            if isinstance(data, ItemDeleted):
                stands.pop((data.collection, data.item_id), None)
            if isinstance(data, ItemRevised):
                was = data.previous_band, data.previous_duplicate_of
                assert stands[data.collection, data.item_id] == was
                assert (data.band, data.duplicate_of) != was or data.band == "review"
            if isinstance(data, ItemProcessed | ItemRevised):
                stands[data.collection, data.item_id] = data.band, data.duplicate_of
        for (collection, id_), expected in stands.items():
            view = engine.get(id_, collection)
            assert view is not None
            assert (view.band, view.duplicate_of) == expected


# -- twins -------------------------------------------------------------------------------------------------------------


@settings(many, max_examples=6)
@given(st.randoms(use_true_random=False), st.lists(st.integers(1, 90), min_size=1, max_size=5), matchers)
def test_two_hundred_twins_have_one_canonical_item(random: Random, sizes: list[int], matcher: MatcherFactory) -> None:
    text = "card payment declined at the shop, order 1042"
    log, engine = Log(), engine_in_memory(matcher=matcher)
    variants = (text, text.upper(), f"  {text}", text.replace(" ", "\u00a0 "))
    twins = [(f"twin {n}", variants[n % len(variants)]) for n in range(200)]
    random.shuffle(twins)
    entries = [log.upsert(id_, said, later_ms=0) for id_, said in twins]
    told = [event.data for event in run(engine, entries, sizes) if isinstance(event.data, ItemProcessed)]
    first = twins[0][0]
    assert [one.duplicate_of for one in told] == [None, *[first] * 199]
    assert {one.canonical_id for one in told} == {first}
    assert {one.group for one in told} == {told[0].group}


# -- what was erased ---------------------------------------------------------------------------------------------------

# Each edit of each item has a code of its own, which reasons quote where codes differ.
coded = st.one_of(
    *[specs("item.upsert", st.fixed_dictionaries({"id": st.sampled_from(IDS)}))] * 3,
    specs("item.delete", st.fixed_dictionaries({"id": st.sampled_from(IDS)})),
    specs(
        "feedback.given",
        st.builds(
            lambda pair, answer: {"id": pair[0], "other": pair[1], "answer": answer},
            st.permutations(IDS),
            st.sampled_from(["same", "different", "unsure"]),
        ),
    ),
)


@settings(few, max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(coded, min_size=5, max_size=25), st.sampled_from([cosine_matcher, LearnedMatcher, LearnedMatcher]))
def test_what_was_erased_is_nowhere_in_the_files(
    tmp_path_factory: pytest.TempPathFactory, history: list[Spec], matcher: MatcherFactory
) -> None:
    directory = tmp_path_factory.mktemp("state")
    log, engine = Log(), opened(directory, encoder(), matcher=matcher)
    engine.process([log.configure(review_from=0.0, similar_from=-1.0)])  # so that reasons are given
    codes: dict[str, list[str]] = {id_: [] for id_ in IDS}
    for place, (type_, data, around) in enumerate(history):
        if type_ == "item.upsert":
            code = f"QX{place + 10}9{IDS.index(data['id'])}07"
            codes[data["id"]].append(code)
            data = {**data, "text": f"the parcel with the blue kettle is missing, order {code}"}
        engine.process([log.add(type_, data, later_ms=around["later_ms"])])
    for id_ in IDS[:2]:
        engine.process([log.erase(id_)])
    engine.close()
    files = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file()).lower()
    assert [code for id_ in IDS[:2] for code in codes[id_] if code.lower().encode() in files] == []


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

    @rule(said=feedbacks)
    def answer(self, said: dict[str, str]) -> None:
        self.waiting.append(self.log.add("feedback.given", said))

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
        outcomes = [event for event in events if is_outcome(event)]
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
TestLiveItems.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


# -- with the real model -----------------------------------------------------------------------------------------------

TICKETS = Path(__file__).resolve().parents[2] / "workers" / "celery_recommender" / "samples" / "tickets.csv"


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
        if place % 7 == 6:
            entries.append(log.feedback(row["id"], "wrong" if place % 2 else "right"))
    return entries


@pytest.mark.model
def test_real_model_gives_the_same_events_in_any_batching_and_in_a_replay() -> None:
    from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2
    from recommender_engine.embedding.sentence_transformer import SentenceTransformerEncoder

    model = Recording(SentenceTransformerEncoder(ALL_MINILM_L6_V2))
    entries = ticket_entries(25)
    one_batch, in_pieces, replay = (opened(None, model, matcher=LearnedMatcher) for _ in range(3))

    events = run(one_batch, entries, [len(entries)])
    assert len({event.data.band for event in events if isinstance(event.data, ItemProcessed)}) > 1
    assert lines(run(in_pieces, entries, [1, 7, 30])) == lines(events)
    assert lines(run(replay, entries, [len(entries)])) == lines(events)
    assert in_pieces.stats() == replay.stats() == one_batch.stats()
    assert outbox_lines(in_pieces) == outbox_lines(replay) == outbox_lines(one_batch)
