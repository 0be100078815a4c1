"""Records of a collection that arrives are checked like any stranger's message, whatever brought them here."""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from recommender_engine.items import Event, ItemProcessed
from recommender_engine.items.limits import KEY_WINDOW_MS
from recommender_engine.items.moves import FIRST_PAGE
from recommender_engine.matching import LearnedMatcher, PairModel, default_model
from recommender_engine.pipeline.migration.incoming import _MOST_PAGE_BYTES
from tests.support.engine import data_of, is_outcome
from tests.support.partitions import Pair, Side

TEXTS = ("card payment declined", "the lid is missing", "heavy rain up north", "the card payment was declined")
DAY_MS = 86_400_000
TRIES = 6

Spoil = Callable[[dict[str, Any]], None]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with contextlib.closing(filled()) as pair:
        yield pair


def filled() -> Pair:
    """A collection ``c`` in ``a`` with everything that a collection can have, and another one in ``b``."""
    pair = Pair(matcher=LearnedMatcher)
    for n, text in enumerate(TEXTS):
        pair["a"].add("item.upsert", {"id": f"i{n}", "collection": "c", "text": text, "version": n}, key=f"k{n}")
    pair["a"].add("item.delete", {"id": "i2", "collection": "c", "version": 7}, key="gone")
    pair["a"].add("feedback.given", {"id": "i0", "other": "i1", "collection": "c", "answer": "different"}, key="said")
    pair["b"].add("item.upsert", {"id": "o", "collection": "other", "text": "something else"})
    pair.settle()
    return pair


def spoiled(pair: Pair, kind: str, spoil: Spoil) -> bool:
    """Move ``c`` with one record changed on its way; whether it arrived all the same."""
    steps = pair.move(part_bytes=10**6)
    for page in steps:
        if page in ("sealed", "begun"):
            continue
        if page == "arrived":
            break
        (part,) = pair.parts("a", "m1", page, 10**6)
        records = json.loads(base64.b64decode(part["data"]))
        chosen = next((record for record in records if record["kind"] == kind), None)
        if chosen is not None:
            spoil(chosen)
            pair["b"].add("collection.records", again(part, records))
            pair["b"].decide()
            if rejected(pair["b"]):
                pair.step("b", "cancelled", "a", "b")
                return False
    for _ in steps:
        pass
    pair.settle()
    return True


def again(part: dict[str, Any], records: Any) -> dict[str, Any]:
    data = json.dumps(records).encode()
    return {
        **part,
        "data": base64.b64encode(data).decode(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def rejected(side: Side) -> list[str]:
    return [data_of(event)["code"] for event in side.events if event.data.type.endswith("rejected.v1")]


def tried(pair: Pair) -> list[Event]:
    """Everything that a producer can do with what has arrived, and with its neighbours."""
    side, before = pair["b"], len(pair["b"].events)
    for collection in ("c", "other"):
        for n, text in enumerate(TEXTS):
            side.add("item.upsert", {"id": f"n{n}", "collection": collection, "text": text}, key=f"k{n}")
        side.add("feedback.given", {"id": "n0", "other": "n3", "collection": collection, "answer": "same"})
        side.add("feedback.given", {"id": "n0", "other": "n2", "collection": collection, "answer": "different"})
        side.add("item.patch", {"id": "i0", "collection": collection, "attributes": {"a": 1}})
        for id_ in ("i0", "i1", "i2", "i3"):
            side.add("item.erase", {"id": id_, "collection": collection})
    side.decide(4)
    return [event for event in side.events[before:] if is_outcome(event) and not event.silent]


# -- any record, any change --------------------------------------------------------------------------------------------

HOSTILE: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**48 - 1, 2**63 - 1, 2**63, 10**400, 1e308, -1e308, 0.5, "", "x", "i1", "0" * 64, "AAAA"),
    *("{", "[]", "{}", "null", '{"type": "x"}', "[" * 5000, "\u0000", "nowhere", "99999999999999999999-0", [], {}),
    *({"a": 1e308}, {"id": "i1", "collection": "other", "text": "forged"}, [1], ["nowhere"]),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for name in value:
            yield (*path, name)
            yield from places(value[name], (*path, name))


@pytest.mark.parametrize("kind", ["collection", "point", "item", "tombstone", "answer", "key"])
def test_no_change_to_a_record_ends_the_engine(pair: Pair, kind: str) -> None:
    """Either it is refused, or what comes after it is decided as ever."""
    chance = random.Random(kind)
    found: list[dict[str, Any]] = []
    spoiled(pair, kind, lambda record: found.append(copy.deepcopy(record)))
    honest, *_ = found
    for number in range(TRIES):
        path = chance.choice(list(places(honest)))
        value = chance.choice(HOSTILE)

        def spoil(record: dict[str, Any], path: tuple[Any, ...] = path, value: Any = value) -> None:
            for name in path[:-1]:
                record = record.get(name) or {}
            record[path[-1]] = value

        with contextlib.closing(filled()) as other:
            spoiled(other, kind, spoil)
            assert len(tried(other)) >= len(TEXTS), (number, path, value)


# -- by kind -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        *("{", "null", "[]", "{}", '{"type": "T"}', '{"type": "T", "data": 1}', '{"type": "T", "data": {}}'),
        *('{"type": "U", "data": {"command": {}}}', '{"type": "T", "data": {"command": {}, "n": NaN}}'),
        '{"type": "T", "data": {"command": {"key": "\\ud800"}}}',
        '{"type": "T", "data": {"command": {}, "deep": ' + "[" * 1200 + "]" * 1200 + "}}",
    ],
)
def test_what_answers_a_key_is_an_event(pair: Pair, event: str) -> None:
    assert not spoiled(pair, "key", lambda record: record.update(event=event, type="T"))
    assert rejected(pair["b"]) == ["invalid_value"]


