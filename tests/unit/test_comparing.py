"""``compare``: what a worker would say of a pair, and which view of it that is."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from recommender_engine import Item, ItemKey, open_recommender
from recommender_engine.embedding import KNOWN_MODELS, Encoders, ModelCatalogue
from recommender_engine.errors import InvalidCommand
from recommender_engine.evaluation import RecordedEncoders
from recommender_engine.items import DEFAULT_MODEL, ItemProcessed
from recommender_engine.matching import LearnedMatcher
from tests.support.engine import Log, Models, at, lines, opened

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "workers" / "celery_recommender" / "samples"
STREAM = "in the stream"
# Of the pairs beyond doubt, so many.
PAIRS = 60


def samples() -> list[Item]:
    found = []
    for table in ("tickets", "products"):
        with (SAMPLES / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                fields = {"title": row["title"], "description": row["description"]}
                found.append(Item(id=row["id"], collection=table, fields=fields))
    return found


def sure_pairs() -> list[Item]:
    lines = (ROOT / "tests" / "quality" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = [json.loads(line) for line in lines[:: len(lines) // PAIRS]]
    return [Item(id=f"{one['id']}-{side}", collection="tickets", text=one[side]) for one in pairs for side in "ab"]


def arrivals(log: Log, items: Sequence[Item]) -> list[Any]:
    return [log.add("item.upsert", one.model_dump(mode="json", exclude_none=True)) for one in items]


def verdict(said: Any) -> tuple[str, float, float]:
    return str(said.band), said.probability, said.similarity


@pytest.mark.parametrize("model", ["words", pytest.param("real", marks=pytest.mark.model)])
def test_compare_before_an_arrival_gives_the_verdict_of_the_arrival(model: str, tmp_path: Path) -> None:
    encoders: Encoders = Models()
    items = samples()[::2] + sure_pairs()
    if model == "real":
        encoders = RecordedEncoders(ModelCatalogue(KNOWN_MODELS), DEFAULT_MODEL, tmp_path / "vectors.npz")
        items = items[::3]
    entries = arrivals(Log(), items)
    engine = open_recommender(None, encoders)
    events = engine.process(entries)
    told = {said.item_id: said for event in events if isinstance(said := event.data, ItemProcessed)}
    again = open_recommender(None, encoders)
    differing, asked, repeated = [], 0, []
    for entry, item in zip(entries, items, strict=True):
        said = told[item.id]
        if said.matched_id is not None:
            asked += 1
            found = again.compare(item, ItemKey(id=said.matched_id), collection=item.collection)
            assert found.view == STREAM
            if verdict(found) != verdict(said):
                differing.append((item.id, verdict(found), verdict(said)))
        repeated += again.process([entry])
    assert differing == []
    assert lines(repeated) == lines(events)  # nothing that was asked has changed anything
    assert asked > 0.8 * len(items)
    engine.close()
    again.close()


@pytest.mark.parametrize("settings", [{"review_budget": None}, {"review_budget": None, "min_length": 5}])
def test_two_texts_that_are_not_stored_are_judged_as_if_the_other_had_just_arrived(settings: dict[str, Any]) -> None:
    log, engine = Log(), open_recommender(None, Models())
    engine.process([log.configure("tickets", **settings), *arrivals(log, samples()[:60])])
    told = 0
    for one, other in zip(*[iter(sure_pairs()[:60])] * 2, strict=True):
        before = engine.compare(other, one, collection="tickets")
        assert before == engine.compare(other, one, collection="tickets")
        said = [event.data for event in engine.process(arrivals(log, [one, other]))]
        last = [data for data in said if isinstance(data, ItemProcessed)][-1]
        if (
            last.matched_id == one.id
        ):  # who else shares rare words may be another one then, which moves the fourth digit
            told += 1
            assert before.band == last.band
            assert before.probability == pytest.approx(last.probability, abs=0.002)
        engine.process([log.delete(side.id, collection="tickets") for side in (one, other)])
    assert told > 20
    engine.close()


def placed(log: Log, id_: str, degrees: float, **fields: Any) -> Any:
    return log.upsert(id_, f"words of {id_}", vector=at(degrees), **fields)


def item(id_: str, degrees: float, text: str = "", **fields: Any) -> Item:
    return Item(id=id_, text=text or f"words of {id_}", vector=at(degrees), **fields)


def test_without_a_collection_two_items_are_judged_alone_and_so_they_are_in_one_that_is_not_there(log: Log) -> None:
    engine = opened()
    assert engine.compare(item("a", 0), item("b", 10)).view == "alone"
    assert engine.compare(item("a", 0), item("b", 10), collection="nowhere").view == "alone"
    engine.process([placed(log, "c", 90)])
    assert engine.compare(item("a", 0), item("b", 10)).view == "alone"
    assert engine.compare(item("a", 0), item("b", 10), collection="default").view == STREAM


def test_a_crowd_around_the_other_counts_in_the_stream_and_not_alone(log: Log) -> None:
    engine = opened(matcher=LearnedMatcher)
    engine.process([placed(log, f"x{n}", 20 + n) for n in range(8)])
    pair = item("a", 0, "the printer jams"), item("b", 25, "the printer jams again")
    alone, there = engine.compare(*pair), engine.compare(*pair, collection="default")
    assert (alone.view, there.view) == ("alone", STREAM)
    assert there.similarity == alone.similarity
    assert there.probability != alone.probability
    assert {reason.code for reason in there.reasons} - {reason.code for reason in alone.reasons} == {"common_topic"}


def test_of_two_stored_items_it_is_what_was_said_of_the_later_one(log: Log) -> None:
    engine = opened()
    engine.process([placed(log, "a", 0), placed(log, "b", 37)])
    engine.process([placed(log, f"x{n}", 30 + n) for n in range(20)])
    said = engine.get("b")
    assert said is not None
    one, other = ItemKey(id="a"), ItemKey(id="b")
    for pair in ((one, other), (other, one), (item("b", 37), item("a", 0))):
        found = engine.compare(*pair, collection="default")
        assert (found.band, found.probability, found.reasons) == (said.band, said.probability, said.reasons)


def test_a_stored_item_with_a_verdict_on_another_pair_is_judged_among_earlier_items(log: Log) -> None:
    engine = opened(matcher=LearnedMatcher)
    before = [placed(log, "a", 0), placed(log, "b", 10), placed(log, "c", 12)]
    engine.process(before)
    first = engine.compare(ItemKey(id="c"), ItemKey(id="a"), collection="default")
    engine.process([placed(log, f"x{n}", 12 + n / 10) for n in range(1, 6)])
    assert engine.compare(ItemKey(id="c"), ItemKey(id="a"), collection="default").similarity == first.similarity
    alone = engine.compare(item("c", 12), item("a", 0))
    assert first.probability != alone.probability


def test_an_item_that_would_arrive_with_another_text_does_not_count_as_it_was(log: Log) -> None:
    engine = opened(matcher=LearnedMatcher)
    engine.process([placed(log, "a", 0), placed(log, "b", 40)])
    fresh = opened(matcher=LearnedMatcher)
    fresh.process([placed(Log(), "b", 40)])
    changed = item("a", 5, "words of a, changed"), ItemKey(id="b")
    found, expected = (one.compare(*changed, collection="default") for one in (engine, fresh))
    assert found.similarity == expected.similarity
    assert "cosine_similarity" in {reason.code for reason in found.reasons}


def test_the_group_of_the_other_is_asked(log: Log) -> None:
    engine = opened()
    engine.process([placed(log, "a", 0), placed(log, "b", 29), log.feedback("b", "same", "a")])
    found = engine.compare(item("n", 58), ItemKey(id="b"), collection="default")
    (event, *_) = engine.process([placed(log, "n", 58)])
    assert isinstance(event.data, ItemProcessed)
    assert (found.band, found.explanation) == (event.data.band, event.data.explanation)
    assert found.reasons[0].code == "group_disagrees"


def test_what_people_said_and_what_the_settings_keep_apart_counts(log: Log) -> None:
    engine = opened()
    engine.process([placed(log, "a", 0), placed(log, "b", 1), log.feedback("b", "different", "a")])
    found = engine.compare(item("b", 2, "another text"), ItemKey(id="a"), collection="default")
    assert (found.band, found.probability) == ("similar", 0.0)
    engine.process([log.configure(equal=["who"]), placed(log, "c", 50, attributes={"who": "jo"})])
    mine = item("n", 50, attributes={"who": "al"})
    apart = engine.compare(mine, ItemKey(id="c"), collection="default")
    assert ([reason.code for reason in apart.reasons], apart.band) == (["not_compared"], "new")
    assert engine.compare(mine, ItemKey(id="c"), collection="default").view == STREAM


def test_what_cannot_be_compared_is_refused(log: Log) -> None:
    engine = opened()
    engine.process([placed(log, "a", 0)])
    with pytest.raises(InvalidCommand, match="there is no item 'z' in 'default'"):
        engine.compare(ItemKey(id="a"), ItemKey(id="z"), collection="default")
    with pytest.raises(InvalidCommand, match="there is no item 'a' in 'nowhere'"):
        engine.compare(ItemKey(id="a"), item("z", 3), collection="nowhere")
    with pytest.raises(InvalidCommand, match="the two are one item"):
        engine.compare(ItemKey(id="a"), item("a", 0), collection="default")
    with pytest.raises(InvalidCommand, match="compared in their collection"):
        engine.compare(ItemKey(id="a"), item("z", 3))


def test_an_item_that_is_gone_is_not_compared(log: Log) -> None:
    engine = opened()
    engine.process([log.configure(ttl_seconds=1), placed(log, "a", 0)])
    engine.process([log.tick(later_ms=5000), placed(log, "b", 90)])
    with pytest.raises(InvalidCommand, match="there is no item 'a'"):
        engine.compare(item("n", 0), ItemKey(id="a"), collection="default")


@pytest.mark.parametrize("rule", ["cosine", "learned"])
def test_by_any_rule_it_is_the_verdict_of_the_item(log: Log, rule: str) -> None:
    engine = open_recommender(None, Models())
    engine.process([log.configure(rule=rule), placed(log, "a", 0), placed(log, "b", 60)])
    for id_, degrees, other in (("n", 3.0, "a"), ("m", 40.0, "b")):
        found = engine.compare(item(id_, degrees), ItemKey(id=other), collection="default")
        (event, *_) = engine.process([placed(log, id_, degrees)])
        assert isinstance(event.data, ItemProcessed)
        assert event.data.matched_id == other
        assert (found.band, found.probability) == (event.data.band, event.data.probability)
