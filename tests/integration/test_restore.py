"""The disk is lost: a backup, and the commands that are still in their stream, give the same events once more."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from redis import Redis

from recommender import backups
from recommender.backups import Backup
from tests.integration.conftest import Owners, Run
from tests.integration.test_kills import Log, Outcome, append, erasures, run_undisturbed, ticket_log, without_quotes
from tests.support.processes import FAST_APP, OwnerProcess
from tests.support.servers import Server
from tests.support.streams import Published, answered, published
from tests.support.waiting import wait_until
from workers.celery.app import make_app
from workers.settings import Settings

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

COMMANDS = 500


@pytest.fixture
def settings(server: Server, tmp_path: Path) -> Settings:
    """With backups on another disk, made only when a test asks for them (and at the start)."""
    return Settings(
        redis_url=server.url,
        state_dir=tmp_path / "state",
        backup_dir=tmp_path / "backups",
        backup_every_s=3600,
        batch_items=16,
        lease_s=1,
    )


@pytest.fixture(scope="module")
def log() -> Log:
    return ticket_log(COMMANDS, seed=21)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, log: Log) -> Outcome:
    return run_undisturbed(tmp_path_factory.mktemp("undisturbed"), log, FAST_APP)


def newest(settings: Settings) -> Backup:
    assert settings.backup_dir is not None
    return backups.listed(settings.backup_dir, settings.partition)[0]


def first_backup(settings: Settings, owner: OwnerProcess) -> None:
    """Wait for the backup that every owner begins with when there is none."""
    assert settings.backup_dir is not None
    directory = settings.backup_dir
    owner.until(lambda: backups.listed(directory, "default"), "the first backup")


def lose_disk(settings: Settings, owner: OwnerProcess) -> None:
    owner.kill()
    shutil.rmtree(settings.state_dir / "state")


def events_of(redis: Redis) -> list[Published]:
    return [event.without_timings() for event in published(redis)]


def final(owner: OwnerProcess, redis: Redis, log: Log) -> Outcome:
    """The end of the log, and the state there."""
    last = log[-1][0]
    owner.until(lambda: (owner.status() or {}).get("position") == str(last), "the end of the log", 90)
    answered(redis, [last])
    wait_until(lambda: not traces(published(redis)), "the entries of erased items to be removed")
    app, _ = make_app(owner.settings)
    ids = [f"T-{place}" for place in range(len(log))]
    items = [
        item
        for collection in ("tickets", "mail")
        for item in app.tasks["recommender.get"].delay(ids, collection).get(timeout=30)
    ]
    stats = app.tasks["recommender.stats"].delay().get(timeout=30)
    app.close()
    return Outcome(events_of(redis), items, stats)


def traces(events: list[Published]) -> list[Published]:
    erased = erasures(events)
    return [
        event
        for place, event in enumerate(events)
        if place < erased.get((event.data.get("collection"), event.data.get("item_id")), 0)
    ]


@pytest.mark.parametrize("times", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_a_lost_disk_costs_a_restore_and_a_replay(
    settings: Settings,
    redis: Redis,
    log: Log,
    undisturbed: Outcome,
    owner_process: Owners,
    recommender: Run,
    times: int,
) -> None:
    """Backups, losses and restores in turn; in the end nothing tells that anything has happened."""
    chance = random.Random(times)
    cuts = sorted(chance.sample(range(1, COMMANDS // 16), 2 * times))
    done = 0
    owner = owner_process("first").running()
    first_backup(settings, owner)
    for number in range(times):
        backed_up, lost = (16 * cut for cut in cuts[2 * number : 2 * number + 2])
        append(redis, log[done:backed_up])
        answered(redis, [log[backed_up - 1][0]])
        recommender("backup")
        append(redis, log[backed_up:lost])
        answered(redis, [log[lost - 1][0]])
        done = lost
        before = events_of(redis)
        lose_disk(settings, owner)
        recommender("restore", str(settings.backup_dir))
        owner = owner_process(f"restored {number}").running()
        owner.until(lambda owner=owner: "recovery.finished" in owner.output, "the end of the recovery")
        assert "different=0" in owner.output
        assert "unknown=0" in owner.output
        after = {event.id: event for event in events_of(redis)}
        assert [after.get(event.id, event) for event in before] == before, "what was published stays as it was"
    append(redis, log[done:])
    outcome = final(owner, redis, log)
    ids = [event.id for event in outcome.events]
    assert len(set(ids)) == len(ids)
    assert without_quotes(outcome.events) == without_quotes(undisturbed.events)
    assert outcome.items == undisturbed.items
    assert outcome.stats == undisturbed.stats
