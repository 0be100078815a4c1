"""What is in review and which true repeats it holds, by the real engine with the settings of a new collection."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from recommender_engine.embedding import KNOWN_MODELS, ModelCatalogue
from recommender_engine.items import Band, CollectionSettings, ItemProcessed
from tests.quality.test_streams import DATA
from tools.arrivals import Arrivals, questions, tracker
from tools.mail_export import Export, mail_export
from tools.played import Player
from tools.trials import mails

pytestmark = [pytest.mark.quality, pytest.mark.model, pytest.mark.timeout(900)]

BUDGET = CollectionSettings().review_budget or 1.0
QUEUE = 20


@cache
def models() -> ModelCatalogue:
    return ModelCatalogue(KNOWN_MODELS)


def played(stream: Arrivals) -> list[ItemProcessed]:
    with Player(models(), None, CollectionSettings().target_precision) as player:
        return player.arrive(stream.items)


@cache
def export() -> tuple[Export, list[ItemProcessed]]:
    found = mail_export()
    return found, played(found.stream)


def right(stream: Arrivals) -> Callable[[ItemProcessed], bool]:
    """Tells whether an item is matched with one that is the same thing."""
    number = {item.id: place for place, item in enumerate(stream.items)}
    return lambda one: one.matched_id is not None and bool(stream.same(number[one.item_id], number[one.matched_id]))


def in_band(said: list[ItemProcessed], band: Band) -> list[ItemProcessed]:
    return [one for one in said if one.band is band]


def labelled(read: Callable[[Path], Arrivals]) -> Arrivals:
    if not DATA.is_dir():
        pytest.skip(f"needs {DATA}: set RECOMMENDER_TEST_DATA to the folder of the labelled data")
    return read(DATA)


def test_of_an_export_of_mails_few_are_in_review_and_hardly_any_repeat_is_lost() -> None:
    found, said = export()
    same = right(found.stream)
    told = {one.item_id for one in said if one.band in {Band.REVIEW, Band.DUPLICATE} and same(one)}
    lost = sorted(set(found.halves) - told)
    assert len(found.halves) == 40
    assert len(in_band(said, Band.REVIEW)) <= 40
    assert len(lost) <= 3, lost
    assert sum(found.halves[one] == "kept" for one in lost) <= 1
    assert all(same(one) for one in in_band(said, Band.DUPLICATE))


def test_the_first_in_its_queue_are_repeats() -> None:
    found, said = export()
    queue = sorted(in_band(said, Band.REVIEW), key=lambda one: -one.probability)[:QUEUE]
    assert sum(map(right(found.stream), queue)) >= 17


@pytest.mark.parametrize("form", ["web", "office"])
def test_mails_in_which_other_tickets_are_nearly_alike(form: str) -> None:
    stream = labelled(lambda data: mails(data, form))
    said = played(stream)
    same, review = right(stream), in_band(said, Band.REVIEW)
    assert len(review) <= BUDGET * len(said)
    assert sum(same(one) for one in said if one.band in {Band.REVIEW, Band.DUPLICATE}) >= 31


def test_of_bank_questions_no_more_are_in_review_than_the_budget_says() -> None:
    said = played(labelled(questions).only(range(1500)))
    assert 0.1 * len(said) <= len(in_band(said, Band.REVIEW)) <= BUDGET * len(said)


@pytest.mark.slow
def test_of_a_tracker_with_few_repeats_review_holds_two_in_three_of_those_it_held() -> None:
    stream = labelled(tracker)
    said = played(stream)
    same, review = right(stream), in_band(said, Band.REVIEW)
    assert len(review) <= BUDGET * len(said)
    assert sum(map(same, review)) >= 19  # of 32 without a budget
