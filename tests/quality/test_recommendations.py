"""The baselines of ``recommender evaluate recommendations`` on the catalogue of gifts, as they were measured apart."""

from __future__ import annotations

import datetime as dt
from functools import cache

import numpy as np
import pytest

from recommender_engine.evaluation.recommendations import (
    Catalogue,
    History,
    Interaction,
    Truth,
    baselines,
    judge_items,
    judge_users,
    truth_of,
)
from recommender_engine.items import Item
from tests.quality.test_streams import DATA
from tools.recommendation_sets import retail

pytestmark = [pytest.mark.quality, pytest.mark.timeout(600)]


@cache
def recorded() -> tuple[History, Truth, Catalogue]:
    if not (DATA / "rec_online_retail").is_dir():
        pytest.skip(f"needs {DATA}: set RECOMMENDER_TEST_DATA to the folder of the labelled data")
    rows, interactions = retail(DATA)
    items = [Item(id=id_, text=text) for id_, text in rows]
    split, until = (round(dt.datetime(2011, month, 1, tzinfo=dt.UTC).timestamp() * 1000) for month in (7, 9))
    given = (
        Interaction(one.item, round(one.at.timestamp() * 1000), one.user or None, one.session) for one in interactions
    )
    history = History([item.id for item in items], given, split, until)
    return history, truth_of(history), Catalogue(items, np.ones((len(items), 1), np.float32))


def test_queries() -> None:
    _, truth, _ = recorded()
    assert len(truth.partners) == 1104
    assert sum(not truth.warm[item] for item in truth.partners) == 19
    assert len(truth.baskets) == 2232


@pytest.mark.parametrize(
    ("name", "recall", "gain"),
    [
        ("popularity", 0.052, 0.055),
        ("tfidf", 0.217, 0.263),
        ("co_occurrence", 0.303, 0.375),
        ("recent_co_occurrence", 0.321, 0.391),
    ],
)
def test_items(name: str, recall: float, gain: float) -> None:
    history, truth, things = recorded()
    found = judge_items(baselines(truth.candidates, things)[name], history, truth, things)
    assert (found.recall_at_10, found.ndcg_at_10) == (pytest.approx(recall, abs=6e-4), pytest.approx(gain, abs=6e-4))


@pytest.mark.parametrize(("name", "everything", "new"), [("popularity", 0.118, 0.064), ("own_frequency", 0.317, 0.064)])
def test_users(name: str, everything: float, new: float) -> None:
    history, truth, things = recorded()
    found = judge_users(baselines(truth.candidates, things)[name], history, truth, things)
    assert found.all.recall_at_10 == pytest.approx(everything, abs=6e-4)
    assert found.new.recall_at_10 == pytest.approx(new, abs=6e-4)