def _model(**changes: Any) -> str:
    return json.dumps({**default_model().to_json(), **changes})


@pytest.mark.parametrize(
    "matcher",
    [
        *("nonsense", "null", "[]", "{}", "[" * 5000, _model(features=["none"]), _model(slope=float("nan"))),
        *(_model(operating_points=[]), _model(operating_points=[[1.0, 0.5]]), _model(review_from=2)),
        _model(trees={**default_model().to_json()["trees"], "values": [[1.0]]}),
        _model(trees={**default_model().to_json()["trees"], "features": [[10**6]]}),
        _model(logistic={**default_model().to_json()["logistic"], "scale": [0.0]}),
        _model(logistic={**default_model().to_json()["logistic"], "bias": 1e300}),
    ],
)
def test_what_the_matcher_has_learned_is_a_model(pair: Pair, matcher: str) -> None:
    assert not spoiled(pair, "collection", lambda record: record.update(matcher=matcher))
    assert rejected(pair["b"]) == ["invalid_value"]


def test_the_shipped_model_and_one_that_has_learned_are_models(pair: Pair) -> None:
    assert PairModel.checked(_model()).to_json() == default_model().to_json()
    assert spoiled(pair, "collection", lambda record: PairModel.checked(record["matcher"]))


def test_a_vector_of_a_text_serves_the_collection_that_brought_it(pair: Pair) -> None:
    """Whatever is said of a text that nobody has sent here: only the model here says what its vector is."""
    unsent = "a text that another collection has yet to send"
    key = b"t" + hashlib.sha256(unsent.encode()).digest()
    (honest,) = pair["b"].engine.search("something else", "other")

    def forge(record: dict[str, Any]) -> None:
        vector = -np.frombuffer(base64.b64decode(record["vector"]), "<f4")
        record.update(key=key.hex(), vector=base64.b64encode(vector.tobytes()).decode())

    assert spoiled(pair, "point", forge)
    pair["b"].add("item.upsert", {"id": "victim", "collection": "other", "text": unsent})
    pair["a"].add("item.upsert", {"id": "reference", "collection": "third", "text": unsent})
    pair.settle()
    (found, *_) = pair["b"].engine.search(unsent, "other")
    (reference,) = pair["a"].engine.search(unsent, "third")
    assert (found.id, found.score) == ("victim", reference.score)
    assert pair["b"].engine.search("something else", "other")[0] == honest


def test_a_given_vector_is_what_its_key_says(pair: Pair) -> None:
    """The hash of a vector that a producer gave is its name; under another vector's name it serves nobody else."""
    vector = np.zeros(len(_vector_of(pair)), np.float32)
    vector[0] = 1.0
    theirs = b"v" + hashlib.sha256(vector.tobytes()).digest()
    assert spoiled(pair, "point", lambda record: record.update(key=theirs.hex()))
    said = {"id": "given", "collection": "other", "text": "given", "vector": vector.tolist()}
    pair["b"].add("item.upsert", said)
    pair.settle()
    assert np.array_equal(_vector_of(pair, "b", "other"), vector)


def _vector_of(pair: Pair, side: str = "a", collection: str = "c") -> Any:
    """Of the newest item."""
    page = pair[side].engine.export(collection)
    assert page is not None
    return np.frombuffer(base64.b64decode(page.items[-1].vector), "<f4")


