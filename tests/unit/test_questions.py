"""Questions that are refused before anybody is asked."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from celery_recommender.celery.tasks.port import MOST_ITEMS
from celery_recommender.celery.tasks.questions import (
    MOST_ASKED,
    Answers,
    Calibrate,
    Export,
    Get,
    Outcomes,
    QuestionTask,
    Recommend,
    Search,
)
from celery_recommender.cli.input.filters import filter_options
from recommender_engine.errors import InvalidCommand


@pytest.mark.parametrize(("task", "field"), [(Get, "item_id"), (Recommend, "item_id"), (Outcomes, "keys")])
def test_a_list_that_is_too_long_is_refused_and_not_cut(task: type[QuestionTask], field: str) -> None:
    asked: Any = task()
    with pytest.raises(InvalidCommand, match=f"{field} is a list of {MOST_ITEMS + 1}; at most {MOST_ITEMS}") as refused:
        asked.run([f"T-{n}" for n in range(MOST_ITEMS + 1)])
    assert (refused.value.code, refused.value.field) == ("too_large", field)


@pytest.mark.parametrize("limit", [0, MOST_ASKED + 1, "7"])
def test_no_more_pairs_are_proposed_than_a_person_answers(limit: Any) -> None:
    with pytest.raises(InvalidCommand, match=f"limit must be between 1 and {MOST_ASKED}"):
        Calibrate().run(limit=limit)


@pytest.mark.parametrize("collection", [["a"], 7, {"a": 1}, b"a"])
@pytest.mark.parametrize(
    ("task", "asked"), [(Answers, ()), (Calibrate, ()), (Export, ()), (Search, ("a",)), (Get, ("a",))]
)
def test_a_collection_that_is_no_text_is_refused(task: Any, asked: tuple[str, ...], collection: Any) -> None:
    with pytest.raises(InvalidCommand, match="collection must be a text") as refused:
        task().run(*asked, collection=collection)
    assert refused.value.field == "collection"


@pytest.mark.parametrize("task", [Search, Recommend])
def test_a_filter_that_is_wrong_is_refused_by_its_place(task: Any) -> None:
    with pytest.raises(InvalidCommand, match="needs a number or a date") as refused:
        task().run("T-1", filter={"price": {"$lt": "cheap"}})
    assert (refused.value.code, refused.value.field) == ("invalid_filter", "filter.price.$lt")


@pytest.mark.parametrize(
    ("arguments", "passing"),
    [
        ([], None),
        (["--where", "price<20"], {"price": {"$lt": 20}}),
        (["--where", " price >= 19.5 "], {"price": {"$gte": 19.5}}),
        (["--where", "vip!=true"], {"vip": {"$ne": True}}),
        (["--where", "code=0012"], {"code": {"$eq": "0012"}}),
        (["--where", "made>2026-03-01"], {"made": {"$gt": "2026-03-01"}}),
        (["--where", "a=b=c", "--where", "d=1"], {"$and": [{"a": {"$eq": "b=c"}}, {"d": {"$eq": 1}}]}),
        (["--filter", '{"a": [1]}'], "filter.a: a list needs an operator"),
        (["--filter", '{"a": 1, "a": 2}'], "Invalid value for --filter: not JSON"),
        (["--filter", "[1]"], "filter: must be an object"),
        (["--where", "price"], "'price' is not like price<20 or category=mugs"),
        (["--where", "price="], "'price=' is not like price<20 or category=mugs"),
        (["--where", "price<cheap"], "filter.price.$lt: needs a number or a date"),
        (["--filter", '{"a": 1}', "--where", "b<2"], {"$and": [{"b": {"$lt": 2}}, {"a": 1}]}),
    ],
)
def test_a_filter_is_typed_as_json_or_as_conditions(arguments: list[str], passing: Any) -> None:
    given: list[Any] = []

    @click.command()
    @filter_options
    def command(*, passing: Any) -> None:
        given.append(passing)

    result = CliRunner().invoke(command, arguments)
    if isinstance(passing, str):
        assert result.exit_code == 2
        assert passing in result.output
    else:
        assert given == [passing], result.output
