"""Novelty: how unlike anything before an item is, against recent arrivals of its collection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender_engine import Entry, Event, Recommender
from recommender_engine.items import ItemProcessed
from recommender_engine.items.limits import NOVELTY_SAMPLE
from recommender_engine.pipeline.candidates.novelty import LEAST, NEIGHBOURS, slot_of
from tests.support.engine import Log, lines, opened
from tests.support.partitions import Pair

DIMENSION = 64


def directions(count: int, seed: int = 1, around: int = 8, spread: float = 0.5) -> NDArray[np.float64]:
    """Unit vectors around some centres, shape (count, DIMENSION)."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(around, DIMENSION))
    found = centres[random.integers(0, around, count)] + spread * random.normal(size=(count, DIMENSION))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def upserts(log: Log, vectors: NDArray[np.float64], prefix: str = "i", **fields: object) -> list[Entry]:
    return [
        log.upsert(f"{prefix}{n}", f"text {prefix}{n}", vector=vector.tolist(), **fields)
        for n, vector in enumerate(vectors)
    ]


def stated(events: Sequence[Event]) -> list[float | None]:
    return [event.data.novelty for event in events if isinstance(event.data, ItemProcessed)]


def expected(vectors: NDArray[np.float64]) -> list[float | None]:
    """By its definition, from all vectors."""
    cosines = (vectors.astype(np.float32) @ vectors.T.astype(np.float32)).astype(np.float64).round(6)
    slots: dict[int, float] = {}
    found: list[float | None] = []
    for n in range(len(vectors)):
        nearest = np.sort(cosines[n, :n])[::-1][:NEIGHBOURS]
        if len(nearest) < NEIGHBOURS:
            found.append(None)
            continue
        distance = round(1.0 - float(nearest.sum()) / NEIGHBOURS, 6)
        found.append(sum(one < distance for one in slots.values()) / len(slots) if len(slots) >= LEAST else None)
        slots[slot_of(n + 1)] = distance
    return found


def test_it_is_the_share_of_recent_arrivals_that_were_closer_to_their_five_nearest(
    engine: Recommender, log: Log
) -> None:
    vectors = directions(1200)
    engine.process([log.configure(rule="cosine", recommendations=0)])
    found, wanted = stated(engine.process(upserts(log, vectors))), expected(vectors)
    known = [one for one in found if one is not None]
    first = found.index(known[0])
    assert LEAST + NEIGHBOURS <= first < LEAST + NEIGHBOURS + 30  # some hashes are the same
    assert found[:first] == wanted[:first]
    assert known == pytest.approx(wanted[first:], abs=0.005)  # the last decimal of a cosine may differ
    assert min(known) < 0.05
    assert max(known) > 0.95


def test_what_is_like_nothing_before_is_new_and_stops_being_so(engine: Recommender, log: Log) -> None:
    engine.process(upserts(log, directions(600)))
    strange = np.zeros((8, DIMENSION))
    strange[:, 0] = 1.0
    strange[:, 1] = -1.0 + 0.05 * np.arange(8)
    strange /= np.linalg.norm(strange, axis=1, keepdims=True)
    found = [one for one in stated(engine.process(upserts(log, strange, "strange"))) if one is not None]
    assert found[0] > 0.95
    assert found[-1] < 0.1


def test_a_repeat_is_no_news(engine: Recommender, log: Log) -> None:
    vectors = directions(300)
    engine.process(upserts(log, vectors))
    again = np.repeat(vectors[:1], 6, axis=0)
    assert stated(engine.process(upserts(log, again, "again")))[-1] == 0.0


def test_a_text_that_is_sent_again_did_not_arrive(engine: Recommender, log: Log) -> None:
    vectors = directions(200)
    engine.process(upserts(log, vectors))
    assert stated(engine.process(upserts(log, vectors))) == [None] * 200


def test_the_sample_holds_the_last_arrivals() -> None:
    slots = [slot_of(seq) for seq in range(1, 5 * NOVELTY_SAMPLE)]
    assert set(slots) == set(range(NOVELTY_SAMPLE))
    latest = {slot: seq for seq, slot in enumerate(slots)}
    assert np.mean([len(slots) - seq for seq in latest.values()]) < NOVELTY_SAMPLE


@pytest.mark.parametrize("size", [1, 7, 500])
def test_batches_restarts_and_rollbacks_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    log = Log()
    entries = [log.configure(index="exact", rule="cosine"), *upserts(log, directions(160))]
    expected_lines = lines(opened().process(entries))
    found = []
    engine = opened(tmp_path)
    for number, start in enumerate(range(0, len(entries), size)):
        part = entries[start : start + size]
        if number % 5 == 1:
            with monkeypatch.context() as broken:
                broken.setattr(engine, "_before_commit", _fail)
                with pytest.raises(OSError, match="the lease is lost"):
                    engine.process(part)
        found += lines(engine.process(part))
        if number % 9 == 3:
            engine.close()
            engine = opened(tmp_path)
    engine.close()
    assert found == expected_lines


def _fail() -> None:
    raise OSError("the lease is lost")


def test_it_moves_with_its_collection() -> None:
    pair, alone = Pair(), opened()
    vectors = directions(300)
    log, other = pair["a"], Log()
    pair["b"].add("item.upsert", {"id": "o", "collection": "other", "text": "so that numbers differ"})
    for entry in upserts(other, vectors, collection="c"):
        alone.process([entry])
        log.add("item.upsert", entry.command.model_dump(mode="json", include={"id", "collection", "text", "vector"}))
    pair.settle()
    for _ in pair.move("a", "b", "m1"):
        pass
    pair.settle()
    strange = np.eye(DIMENSION)[0].tolist()
    (wanted,) = stated(alone.process([other.upsert("x", "strange", vector=strange, collection="c")]))
    pair["b"].add("item.upsert", {"id": "x", "collection": "c", "text": "strange", "vector": strange})
    pair.settle()
    assert stated(pair["b"].events)[-1] == wanted is not None
    pair.close()
