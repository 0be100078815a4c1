"""What an owner does between two batches for collections with a second model, and before a switch."""

from __future__ import annotations

import pytest

from celery_recommender.owner.loop.building import Building, complete
from recommender_engine import Recommender
from recommender_engine.errors import EncodingError, StateFull
from recommender_engine.pipeline.vectors import second_models
from recommender_engine.testing import DeterministicEncoder
from tests.support.encoders import FailingEncoder
from tests.support.engine import Log, opened
from tests.support.waiting import wait_until

SECOND = DeterministicEncoder(32)
CHANGE = {"collection": "default", "model": "second", "digest": SECOND.identity.fingerprint}


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_models, "LOOKED_AT", 25)


def proposed(log: Log, second: FailingEncoder | DeterministicEncoder = SECOND) -> Recommender:
    engine = opened(second=second)
    engine.process([log.upsert(f"i{n}", f"late parcel {n}") for n in range(60)])
    engine.process([log.add("model.proposed", CHANGE)])
    return engine


def left(engine: Recommender) -> int:
    view = engine.second_models.view(1)
    assert view is not None
    return int(view["left"])


def test_slices_are_stored_between_batches_and_the_owner_looks_soon_again() -> None:
    engine = proposed(Log())
    building = Building(engine, 300.0)
    assert building.idle_s(1.0) == 1.0
    building.some(0)
    assert building.idle_s(1.0) < 0.1

    def whole() -> bool:
        building.some(100)
        return left(engine) == 0 and building.idle_s(1.0) == 1.0

    wait_until(whole, "all items to be embedded", 60)


def test_what_is_left_is_embedded_before_a_switch_is_decided() -> None:
    log = Log()
    engine = proposed(log)
    complete(engine, [log.upsert("x", "another parcel")], 300.0)
    assert left(engine) == 60
    complete(engine, [log.add("model.promoted", CHANGE)], 300.0)
    assert left(engine) == 0


def test_a_model_that_fails_before_a_switch_is_tried_again() -> None:
    log, second = Log(), FailingEncoder(SECOND)
    engine = proposed(log, second)
    second.failing = True
    switch = [log.add("model.promoted", CHANGE)]
    with pytest.raises(EncodingError, match="failed on the items"):
        complete(engine, switch, 300.0)
    second.failing = False
    complete(engine, switch, 300.0)
    assert left(engine) == 0


def test_a_full_disk_ends_no_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = proposed(Log())

    def full(decided: int) -> bool:
        raise StateFull("no room")

    monkeypatch.setattr(engine.second_models, "build", full)
    building = Building(engine, 300.0)
    building.some(1)
    assert building.idle_s(1.0) == 1.0
