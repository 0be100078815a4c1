"""A collection whose vectors say all: judged by their cosine, texts neither compared nor indexed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from recommender_engine import Event, Recommender
from recommender_engine.items import Band, CollectionSettings, Item, ItemProcessed
from recommender_engine.matching import LearnedMatcher, by_cosine
from tests.support.engine import Log, data_of, opened

DIMENSION = 64
SETTINGS = {"rule": "cosine", "duplicate_cosine": 0.9, "similar_from": 0.5}


def at(cosine: float, axis: int = 1) -> str:
    """A vector with this cosine to the first axis, as bytes in Base64."""
    vector = np.zeros(DIMENSION, "<f4")
    vector[0], vector[axis] = cosine, np.sqrt(1 - cosine * cosine)
    return base64.b64encode(vector.tobytes()).decode()


@pytest.fixture
def engine(log: Log) -> Iterator[Recommender]:
    engine = opened(matcher=LearnedMatcher)
    engine.process([log.configure(**SETTINGS)])
    yield engine
    engine.close()


def verdict(events: list[Event]) -> dict[str, Any]:
    return data_of(next(event for event in events if isinstance(event.data, ItemProcessed)))


def test_the_cosine_decides_whatever_the_texts_say(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", "the same words", vector=at(1.0))])
    near = verdict(engine.process([log.upsert("b", "about something else", vector=at(0.95))]))
    assert (near["band"], near["duplicate_of"]) == ("duplicate", "a")
    assert near["reasons"] == [
        {"code": "cosine_similarity", "text": "the meaning is 95% alike", "detail": {"similarity": 0.95}}
    ]
    close = verdict(engine.process([log.upsert("c", "the same words", vector=at(0.7))]))  # nearer to b than to a
    assert (close["band"], close["duplicate_of"], close["matched_id"]) == ("similar", None, "b")
    far = verdict(engine.process([log.upsert("d", "the same words", vector=at(0.1, axis=2))]))
    assert far["band"] == "new"


def test_every_near_one_is_seen_whatever_the_batches(log: Log) -> None:
    vectors = [at(1.0), at(0.97), at(0.95, axis=2), at(0.2, axis=3), at(0.3, axis=3)]
    entries = [log.configure(**SETTINGS)]
    entries += [log.upsert(f"i{n}", f"text {n}", vector=vector) for n, vector in enumerate(vectors)]
    one_by_one, at_once = opened(), opened()
    singly = [event.data for entry in entries for event in one_by_one.process([entry])]
    together = [event.data for event in at_once.process(entries)]
    timeless = [{**json.loads(data.model_dump_json()), "timings": None} for data in singly]
    assert timeless == [{**json.loads(data.model_dump_json()), "timings": None} for data in together]
    one_by_one.close()
    at_once.close()


def test_what_people_said_holds(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", "one", vector=at(1.0)), log.upsert("b", "two", vector=at(0.99))])
    engine.process([log.add("feedback.given", {"id": "b", "other": "a", "answer": "different"})])
    view = engine.get("b")
    assert view is not None
    assert view.duplicate_of is None
    engine.process([log.upsert("c", "three", vector=at(0.1, axis=2))])
    engine.process([log.add("feedback.given", {"id": "c", "other": "a", "answer": "same"})])
    view = engine.get("c")
    assert view is not None
    assert view.duplicate_of == "a"


def test_no_words_are_kept(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", "remarkable words", vector=at(1.0)), log.delete("a")])
    engine.process([log.upsert("b", "remarkable words", vector=at(1.0)), log.upsert("b", "others", vector=at(0.0))])
    assert engine._store._db.execute("SELECT count(*) FROM terms").fetchone() == (0,)


def test_the_rule_stays_once_there_are_items(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(**SETTINGS), log.upsert("a", "one", vector=at(1.0))])
    (event,) = engine.process([log.configure(rule="learned")])
    assert (data_of(event)["code"], data_of(event)["field"]) == ("rule_in_use", "settings.rule")


@pytest.mark.parametrize(
    ("cosine", "review_from", "band"),
    [
        (1.0, None, "duplicate"),
        (0.9, None, "duplicate"),
        (0.89, None, "similar"),
        (0.89, 0.4, "review"),
        (0.5, None, "similar"),
        (0.49, None, "new"),
        (-1.0, None, "new"),
    ],
)
def test_bands(cosine: float, review_from: float | None, band: str) -> None:
    settings = CollectionSettings(rule="cosine", duplicate_cosine=0.9, similar_from=0.5, review_from=review_from)
    judged = by_cosine(cosine, settings)
    assert judged.band is Band(band)
    assert 0.0 <= judged.probability <= 1.0


def test_the_probability_rises_with_the_cosine() -> None:
    settings = CollectionSettings(rule="cosine", duplicate_cosine=0.9)
    probabilities = [by_cosine(cosine, settings).probability for cosine in np.linspace(-1, 1, 41)]
    assert probabilities == sorted(probabilities)
    assert by_cosine(0.9, settings).probability == 0.5


# -- vectors as bytes --------------------------------------------------------------------------------------------------


def test_bytes_and_numbers_are_the_same_vector(log: Log) -> None:
    numbers = np.random.default_rng(3).normal(size=DIMENSION).astype(np.float32)
    engine = opened()
    engine.process([log.upsert("a", "text", vector=[float(number) for number in numbers])])
    (event,) = engine.process([log.upsert("a", "text", vector=base64.b64encode(numbers.tobytes()).decode())])
    assert data_of(event)["revision"] == 2
    assert engine.stats()["collections"]["default"]["points"] == 1
    engine.close()


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ("not base64!", "vector: is not Base64"),
        ("", "vector: must be the bytes of 1 to 4096 float32 numbers"),
        ("AAAA", "vector: must be the bytes of 1 to 4096 float32 numbers"),
        (base64.b64encode(bytes(4 * 4097)).decode(), "vector: must be the bytes of 1 to 4096 float32 numbers"),
        (base64.b64encode(np.array([np.nan], "<f4").tobytes()).decode(), "vector: holds a number that is not finite"),
        (base64.b64encode(np.array([0.0, -0.0], "<f4").tobytes()).decode(), "vector: has length zero"),
    ],
)
def test_bytes_that_are_no_vector_are_rejected(log: Log, vector: str, message: str) -> None:
    engine = opened()
    (event,) = engine.process([log.upsert("a", "text", vector=vector)])
    assert data_of(event)["field"] == "vector"
    assert data_of(event)["message"].startswith(message)
    engine.close()


def test_bytes_go_into_json_as_base64() -> None:
    given = np.arange(1, 4, dtype="<f4").tobytes()
    item = Item(id="a", text="b", vector=given)
    assert json.loads(item.model_dump_json())["vector"] == base64.b64encode(given).decode()
    assert Item.model_validate_json(item.model_dump_json()) == item
