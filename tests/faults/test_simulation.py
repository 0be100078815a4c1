"""Many small disturbed lives of the engine: each ends as an undisturbed one does. A failure names its seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import pytest
from redis.exceptions import ConnectionError as ServerAway

from celery_recommender.owner.delivery.publisher import Publisher
from recommender_engine import Entry, open_recommender
from recommender_engine.items import START, EntryId
from recommender_engine.store import behaviour_rows
from tests.faults.saboteur import Saboteur
from tests.faults.simulation import (
    ENGINE_POINTS,
    START_MS,
    WRITE_AFTER,
    Broken,
    Crash,
    Simulation,
    Trials,
    crash,
    make_entries,
)
from tests.faults.workload import COMMANDS, OF_THE_ERASED, make_workload
from tests.support.encoders import FixedEncoders
from tests.support.engine import data_of, is_outcome

CHUNKS = 4
TRIALS = 60  # of a chunk; `make simulate` runs thousands


@pytest.fixture(scope="module")
def saboteur() -> Iterator[Saboteur]:
    with pytest.MonkeyPatch.context() as patch:
        made = Saboteur(strike=crash)
        made.arm(ENGINE_POINTS, patch.setattr)
        patch.setattr(behaviour_rows, "WRITE_AFTER", WRITE_AFTER)
        yield made


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_disturbed_lives_end_like_undisturbed_ones(saboteur: Saboteur, chunk: int) -> None:
    trials = Trials(saboteur)
    for seed in range(chunk * TRIALS, (chunk + 1) * TRIALS):
        trials.run(seed)
    for fault in ("crashes", "publishing failed", "model failed", "upkeep failed", "lost replies"):
        assert trials.faults[fault] > TRIALS / 10, fault


def test_every_point_of_the_engine_is_reached(saboteur: Saboteur) -> None:
    reached: Counter[str] = Counter()
    for seed in range(60):
        if len(reached) == len(ENGINE_POINTS):
            break
        life = Simulation(seed, make_entries(seed), saboteur)
        life.drain()
        life._upkeep()
        reached += saboteur.hits
    assert set(reached) == {point.name for point in ENGINE_POINTS}


def first_seed_that_tells(saboteur: Saboteur) -> int | None:
    trials = Trials(saboteur)
    for seed in range(60):
        try:
            trials.run(seed)
        except Broken:
            return seed
    return None


def test_a_position_that_commits_before_its_effects_is_noticed(
    saboteur: Saboteur, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Simulation._process

    def broken(life: Simulation, batch: list[Entry]) -> EntryId:
        before = life._store.position
        life._store.position = batch[-1].id
        if life.encoder.failing:  # any sign of trouble will do
            raise Crash
        life._store.position = before
        return process(life, batch)

    monkeypatch.setattr(Simulation, "_process", broken)
    assert first_seed_that_tells(saboteur) is not None


def test_a_publisher_that_believes_what_it_sent_is_noticed(saboteur: Saboteur, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(publisher: Publisher) -> bool:
        rows = publisher._engine.outbox.after(publisher._published, 500)
        if rows:
            publisher._published = rows[-1].id
        with suppress(ServerAway):
            publisher._events.publish(rows, START)
        return True

    monkeypatch.setattr(Publisher, "publish", broken)
    assert first_seed_that_tells(saboteur) is not None


@pytest.mark.parametrize("seed", [409, *range(20)])
def test_every_command_of_a_workload_has_an_outcome_or_counts_as_a_repeat(seed: int) -> None:
    """In 409 another command comes under the key of an item that has been erased."""
    engine = open_recommender(None, FixedEncoders())
    events = engine.process(make_entries(seed, COMMANDS))
    answered = {data_of(event)["command"]["id"] for event in events if is_outcome(event)}
    workload = make_workload(seed, START_MS)
    assert len(answered) - OF_THE_ERASED + workload.repeats == len(workload.log), "told before the user was erased"
