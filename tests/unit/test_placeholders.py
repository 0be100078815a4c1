"""Placeholders say nothing: they are nobody's twin, whatever stands beside them."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from recommender_engine import Event, Recommender
from recommender_engine.items import Item, ItemProcessed
from recommender_engine.items.placeholders import is_placeholder, says_nothing
from tests.support.engine import Log, at, data_of
from tests.support.ratios import times_as_long

SHOP = "the card payment was declined at the shop"


def originals(events: Iterable[Event]) -> list[str | None]:
    """Of each item that was processed, what it repeats."""
    return [event.data.duplicate_of for event in events if isinstance(event.data, ItemProcessed)]


PLACEHOLDERS = (
    "N/A|n.a.|N / A|#N/A|NULL|<null>|nan|NaT|None|-|\N{EN DASH}|\N{EM DASH}|...|\N{HORIZONTAL ELLIPSIS}|?|???|\\N"
    "|unknown|(Unknown)|TBD|t.b.d|see attachment|Please see attached.|#REF!|#DIV/0!| n/a |\N{NO-BREAK SPACE}n/a"
    "|k.A.|k. A.|Keine Angabe|unbekannt|nicht verfügbar|siehe Anhang|#NV|entfällt|Non renseigné|néant|voir pièce jointe"
    "|n/d|s/d|sin datos|ver adjunto|vacío|sconosciuto|vedi allegato|n.v.t.|zie bijlage|não disponível|ver anexo"
    "|brak danych|nie dotyczy|zob. załącznik|N/A\n-\nunknown"
)


@pytest.mark.parametrize("text", PLACEHOLDERS.split("|"))
def test_placeholders_in_eight_languages(text: str) -> None:
    assert says_nothing(text)
    assert says_nothing(text.upper())


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "test",
        "42",
        "0",
        "N",
        "A/N",
        "👍",
        "€",
        "unknown error",
        "printer unknown",
        "N/A\nPrinter",
        "見る",
        "nand",
    ],
)
def test_what_says_something(text: str) -> None:
    assert not says_nothing(text)


def test_long_texts_cost_little() -> None:
    assert says_nothing("-" * 98_000)
    assert not says_nothing("n/a " * 24_000)
    whole, half = (("-" * 98_000, "n/a " * 24_000), ("-" * 49_000, "n/a " * 12_000))
    assert times_as_long(lambda: list(map(says_nothing, whole)), lambda: list(map(says_nothing, half)), 3) <= 3


@pytest.mark.parametrize("text", ["N/A", "-", "Unbekannt", "see attachment"])
def test_placeholders_are_nobodys_twin(engine: Recommender, log: Log, text: str) -> None:
    events = engine.process([log.upsert(id_, text) for id_ in "abc"])
    told = [data_of(event) for event in events]
    assert [(one["band"], one["duplicate_of"], one["matched_id"]) for one in told] == [("new", None, None)] * 3
    assert len({one["group"] for one in told}) == 3
    assert [[reason["code"] for reason in one["reasons"]] for one in told] == [["says_nothing"]] * 3
    view = engine.get("b")
    assert view is not None
    assert (view.band, view.explanation) == ("new", "the text is a placeholder and says nothing")


def test_fields_that_all_say_nothing(engine: Recommender, log: Log) -> None:
    blank = {"title": "N/A", "description": "-"}
    events = engine.process([log.add("item.upsert", id=id_, fields=blank) for id_ in "ab"])
    assert [data_of(event)["band"] for event in events] == ["new", "new"]
    named = {**blank, "title": SHOP}
    events = engine.process([log.add("item.upsert", id=id_, fields=named) for id_ in "cd"])
    assert originals(events) == [None, "c"]


def test_a_placeholder_is_no_candidate_of_what_says_something(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", "N/A", vector=at(0))])
    (event,) = engine.process([log.upsert("b", SHOP, vector=at(1))])
    assert data_of(event)["matched_id"] is None


def test_vectors_that_decide_alone_need_no_text(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(rule="cosine", duplicate_cosine=0.97)])
    events = engine.process([log.upsert("a", "-", vector=at(0)), log.upsert("b", "-", vector=at(1))])
    assert originals(events) == [None, "a"]
    events = engine.process([log.upsert("c", "N/A"), log.upsert("d", "N/A")])
    assert originals(events) == [None, None]


def test_people_can_say_that_two_placeholders_are_the_same(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", "N/A"), log.upsert("b", "N/A"), log.feedback("b", "same", "a")])
    view = engine.get("b")
    assert view is not None
    assert view.duplicate_of == "a"


def test_compared_with_each_other(engine: Recommender) -> None:
    verdict = engine.compare(Item(id="a", text="N/A"), Item(id="b", text="N/A"))
    assert (verdict.band, verdict.probability) == ("new", 0.0)
    assert [reason.code for reason in verdict.reasons] == ["says_nothing"]


def test_a_look_at_the_head_tells_what_a_look_at_every_line_does() -> None:
    chance, told = random.Random(0), set()
    for _ in range(3000):
        text = "".join(
            chance.choices(["n/a", "-", " " * 31, "\n", "x1", "é"], [4, 2, 2, 2, 1, 1], k=chance.randint(1, 9))
        )
        told.add((len(text) > 33, says_nothing(text)))
        assert says_nothing(text) == all(map(is_placeholder, text.split("\n"))), text
    assert len(told) == 4
