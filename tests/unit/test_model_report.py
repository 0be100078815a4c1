"""What `recommender model report` says: verdicts and neighbours by either model, and pairs that people answered."""

from __future__ import annotations

from typing import Any

import click
import pytest

from celery_recommender.celery.tasks.questions import Answers, Export, Stats
from celery_recommender.cli.verdicts.model_report import both_sides, neighbours_kept, replays, told
from celery_recommender.cli.verdicts.trained_models import missing
from recommender_engine import Recommender
from recommender_engine.items import DEFAULT_MODEL
from recommender_engine.matching import LearnedMatcher
from recommender_engine.testing import DeterministicEncoder
from recommender_engine.training.examples import item_digest
from recommender_engine.training.manifest import Manifest
from tests.support.engine import Log, opened

LIVE, BLIND = DeterministicEncoder(64), DeterministicEncoder(64, max_tokens=2)
SAME = ("the card was declined at the shop", "at the shop the card was declined today")
OTHER = ("the card was eaten by the machine", "the parcel is late by a week")


@pytest.fixture(scope="module")
def stored() -> Recommender:
    """A collection whose second model reads two words of a text."""
    log, one = Log(), opened(None, LIVE, matcher=LearnedMatcher, blind=BLIND)
    texts = {f"s{n}": text for n, text in enumerate((*SAME, *OTHER))}
    texts |= {f"f{n}": f"order {n} has not arrived at {place}" for n, place in enumerate(("home", "work", "sea") * 5)}
    one.process([log.upsert(id_, text) for id_, text in texts.items()])
    one.process([log.feedback("s1", "same", "s0"), log.feedback("s2", "different", "s0")])
    one.process([log.add("model.proposed", collection="default", model="blind", digest=BLIND.identity.fingerprint)])
    while one.second_models.complete("blind"):
        pass
    return one


def ask(engine: Recommender) -> Any:
    def answer(task: Any, *, collection: str, **asked: Any) -> Any:
        if task is Export:
            page = engine.export(collection, asked["after"], asked["last"], second=asked.get("second", False))
            return page and page.model_dump(mode="json")
        assert task is Answers
        return [one.model_dump(mode="json") for one in engine.answers(collection)]

    return answer


def test_either_side_is_decided_by_its_own_vectors(stored: Recommender) -> None:
    sides = both_sides(ask(stored), "default", 100, lambda count, total: None)
    assert (len(sides.now.items), sides.left_out) == (19, 0)
    now, then = replays(sides, lambda count: None, None)
    changed = [id_ for id_ in now.said if now.said[id_].similarity != then.said[id_].similarity]
    assert len(changed) > 5
    kept = neighbours_kept(sides)
    assert kept is not None
    assert 0.3 < kept < 1.0
    assert neighbours_kept(sides._replace(then=sides.now)) == 1.0


def test_answered_pairs_are_judged_by_a_model_that_does_not_know_the_answers(stored: Recommender) -> None:
    sides = both_sides(ask(stored), "default", 100, lambda count, total: None)
    now, then = (told(one, lambda count: None, None) for one in sides[:2])
    assert now is not None
    assert then is not None
    assert (now.ordered, then.ordered) == (1.0, 0.0), "of the first two words alone the wrong pair is the nearer one"


def test_without_answers_or_a_second_model_there_is_little_to_say() -> None:
    log, one = Log(), opened(None, LIVE, blind=BLIND)
    one.process([log.upsert("a", "a lamp"), log.upsert("b", "a parcel")])
    one.process([log.add("model.proposed", collection="default", model="blind", digest=BLIND.identity.fingerprint)])
    with pytest.raises(click.ClickException, match="none of these items"):
        both_sides(ask(one), "default", 10, lambda count, total: None)
    one.process([log.add("model.promoted", collection="default", model="blind", digest=BLIND.identity.fingerprint)])
    sides = both_sides(ask(one), "default", 10, lambda count, total: None)
    assert one.settings()["default"].model != DEFAULT_MODEL
    assert told(sides.now, lambda count: None, None) is None
    assert neighbours_kept(sides) is None


def test_a_model_is_stale_when_items_that_it_was_trained_on_are_gone() -> None:
    log, one = Log(), opened()
    one.process([log.upsert("a", "a lamp"), log.upsert("b", "a parcel")])

    def answer(task: Any, **asked: Any) -> Any:
        return one.stats() if task is Stats else ask(one)(task, **asked)

    items = tuple(item_digest("default", id_) for id_ in ("a", "b"))
    manifest = Manifest.model_construct(collection="default", items=items)
    assert missing(answer, manifest) == 0
    one.process([log.erase("a")])
    assert missing(answer, manifest) == 1
    one.process([log.add("collection.deleted", collection="default")])
    assert missing(answer, manifest) == 2
