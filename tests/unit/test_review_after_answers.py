"""Answers move probabilities, not what is worth a look: ``review`` holds as much after them as before."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recommender_engine import Entry
from recommender_engine.items import Band, ItemProcessed
from recommender_engine.matching import (
    CountedTerms,
    LearnedMatcher,
    PairModel,
    default_model,
    item_terms,
    learn,
    review_rank,
)
from recommender_engine.matching.features.table import FEATURES, compare, features
from recommender_engine.matching.model.operating_points import upper_bound
from recommender_engine.matching.model.pair_model import ReviewScale
from recommender_engine.matching.model.review import WORTH
from recommender_engine.matching.pair.context import Context
from recommender_engine.matching.pair.profile import profile
from recommender_engine.matching.trees import Floats
from tests.support.engine import Log, lines, opened
from tests.unit.test_bands_by_segment import TICKET, item, judged
from tests.unit.test_promises import report

DOUBTFUL = "Since the update of this morning the portal is slow"
OTHER = "The meals in the canteen were cold on Monday"


def rows(count: int) -> Floats:
    """Pairs like the doubtful one, some a little more alike and some a little less."""
    sides = [item(text) for text in (TICKET, DOUBTFUL)]
    counted = CountedTerms(item_terms(one).whole.counts for one in sides)
    pair = compare(*(profile(one, item_terms(one), counted) for one in sides), 0.97)
    found = np.tile(np.array(features(pair, Context())), (count, 1))
    found[:, FEATURES.index("cosine")] = np.linspace(0.8, 0.99, count)
    return found


def taught(different: int, same: int = 0) -> PairModel:
    """What so many answers make of the shipped model; the most alike are those that are the same."""
    given = rows(different + same)
    return learn(default_model(), given, np.arange(len(given)) >= different)


def band(model: PairModel, one: str, other: str, **settings: float) -> Band:
    return judged(model, one, other, **settings)[0]


def test_a_pair_stays_in_review_whatever_was_answered_of_others() -> None:
    before = default_model()
    assert band(before, TICKET, DOUBTFUL) is Band.REVIEW
    after = taught(30)
    assert band(replace(after, review=None), TICKET, DOUBTFUL) is not Band.REVIEW, "it is no longer likely"
    assert band(after, TICKET, DOUBTFUL) is Band.REVIEW
    assert band(after, TICKET, OTHER) is band(before, TICKET, OTHER) is not Band.REVIEW, "nothing new is in it"


def test_answers_that_leave_no_room_for_repeats_end_it() -> None:
    enough = next(count for count in range(1, 1000) if upper_bound(0, count) < WORTH)
    assert 150 < enough < 250
    assert band(taught(enough - 1), TICKET, DOUBTFUL) is Band.REVIEW
    assert band(taught(enough), TICKET, DOUBTFUL) is not Band.REVIEW
    assert band(taught(enough, same=1), TICKET, DOUBTFUL) is Band.REVIEW, "one in two hundred may be three in a hundred"


def test_a_probability_that_is_set_is_that_of_the_collection() -> None:
    assert band(taught(30), TICKET, DOUBTFUL, review_from=0.25) is not Band.REVIEW


def test_probabilities_before_and_after_answers_are_on_one_scale() -> None:
    start, after, given = default_model(), taught(300), rows(300)
    moved = [review_rank(after, one) for one in after.probabilities(given).round(4).tolist()]
    assert after.probabilities(given).mean() < start.probabilities(given).mean() / 3
    assert np.mean(moved) == pytest.approx(start.probabilities(given).mean(), abs=0.1)
    assert sorted(moved) == moved == sorted(moved), "the order is that of the collection's model"
    assert [review_rank(start, one) for one in (0.0, 0.3, 1.0)] == [0.0, 0.3, 1.0]
    assert 0 < review_rank(after, 0.0) < review_rank(after, 1.0) < 1


def test_it_survives_json_and_one_without_it_is_read() -> None:
    after = taught(40, same=3)
    assert after.review is not None
    said = json.loads(json.dumps(after.to_json()))
    read = PairModel.checked(json.dumps(said)).review
    assert read == ReviewScale(pytest.approx(after.review.shift, abs=1e-4), holds_usual=True)
    del said["review"]
    assert PairModel.from_json(said).review is None
    with pytest.raises(ValueError, match="out of range"):
        PairModel.checked(json.dumps({**said, "review": [1e12, True]}))
    with pytest.raises(ValueError, match="no model of this version"):
        PairModel.checked(json.dumps({**said, "review": [1.0]}))


# -- in the engine -----------------------------------------------------------------------------------------------------


def half(log: Log, numbers: range) -> list[Entry]:
    """Reports of which every second one tells of the fault of the one before."""
    return [log.upsert(f"{number}-{copy}", report(number, copy)) for number in numbers for copy in range(2)]


def share(events: list[ItemProcessed]) -> float:
    return sum(one.band is Band.REVIEW for one in events) / len(events)


@pytest.mark.parametrize("budget", [0.3, None])
def test_a_person_who_answers_different_does_not_empty_the_queue(budget: float | None, tmp_path: Path) -> None:
    log = Log()
    begin = [log.configure(review_budget=budget, target_precision=0.95), *half(log, range(40))]
    with closing(opened(tmp_path, matcher=LearnedMatcher)) as engine:
        told = engine.process(begin)
        early = [event.data for event in told if isinstance(event.data, ItemProcessed)]
        queue = [one for one in early if one.band is Band.REVIEW and one.matched_id is not None]
        answers = [log.feedback(one.item_id, "different", str(one.matched_id)) for one in queue[:30]]
        told += engine.process(answers)
        later = half(log, range(40, 80))
        for entry in later[:20]:
            told += engine.process([entry])
    with closing(opened(tmp_path, matcher=LearnedMatcher)) as engine:
        told += engine.process(later[20:])
    late = [event.data for event in told[-len(later) :] if isinstance(event.data, ItemProcessed)]
    assert len(answers) > 10
    assert max(one.probability for one in late if one.band is Band.REVIEW) < 0.25, "none is likely any more"
    assert share(late) > 0.6 * share(early) > 0.1
    assert share(late) <= (budget or 1.0)
    with closing(opened(matcher=LearnedMatcher)) as engine:
        assert lines(engine.process([*begin, *answers, *later])) == lines(told)
