"""A replay of what a collection has seen: the same settings give the same verdicts, others give others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from celery_recommender.celery.tasks.questions import Answers, Export
from celery_recommender.cli.asking import ask_here
from celery_recommender.cli.input.policies import checked
from celery_recommender.cli.input.stored import gathered, pages
from celery_recommender.cli.verdicts.tune import differing, summary
from celery_recommender.replaying import Seen, replay
from recommender_engine import Entry, Recommender, open_recommender
from recommender_engine.items import ItemProcessed, ItemRevised
from tests.support.engine import Log, Models

TEXTS = [
    "the export button gives an empty file",
    "the export  button gives an EMPTY file",
    "the printer in room twelve is on fire",
    "the printer in room twelve is on fire again today",
    "my password is not accepted since the update",
    "my password is not accepted since the last update",
]


@pytest.fixture
def engine() -> Iterator[Recommender]:
    with contextlib.closing(open_recommender(None, Models())) as engine:
        yield engine


def asking(engine: Recommender) -> Callable[..., Any]:
    """The way in which the command line asks when no owner is at work."""
    return lambda task, *args, **kwargs: ask_here(engine, task, args, kwargs)


def seen_by(engine: Recommender, last: int = 1000) -> Seen:
    return gathered(asking(engine), "default", last, lambda count, total: None)


def fill(engine: Recommender, copies: int = 1) -> dict[str, Any]:
    """Items by two requesters and an answer; what was said last of each item."""
    log = Log()
    entries: list[Entry] = [
        log.upsert(f"{copy}-{place}", f"{text} {'really ' * copy}", attributes={"requester": place % 2})
        for copy in range(copies)
        for place, text in enumerate(TEXTS)
    ]
    entries.append(log.add("feedback.given", id="0-2", other="0-4", answer="same", by="jo"))
    entries.append(log.upsert("late", "the printer in room twelve is on fire", attributes={"requester": 0}))
    return last_said(engine, entries)


def last_said(engine: Recommender, entries: Sequence[Entry]) -> dict[str, Any]:
    events = [event.data for event in engine.process(entries)]
    return {data.item_id: data for data in events if isinstance(data, ItemProcessed | ItemRevised)}


def told(said: Any) -> tuple[Any, ...]:
    return said.band, said.duplicate_of, said.canonical_id, round(said.probability, 3)


def test_the_settings_of_now_give_the_verdicts_of_now(engine: Recommender) -> None:
    said = fill(engine)
    seen = seen_by(engine)
    assert len(seen.items) == len(TEXTS) + 1
    assert [one["answer"] for one in seen.answers] == ["same"]
    again = replay(seen, seen.settings, lambda count: None)
    assert {id_: told(one) for id_, one in again.said.items()} == {id_: told(one) for id_, one in said.items()}
    assert again.said["0-4"].duplicate_of == "0-2", "people's answers hold in a replay"


def test_other_settings_show_what_they_change(engine: Recommender) -> None:
    fill(engine)
    seen = seen_by(engine)
    wanted = checked("default", {"equal": ["requester"]})
    now, then = (replay(seen, settings, lambda count: None) for settings in (seen.settings, wanted))
    assert now.said["0-1"].duplicate_of == "0-0"
    assert then.said["0-1"].duplicate_of is None, "another requester"
    assert "0-1" in differing(seen, now.said, then.said)
    found = summary(seen, wanted, now, then)
    assert found["settings"] == {"equal": {"now": [], "then": ["requester"]}}
    assert found["flags_lost"] == found["bands"]["now"]["duplicate"] - found["bands"]["then"]["duplicate"] > 0
    assert found["flags_gained"] == 0
    closed = [(one["view"], one["kind"], one["missing"]) for one in found["not_measured"]["then"]]
    assert closed == [("stream", "long_prose", 35), ("alone", "long_prose", 35)]
    assert sum(found["bands"]["then"].values()) == found["items"]


def test_nothing_changes_in_the_engine_that_is_asked(engine: Recommender) -> None:
    fill(engine)
    before = engine.position, engine.last_event, engine.get("0-1")
    seen_by(engine)
    assert (engine.position, engine.last_event, engine.get("0-1")) == before


def test_pages_hold_each_item_once_and_in_order(engine: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recommender_engine.pipeline.queries.export._PAGE_ITEMS", 5)
    fill(engine, copies=3)
    ids = [[item["id"] for item in page["items"]] for page in pages(asking(engine), "default")]
    assert [len(page) for page in ids] == [5, 5, 5, 4]
    everything = [id_ for page in ids for id_ in page]
    assert len(set(everything)) == 19
    assert everything[-1] == "late"
    newest = list(pages(asking(engine), "default", last=7))
    assert [item["id"] for page in newest for item in page["items"]] == everything[-7:]
    assert {page["total"] for page in newest} == {7}


def test_a_page_is_bounded_in_characters(engine: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recommender_engine.pipeline.queries.export._PAGE_CHARACTERS", 10)
    fill(engine)
    assert [len(page["items"]) for page in pages(asking(engine), "default")] == [1] * 7


def test_answers_on_items_that_are_not_replayed_are_left_out(engine: Recommender) -> None:
    fill(engine)
    assert seen_by(engine, last=2).answers == []


def test_an_answer_waits_for_items_that_came_anew(engine: Recommender) -> None:
    """The answer is older than the item as it is now: in a replay it comes behind both."""
    log = Log()
    engine.process(
        [
            log.upsert("a", TEXTS[0]),
            log.upsert("b", TEXTS[4]),
            log.add("feedback.given", id="a", other="b", answer="same"),
            log.upsert("a", TEXTS[2]),
        ]
    )
    seen = seen_by(engine)
    assert [item["id"] for item in seen.items] == ["b", "a"]
    assert replay(seen, seen.settings, lambda count: None).said["a"].duplicate_of == "b"


def test_export_of_a_collection_that_is_not_there(engine: Recommender) -> None:
    assert asking(engine)(Export, collection="none") is None
    assert asking(engine)(Answers, collection="none") == []


def test_time_passes_in_a_replay_as_it_did(engine: Recommender) -> None:
    log = Log()
    engine.process([log.upsert("a", TEXTS[0]), log.upsert("b", TEXTS[0], later_ms=5000), log.upsert("c", TEXTS[0])])
    seen = seen_by(engine)
    then = replay(seen, checked("default", {"window_seconds": 2}), lambda count: None)
    assert (then.said["b"].duplicate_of, then.said["c"].duplicate_of) == (None, "b")
