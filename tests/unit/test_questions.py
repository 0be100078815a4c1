"""Questions that are refused before anybody is asked."""

from __future__ import annotations

from typing import Any

import pytest

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
