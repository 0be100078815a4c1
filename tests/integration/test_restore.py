"""The disk is lost: a backup, and the commands that are still in their stream, give the same events once more."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis

from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.celery.worker.app import make_app
from celery_recommender.client import Client
from celery_recommender.owner.continuity.recovery import _alike
from celery_recommender.settings import Settings
from recommender_engine import backups
from recommender_engine.backups import Backup
from recommender_engine.items import EntryId
from tests.integration.conftest import Owners, Run
from tests.integration.test_kills import Log, Outcome, append, run_undisturbed, ticket_log
from tests.support.processes import FAST_APP, REAL_MODEL_APP, OwnerProcess
from tests.support.servers import Server
from tests.support.streams import KEYS, PROCESSED, Published, answered, erasures, published, without_quotes
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

COMMANDS = 320


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
    del stats["kept_bytes"]  # in memory, by what this process has read
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
    cuts = sorted(chance.sample(range(1, COMMANDS // 8), 2 * times))
    done = 0
    owner = owner_process("first").running()
    first_backup(settings, owner)
    for number in range(times):
        backed_up, lost = (8 * cut for cut in cuts[2 * number : 2 * number + 2])
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


def restored(owner_process: Owners, name: str) -> OwnerProcess:
    owner = owner_process(name).running()
    owner.until(lambda: "recovery.finished" in owner.output, "the end of the recovery")
    return owner


def test_an_owner_killed_while_it_catches_up_starts_over_where_it_was(
    settings: Settings, redis: Redis, log: Log, undisturbed: Outcome, owner_process: Owners, recommender: Run
) -> None:
    owner = owner_process("first").running()
    first_backup(settings, owner)
    append(redis, log)
    answered(redis, [log[-1][0]])
    lose_disk(settings, owner)
    recommender("restore", str(settings.backup_dir))
    for time_ in ("first", "second"):
        owner = owner_process(f"killed for the {time_} time", changes={"batch_items": 1}).start()
        owner.until(lambda owner=owner: "owner.ready" in owner.output, "the recovery to be under way")
        owner.kill()
        assert "recovery.begun" in owner.output
        assert "recovery.finished" not in owner.output, "it was killed too late"
    outcome = final(restored(owner_process, "last"), redis, log)
    assert without_quotes(outcome.events) == without_quotes(undisturbed.events)
    assert outcome.items == undisturbed.items


def test_what_time_has_changed_is_decided_as_it_was(
    settings: Settings, client: Client, redis: Redis, owner_process: Owners, recommender: Run
) -> None:
    """A command that was in time and would be late now; one that was late; one whose id lies ahead of the clock."""
    owner = owner_process("first").running()
    first_backup(settings, owner)
    in_time_ms = time.time_ns() // 1_000_000 + 3000
    for place, expires_ms in enumerate((in_time_ms, 1, None)):
        fields = command_fields("item.upsert", {"id": f"T-{place}", "text": f"text {place}"}, expires_ms=expires_ms)
        client.log.append([fields])
    ahead = EntryId(time.time_ns() // 1_000_000 + 90_000, 5)
    item = {"id": "T-3", "text": "from the future"}
    redis.xadd(KEYS.commands, dict(command_fields("item.upsert", item, key="k")), id=str(ahead))
    wait_until(lambda: len(events_of(redis)) == 4, "the command to get another id, and an answer")
    before = events_of(redis)
    assert [event.data.get("code") for event in before] == [None, "expired", None, None]
    wait_until(lambda: time.time_ns() // 1_000_000 > in_time_ms, "the command to be late")
    lose_disk(settings, owner)
    recommender("restore", str(settings.backup_dir))
    owner = restored(owner_process, "second")
    assert "same=4 different=0 absent=0 unknown=0" in owner.output
    assert events_of(redis) == before
    app, _ = make_app(settings)
    found = app.tasks["recommender.get"].delay([f"T-{n}" for n in range(4)]).get(timeout=30)
    assert [item is not None for item in found] == [True, False, True, True]
    app.close()


def test_commands_stay_in_their_stream_until_they_are_in_a_backup(
    settings: Settings, client: Client, redis: Redis, owner_process: Owners, recommender: Run
) -> None:
    owner = owner_process().running()
    first_backup(settings, owner)
    client.outcome(client.ingest_many([{"id": f"T-{n}", "text": f"text {n}"} for n in range(20)])[-1])
    owner.until(lambda: (owner.status() or {}).get("held") == 20, "the status to say what is held")
    assert redis.xlen(KEYS.commands) == 20
    assert (owner.status() or {})["lag"] == 0
    doctor = json.loads(recommender("doctor", "--json").stdout)
    assert [one["found"] for one in doctor if one["check"] == "room"] == ["0 commands wait, 1,000,000 may"]
    owner.kill()
    owner = owner_process("second").running()
    owner.until(lambda: (owner.status() or {}).get("held") == 20, "them to be counted again")
    told = json.loads(recommender("backup", "--json").stdout)
    assert backups.verify(Path(told["path"])).position == position_of(owner)
    owner.until(lambda: redis.xlen(KEYS.commands) == 0, "them to be trimmed")
    assert redis.hget(KEYS.trimmed, "position") == told["position"].encode()
    elsewhere = settings.state_dir / "elsewhere"
    copied = json.loads(recommender("backup", str(elsewhere), "--json").stdout)
    assert Path(copied["path"]).parent == elsewhere
    assert json.loads(recommender("verify", copied["path"], "--json").stdout)["sound"] is True
    assert newest(settings).path.name == Path(copied["path"]).name, "the worker keeps its own as well"


def test_a_backup_older_than_what_was_trimmed_is_refused_and_the_newest_is_not(
    settings: Settings, client: Client, redis: Redis, owner_process: Owners, recommender: Run
) -> None:
    owner = owner_process("first").running()
    first_backup(settings, owner)
    old = newest(settings)
    client.outcome(client.ingest({"id": "T-0", "text": "in the second backup only"}))
    recommender("backup")
    owner.until(lambda: redis.xlen(KEYS.commands) == 0, "the commands to be trimmed")
    refused = recommender("restore", str(old.path), status=1)
    assert "is owned by process" in refused.stderr
    lose_disk(settings, owner)
    backups.restore(old, settings.partition_dir, None)
    before = published(redis)
    owner = owner_process("second").start()
    assert owner.wait() != 0
    assert "have been trimmed up to" in owner.output
    assert "recommender restore" in owner.output
    assert published(redis) == before
    told = json.loads(recommender("restore", "--force", str(settings.backup_dir), "--json").stdout)
    assert backups.verify_state(Path(told["replaced"])).position == old.position
    owner_process("third").running()
    assert client.outcome(client.ingest({"id": "T-1", "text": "goes on"}))["data"]["item_id"] == "T-1"


def test_a_backup_is_refused_when_the_server_has_lost_what_was_kept_for_it_and_another_is_made_at_once(
    settings: Settings, client: Client, redis: Redis, owner_process: Owners
) -> None:
    owner = owner_process("first").running()
    first_backup(settings, owner)
    old = newest(settings)
    client.outcome(client.ingest_many([{"id": f"T-{n}", "text": f"text {n}"} for n in range(20)])[-1])
    owner.until(lambda: (owner.status() or {}).get("held") == 20, "the status to say what is held")
    redis.delete(KEYS.commands)
    owner.until(lambda: newest(settings).path != old.path, "another backup")
    owner.until(lambda: (owner.status() or {}).get("held") == 0, "the status to say that nothing is held any more")
    position = client.ingest({"id": "T-20", "text": "kept for the second backup"})
    client.outcome(position)
    lose_disk(settings, owner)
    backups.restore(old, settings.partition_dir, None)
    before = events_of(redis)
    owner = owner_process("second").start()
    assert owner.wait() != 0
    assert "have been trimmed up to" in owner.output
    shutil.rmtree(settings.partition_dir)
    backups.restore(newest(settings), settings.partition_dir, None)
    owner = owner_process("third").running()
    owner.until(lambda: position_of(owner) >= position, "the commands since to be decided again")
    assert client.outcome(client.ingest({"id": "T-21", "text": "goes on"}))["data"]["item_id"] == "T-21"
    assert events_of(redis)[:-1] == before


def test_what_is_kept_for_a_backup_is_not_taken_for_unread(
    settings: Settings, client: Client, redis: Redis, owner_process: Owners
) -> None:
    """Every start looks for commands that were passed over; those that are kept have no keys, and one is erased."""
    owner = owner_process("first").running()
    first_backup(settings, owner)
    for n in range(20):
        fields = dict(command_fields("item.upsert", {"id": f"T-{n}", "text": f"text {n}"}))
        del fields["key"]
        redis.xadd(KEYS.commands, fields)
    client.outcome(client.erase("T-3"))
    wait_until(lambda: len(published(redis)) == 20, "the event of the erased item to be removed")
    before = events_of(redis)
    owner.kill()
    owner = owner_process("second").running()
    owner.until(lambda: (owner.status() or {}).get("held") == 21, "them to be counted again")
    assert client.outcome(client.ingest({"id": "T-20", "text": "goes on"}))["data"]["item_id"] == "T-20"
    assert events_of(redis)[:-1] == before
    assert "commands_recovered" not in owner.output
    assert "stream_was_reset" not in owner.output


@pytest.mark.parametrize("kept", [True, False], ids=["backups", "no backups"])
def test_a_lost_write_ahead_log_is_noticed(
    settings: Settings, client: Client, redis: Redis, owner_process: Owners, kept: bool
) -> None:
    """With backups the commands are still there, and are decided again. Without them the state is refused."""
    changes = {} if kept else {"backup_dir": None}
    owner = owner_process("first", changes=changes).running()
    if kept:
        first_backup(settings, owner)
    client.outcome(client.ingest_many([{"id": f"T-{n}", "text": f"text {n}"} for n in range(20)])[-1])
    owner.until(lambda: kept or redis.xlen(KEYS.commands) == 0, "the commands to be trimmed")
    before = events_of(redis)
    owner.kill()
    log_file = settings.partition_dir / "state.sqlite3-wal"
    assert log_file.stat().st_size > 0
    log_file.unlink()
    owner = owner_process("second", changes=changes).start()
    if kept:
        owner.wait_ready()
        owner.until(lambda: "recovery.finished" in owner.output, "the end of the recovery")
        assert "different=0" in owner.output
        assert client.outcome(client.ingest({"id": "T-20", "text": "goes on"}))["data"]["item_id"] == "T-20"
    else:
        assert owner.wait() != 0
        assert "recommender restore" in owner.output
    assert events_of(redis)[: len(before)] == before


def test_backups_are_made_by_the_clock_and_forget_what_was_erased(
    settings: Settings, client: Client, owner_process: Owners
) -> None:
    owner = owner_process(changes={"backup_every_s": 0.2, "backup_keep": 3}).running()
    assert settings.backup_dir is not None
    folder = settings.backup_dir
    secret = "the customer is Ada Lovelace"

    def kept() -> list[Backup]:
        return backups.listed(folder, "default")

    def texts() -> list[bool]:
        return [secret.encode() in path.read_bytes() for path in folder.glob("*.*.*/state.sqlite3")]

    for place in range(4):
        position = client.ingest({"id": f"T-{place}", "text": secret if place == 2 else f"text {place}"})
        owner.until(lambda p=position: kept() and kept()[0].position >= p, "the next backup")
    owner.until(lambda: len(kept()) <= 3, "the oldest to be deleted")
    assert any(texts())
    position = client.log.append([command_fields("item.erase", {"id": "T-2"})])[0]
    owner.until(lambda: kept()[0].position >= position, "the next backup")
    owner.until(lambda: not any(texts()), "older ones to be deleted")
    for one in kept():
        backups.verify(one.path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    directory = tmp_path / "small"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "recommender-test", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def test_a_full_disk_stops_decisions_and_nothing_else(
    small_disk: Path, client: Client, redis: Redis, owner_process: Owners
) -> None:
    owner = owner_process(changes={"state_dir": small_disk, "backup_dir": None}).running()
    client.outcome(client.ingest({"id": "T-0", "text": "there is room"}))
    filler = small_disk / "filler"
    fill(filler)
    items = [{"id": f"T-{n}", "text": f"there is no room {n} {'x' * 2000}"} for n in range(1, 60)]
    positions = client.ingest_many(items)
    owner.until(lambda: owner.output.count("owner.disk_full") > 1, "the owner to meet the full disk")
    assert "disk of the state directory is full (RECOMMENDER_STATE_DIR)" in owner.output
    waiting = redis.xlen(KEYS.commands)
    assert waiting > 0, "what is not committed stays in the stream"
    assert len(published(redis)) + waiting >= 60
    filler.unlink()
    events = answered(redis, positions)
    outcomes = [event.data["item_id"] for event in events if event.type == PROCESSED]
    assert outcomes == [f"T-{n}" for n in range(60)]
    owner.until(lambda: redis.xlen(KEYS.commands) == 0, "the commands to be trimmed")


def fill(path: Path) -> None:
    """Take all the room there is."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


@pytest.mark.slow
@pytest.mark.model
def test_vectors_that_are_computed_again_move_nothing_that_was_published(
    settings: Settings, redis: Redis, owner_process: Owners, recommender: Run
) -> None:
    """The real model, other batches than before: the stream stays, the state is the same but for last digits."""
    log = ticket_log(60, seed=3)
    owner = owner_process("first", app=REAL_MODEL_APP).running()
    first_backup(settings, owner)
    for place in range(0, len(log), 7):
        append(redis, log[place : place + 7])
        answered(redis, [log[min(place + 6, len(log) - 1)][0]])
    before = final(owner, redis, log)
    lose_disk(settings, owner)
    recommender("restore", str(settings.backup_dir))
    owner = owner_process("second", app=REAL_MODEL_APP).running()
    owner.until(lambda: "recovery.finished" in owner.output, "the end of the recovery", 120)
    assert "different=0" in owner.output
    outcome = final(owner, redis, log)
    assert outcome.events == before.events
    assert _alike(outcome.items, before.items)


def position_of(owner: OwnerProcess) -> EntryId:
    return EntryId.parse((owner.status() or {}).get("position", "0-0"))