def test_texts_of_the_collection_are_known_after_the_move(pair: Pair) -> None:
    """What it brought is its own, so nothing is embedded again."""
    for _ in pair.move():
        pass
    pair.settle()
    pair["b"].add("item.upsert", {"id": "twin", "collection": "c", "text": TEXTS[0]})
    pair.settle()
    (arrival,) = [event for event in pair["b"].events if data_of(event).get("item_id") == "twin" and is_outcome(event)]
    assert isinstance(arrival.data, ItemProcessed)
    assert arrival.data.timings.embed_ms == 0


def test_a_key_of_a_time_that_has_not_come_is_forgotten_like_any(pair: Pair) -> None:
    assert spoiled(pair, "key", lambda record: record.update(ms=2**62))
    pair["b"].add("clock.ticked", {}, later_ms=KEY_WINDOW_MS + 1)
    pair["b"].add("item.upsert", {"id": "n", "collection": "c", "text": "a new text"}, key="k0")
    pair.settle()
    assert pair["b"].engine.get("n", "c") is not None


def test_an_item_of_a_time_that_has_not_come_expires_like_any(pair: Pair) -> None:
    assert spoiled(pair, "item", lambda record: record.update(at_ms=2**62))
    pair["b"].add("collection.configured", {"collection": "c", "settings": {"ttl_seconds": 60}})
    pair["b"].add("clock.ticked", {}, later_ms=DAY_MS)
    pair["b"].add("clock.ticked", {}, later_ms=1000)
    pair.settle()
    assert [id_ for id_ in ("i0", "i1", "i3") if pair["b"].engine.get(id_, "c")] == []


def test_a_rate_goes_on_from_a_time_that_can_be(pair: Pair) -> None:
    settings = {"commands_per_second": 1, "burst": 2}
    pair["a"].add("collection.configured", {"collection": "c", "settings": settings})
    pair.settle()
    assert spoiled(pair, "collection", lambda record: record.update(next_us=2**62))
    pair["b"].add("item.upsert", {"id": "n", "collection": "c", "text": "a new text"}, later_ms=10_000)
    pair.settle()
    assert pair["b"].engine.get("n", "c") is not None


@pytest.mark.parametrize("step", ["sealed", "begun", "arrived", "released", "cancelled"])
def test_a_step_of_others_is_refused(pair: Pair, step: str) -> None:
    numbers = {"arrivals": 1, "points": 1} if step == "begun" else {}
    pair.step("a", step, "b", "nowhere", **numbers)
    pair.step("a", "sealed", "nowhere", "a")
    pair.step("b", "begun", "b", "a", arrivals=1, points=1)
    assert rejected(pair["a"]) == ["unknown_move", "unknown_move"]
    assert rejected(pair["b"]) == ["unknown_move"]


def test_numbers_are_left_for_others(pair: Pair) -> None:
    most = 2**48 - 1
    pair.step("b", "begun", "a", "b", arrivals=most, points=0)
    pair.step("b", "begun", "a", "b", move="m2", arrivals=0, points=most)
    assert rejected(pair["b"]) == ["invalid_value", "invalid_value"]
    pair["b"].add("item.upsert", {"id": "n", "collection": "other", "text": "goes on"})
    pair.settle()
    assert pair["b"].engine.get("n", "other") is not None


# -- parts -------------------------------------------------------------------------------------------------------------


def begun(pair: Pair) -> None:
    pair.step("b", "begun", "a", "b", arrivals=10, points=10)


def part(number: int, data: str, parts: int = 1000) -> dict[str, Any]:
    said = {"collection": "c", "move": "m1", "page": FIRST_PAGE, "part": number, "parts": parts, "data": data}
    return {**said, "sha256": "0" * 64, "next": None}


def test_a_part_costs_what_it_holds(pair: Pair) -> None:
    """However many came before it."""
    begun(pair)
    spent = []
    for number in range(80):
        pair["b"].add("collection.records", part(number, "A" * 150_000))
        started = time.process_time()
        pair["b"].decide()
        spent.append(time.process_time() - started)
    assert rejected(pair["b"]) == []
    assert sorted(spent[60:])[10] < 3 * sorted(spent[:20])[10]


def test_a_page_is_bounded_and_goes_with_its_move(pair: Pair) -> None:
    begun(pair)
    fits = _MOST_PAGE_BYTES // 190_000
    for number in range(fits + 1):
        pair["b"].add("collection.records", part(number, "A" * 190_000))
    pair["b"].decide()
    assert rejected(pair["b"]) == ["too_large"]
    store = pair["b"].engine._store
    assert len(store.moves.parts("c")) == fits
    pair["b"].add("collection.records", part(0, "AAAA"))
    pair["b"].decide()
    assert store.moves.parts("c") == ["AAAA"]
    pair.step("b", "cancelled", "a", "b")
    assert store.moves.parts("c") == []
