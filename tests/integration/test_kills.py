"""Kill -9 at any point, any number of times: the events stream of an undisturbed run, byte for byte but for timings.

One more difference is allowed: a verdict whose reasons may quote an item that was erased later has them only where it
was published before the erasure.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from redis import Redis

from celery_recommender.broker.redis.connections import connect
from celery_recommender.celery.worker.app import make_app
from celery_recommender.settings import Settings
from recommender_engine.items import EntryId
from tests.support.processes import FAST_APP, REAL_MODEL_APP, OwnerProcess
from tests.support.servers import KINDS, make_server, running
from tests.support.streams import KEYS, PROCESSED, REJECTED, Published, answered, published, traces, without_quotes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

COMMANDS = 1200
ENCODER: Final = "torch-float32"  # in bfloat16 the batch that a text is in moves what is published
SUBJECTS = ("printer", "screen", "keyboard", "invoice", "router", "password", "payment", "parcel", "login", "phone")
TROUBLES = ("is broken", "stays black", "does not answer", "was sent twice", "is lost", "shows an error", "is too slow")

Fields = Mapping[str, str]
Log = list[tuple[EntryId, Fields]]


def ticket_log(count: int, seed: int) -> Log:
    """Commands of every kind under explicit ids, so that two servers can hold the same log."""
    chance = random.Random(seed)
    start_ms = time.time_ns() // 1_000_000 - 3_600_000
    log: Log = []
    for place in range(count):
        id_ = EntryId(start_ms + 20 * place, 0)
        log.append((id_, fields_of(chance, place, last=place == count - 1)))
    return log


def fields_of(chance: random.Random, place: int, *, last: bool) -> Fields:
    item = {"id": f"T-{chance.randrange(1 + place)}", "collection": chance.choice(("tickets", "mail"))}
    text = f"The {chance.choice(SUBJECTS)} {chance.choice(TROUBLES)} since order {chance.randrange(40)}"
    upsert = {**item, "id": f"T-{place}", "text": text, "attributes": {"place": place}}
    kind = (
        "new"
        if last
        else chance.choices(("new", "again", "patch", "delete", "erase", "bad", "key", "answer"), KIND_WEIGHTS)[0]
    )
    match kind:
        case "again":
            return command("item.upsert", {**upsert, "id": item["id"]})
        case "patch":
            return command("item.patch", {**item, "attributes": {"status": place}})
        case "delete":
            return command("item.delete", item)
        case "erase":
            return command("item.erase", item)
        case "bad":
            return command("item.upsert", {**upsert, "colour": "red"})
        case "key":
            return command("item.upsert", upsert) | {"key": f"key {chance.randrange(20)}"}
        case "answer":
            other = {"other": f"T-{chance.randrange(1 + place)}", "answer": chance.choice(("same", "different"))}
            return command("feedback.given", {**item, **other})
    return command("item.upsert", upsert)


KIND_WEIGHTS = (72, 8, 4, 4, 2, 3, 3, 4)


def command(type_: str, data: Mapping[str, Any]) -> dict[str, str]:
    return {"type": type_, "data": json.dumps(data)}


def append(redis: Redis, log: Log) -> None:
    with redis.pipeline() as pipe:
        for id_, fields in log:
            pipe.xadd(KEYS.commands, dict(fields), id=str(id_))
        pipe.execute()


class Outcome(NamedTuple):
    """What a run leaves behind.

    Attributes:
        events: the events stream without timings.
        items: every item as the owner answers questions about it.
        stats: counts and positions.
    """

    events: list[Published]
    items: list[Any]
    stats: dict[str, Any]


def finish(owner: OwnerProcess, redis: Redis, log: Log) -> Outcome:
    """Wait for the end of the log and ask for the state."""
    last = str(log[-1][0])
    wait_until(lambda: (owner.status() or {}).get("position") == last, "the end of the log", 90)
    answered(redis, [log[-1][0]])
    wait_until(lambda: redis.xlen(KEYS.commands) == 0, "the commands to be trimmed")
    wait_until(lambda: not traces(published(redis)), "the entries of erased items to be removed")
    app, _ = make_app(owner.settings)
    ids = [f"T-{place}" for place in range(len(log))]
    items = [
        app.tasks["recommender.get"].delay(ids[first : first + 1000], collection).get(timeout=30)
        for collection in ("tickets", "mail")
        for first in range(0, len(ids), 1000)
    ]
    stats = app.tasks["recommender.stats"].delay().get(timeout=30)
    del stats["kept_bytes"]  # in memory, by what this process has read
    events = [event.without_timings() for event in published(redis)]
    app.close()
    return Outcome(events, [item for part in items for item in part], stats)


def run_undisturbed(directory: Path, log: Log, app: str) -> Outcome:
    with running(make_server("embedded", directory / "server")) as server, connect(server.url) as redis:
        append(redis, log)
        settings = Settings(redis_url=server.url, state_dir=directory / "state", encoder=ENCODER)
        with OwnerProcess(settings, directory / "undisturbed.log", app) as owner:
            return finish(owner.running(), redis, log)


@pytest.fixture(scope="module")
def log() -> Log:
    return ticket_log(COMMANDS, seed=7)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, log: Log) -> Outcome:
    return run_undisturbed(tmp_path_factory.mktemp("undisturbed"), log, FAST_APP)


class Disturbed:
    """A server that holds the log, and owners that come and go."""

    def __init__(self, settings: Settings, redis: Redis, directory: Path, app: str, stack: ExitStack) -> None:
        self.redis = redis
        self._settings = settings
        self._log = directory / "disturbed.log"
        self._app = app
        self._stack = stack

    def owner(self) -> OwnerProcess:
        return self._stack.enter_context(OwnerProcess(self._settings, self._log, self._app)).start()

    def published(self) -> int:
        return int(self.redis.xlen(KEYS.events))

    def wait_for(self, events: int, owner: OwnerProcess) -> None:
        """Wait until at least so many events are there; not longer than the owner lives."""
        owner.until(lambda: self.published() >= events, f"{events} events", 90)


@pytest.fixture
def disturbed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disturbed]:
    kind, app = request.param
    with (
        ExitStack() as stack,
        running(make_server(kind, tmp_path / "server")) as server,
        connect(server.url) as redis,
    ):
        # Small batches: many commits, and so many places to be killed at.
        settings = Settings(redis_url=server.url, state_dir=tmp_path / "state", batch_items=32, encoder=ENCODER)
        yield Disturbed(settings, redis, tmp_path, app, stack)
        stack.close()


def same(outcome: Outcome, undisturbed: Outcome) -> None:
    positions = [event.id for event in outcome.events]
    assert len(set(positions)) == len(positions)
    assert without_quotes(outcome.events) == without_quotes(undisturbed.events)
    for event, other in zip(outcome.events, undisturbed.events, strict=True):
        assert event == other or [] in (event.data.get("reasons"), other.data.get("reasons"))
    assert outcome.items == undisturbed.items
    assert outcome.stats == undisturbed.stats


@pytest.mark.parametrize("disturbed", [(kind, FAST_APP) for kind in KINDS], indirect=True)
def test_an_owner_killed_many_times_publishes_the_same(disturbed: Disturbed, log: Log, undisturbed: Outcome) -> None:
    chance = random.Random(11)
    append(disturbed.redis, log)
    moments = sorted(chance.sample(range(1, 9 * COMMANDS // 10), 6))
    for moment in moments:
        owner = disturbed.owner()
        disturbed.wait_for(moment, owner)
        if chance.random() < 0.5:  # what is on its way to the server arrives while it is stopped
            owner.signal(signal.SIGSTOP)
        owner.kill()
    before = disturbed.published()
    assert before < len(undisturbed.events), "the last kill came after the end of the log"
    owner = disturbed.owner()
    owner.kill()  # while it starts
    same(finish(disturbed.owner(), disturbed.redis, log), undisturbed)


@pytest.mark.parametrize("disturbed", [("embedded", FAST_APP)], indirect=True)
def test_a_stopped_owner_is_replaced(disturbed: Disturbed, log: Log, undisturbed: Outcome) -> None:
    append(disturbed.redis, log[: COMMANDS // 2])
    owner = disturbed.owner()
    for moment in (50, 200, 400):
        disturbed.wait_for(moment, owner)
        owner.signal(signal.SIGSTOP)
        stopped_at = disturbed.published()
        owner.signal(signal.SIGCONT)
        disturbed.wait_for(stopped_at + 1, owner)
    owner.signal(signal.SIGSTOP)
    owner.kill()
    append(disturbed.redis, log[COMMANDS // 2 :])
    same(finish(disturbed.owner(), disturbed.redis, log), undisturbed)


@pytest.mark.model
@pytest.mark.parametrize("disturbed", [("embedded", REAL_MODEL_APP)], indirect=True)
def test_an_owner_with_the_real_model_killed_publishes_the_same(disturbed: Disturbed, tmp_path: Path) -> None:
    log = ticket_log(60, seed=3)
    undisturbed = run_undisturbed(tmp_path / "reference", log, REAL_MODEL_APP)
    append(disturbed.redis, log[:40])
    owner = disturbed.owner()
    disturbed.wait_for(5, owner)
    owner.kill()
    append(disturbed.redis, log[40:])
    owner = disturbed.owner()
    disturbed.wait_for(15, owner)
    owner.kill()
    outcome = finish(disturbed.owner(), disturbed.redis, log)
    assert [event.id for event in outcome.events] == [event.id for event in undisturbed.events]
    # A vector that was lost before its commit is computed again in another batch, and padding moves it a little.
    assert_alike([event.data for event in outcome.events], [event.data for event in undisturbed.events])
    assert_alike(outcome.items, undisturbed.items)


def assert_alike(one: Any, other: Any) -> None:
    """Equal, but for the last digits of fractions."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list) and isinstance(other, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_alike(left, right)
    elif isinstance(one, float) and isinstance(other, float):
        assert one == pytest.approx(other, abs=2e-4)
    else:
        assert one == other


def test_the_log_holds_what_it_should(log: Log, undisturbed: Outcome) -> None:
    types = {event.type for event in undisturbed.events}
    assert types >= {
        *(PROCESSED, REJECTED, "recommender.item.patched.v1", "recommender.item.deleted.v1"),
        *("recommender.feedback.accepted.v1", "recommender.group.changed.v1", "recommender.item.revised.v1"),
    }
    bands = {event.data.get("band") for event in undisturbed.events}
    assert {"duplicate", "similar", "new"} <= bands
    plain = without_quotes(undisturbed.events)
    assert plain != undisturbed.events, "no verdict quotes an item that was erased later"
    assert len([1 for one, other in zip(plain, undisturbed.events, strict=True) if one != other]) < COMMANDS // 20
    erased = sum(fields["type"] == "item.erase" for _, fields in log)
    repeats = len([f for _, f in log if "key" in f]) - len({f["key"] for _, f in log if "key" in f})
    assert erased > 10
    assert repeats > 10
