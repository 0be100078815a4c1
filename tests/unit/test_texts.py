"""What people are shown of an item is what is compared, in every list and before a file is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from celery_recommender.cli.input.mapping_options import understood
from celery_recommender.texts import compared_parts, compared_text, highlights_of
from celery_recommender.web.jobs.enriching import draft_of
from celery_recommender.web.shown.rendering import ROOM
from recommender_engine import Recommender
from tests.support.engine import Log, opened

SAID = "Pump blue leaks"
SENT = f"<div style='color:#888'><p>{SAID}</p><blockquote>pump pump</blockquote></div>"


@pytest.fixture
def engine(log: Log) -> Iterator[Recommender]:
    with closing(opened()) as engine:
        engine.process([log.upsert("mail", SENT), log.upsert("plain", "Pump blue leaks again")])
        yield engine


def answers(engine: Recommender) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """What each question answers of the two, as a Celery task answers it."""
    page, group = engine.list_items(), engine.group("default", "mail")
    assert page is not None
    assert group is not None
    yield "list", [item.model_dump() for item in page.items]
    yield "group", [item.model_dump() for item in group.members]
    yield "search", [hit.model_dump() for hit in engine.search("pump", "default", 5)]
    yield "recommend", [hit.model_dump() for hit in engine.recommend("plain", "default", 5) or ()]
    listed = engine.recommendations({"text": "pump"})
    yield "recommendations", [item.model_dump() for item in listed or ()]


def test_every_list_says_what_is_compared(engine: Recommender) -> None:
    for question, found in answers(engine):
        views = {item["id"]: item for item in found}
        assert views["mail"]["text"] == SENT, question
        assert SAID in compared_text(views["mail"]), question
        assert "<" not in compared_text(views["mail"]), question
        if "plain" in views:
            assert views["plain"]["compared"] is None, question


def test_words_of_a_question_are_marked_in_what_is_compared(engine: Recommender) -> None:
    for hit in (one.model_dump() for one in engine.search("blue pump", "default", 5)):
        text, marks = compared_text(hit), highlights_of(hit)
        assert [text[mark["start"] : mark["end"]] for mark in marks][:2] == ["Pump", "blue"]


def test_rows_are_shown_as_they_would_be_compared() -> None:
    assert compared_parts({"id": "1", "text": SENT})[0].startswith(SAID)
    assert (
        compared_parts({"id": "1", "fields": {"subject": "<b>Pump</b> &amp; hose", "body": SENT}})[0] == "Pump & hose"
    )
    assert "<" not in understood({"id": "1", "text": SENT})
    refused = {"id": "", "fields": {"body": SENT}}
    assert compared_parts(refused) == [SENT], "a row that is refused is shown as it is"


def test_the_preview_of_a_file_shows_what_would_be_compared() -> None:
    draft = draft_of(f'id,body\n1,"{SENT}"\n'.encode(), "mails.csv", {}, "mails")
    assert draft.examples[0]["texts"][0].startswith(SAID)


def test_no_page_shows_an_item_as_it_was_sent_but_where_it_says_so() -> None:
    shown = {
        path.name: re.findall(r"\{\{ *(\w+)\.text\b", path.read_text()) for path in (ROOM / "templates").glob("*.html")
    }
    raw = {name: found for name, found in shown.items() if set(found) - {"piece", "reason"}}
    assert raw == {"item.html": ["view"], "done_replay.html": ["one"]}, "a replay keeps what is compared"


@pytest.mark.parametrize(
    ("text", "fields", "compared", "shown"),
    [
        ("<p>a</p>", None, "a", "a"),
        ("a", None, None, "a"),
        (None, {"subject": "a", "note": "", "body": "b"}, None, "a\nb"),
        (None, {"subject": "Re: a", "body": "<p>b</p>"}, "a\nb", "a\nb"),
    ],
)
def test_an_item_of_any_answer_is_shown_as_it_is_compared(
    text: str | None, fields: dict[str, str] | None, compared: str | None, shown: str
) -> None:
    assert compared_text({"text": text, "fields": fields, "compared": compared}) == shown
