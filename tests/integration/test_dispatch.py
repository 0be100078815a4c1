"""Outcomes go to those whose requests are kept, and to nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from redis import Redis
from redis.exceptions import RedisError

from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.owner.delivery.dispatch import Dispatch
from celery_recommender.owner.delivery.feeds import EventFeed
from celery_recommender.owner.delivery.lanes import DeliveryLane
from celery_recommender.owner.delivery.replies import command_key, reply_address
from celery_recommender.owner.delivery.threads import DeliveryJob, DeliveryThread, Job, ReplyJob, WebhookJob
from celery_recommender.settings import Settings
from recommender_engine import Recommender
from recommender_engine.items import START
from tests.support.engine import Log, opened
from tests.support.servers import Server
from tests.support.streams import DELETED, KEYS, PROCESSED, REJECTED
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

STRANGERS = 2500  # more than a delivery thread takes at once


class Courier(list[Job]):
    """What was carried; while ``broken`` nothing arrives."""

    broken = False

    def __call__(self, jobs: Sequence[Job]) -> int:
        if self.broken:
            raise ConnectionError("closed")
        self += jobs
        return len(jobs)

    def replies(self) -> list[ReplyJob]:
        return [job for job in self if isinstance(job, ReplyJob)]


@pytest.fixture
def engine() -> Iterator[Recommender]:
    engine = opened()
    yield engine
    engine.close()


@pytest.fixture
def carried() -> Courier:
    return Courier()


@pytest.fixture
def dispatch(
    engine: Recommender, redis: Redis, settings: Settings, carried: Courier
) -> Iterator[Callable[..., Dispatch]]:
    """Starts one; all end with the test."""
    started: list[Dispatch] = []

    def start(**changes: object) -> Dispatch:
        one = Dispatch(engine, settings.replaced(**changes), CommandsLog(redis, KEYS), carried)
        one.start()
        started.append(one)
        return one

    yield start
    for one in started:
        one.finish(0.1)


def wait_for(redis: Redis, task_ids: Sequence[str]) -> None:
    """What a sender does before it waits."""
    redis.hset(KEYS.replies, mapping=dict.fromkeys(task_ids, "{}"))


def test_unknown_requests_get_no_answer_and_are_dropped(
    engine: Recommender, redis: Redis, dispatch: Callable[..., Dispatch], carried: Courier
) -> None:
    log = Log()
    wait_for(redis, ["first", "last"])
    one = dispatch()
    entries = [log.upsert("a", "a text", reply_to=reply_address("first"))]
    entries += [log.upsert(f"i{n}", "a text", reply_to=f"{n} stranger {n}") for n in range(STRANGERS)]
    entries += [log.upsert("z", "a text", reply_to=reply_address("last"))]
    engine.process(entries)
    assert len(engine.outbox.replies(0, 10_000)) == STRANGERS + 2
    one.offer()
    assert one.idle_s < 0.1, "there is more than the thread had room for"

    def none_left() -> bool:
        one.offer()
        one.acknowledge()
        return not engine.outbox.replies(0, 1)

    wait_until(none_left, "every reply to be settled")
    assert one.idle_s == 0.5
    assert [job.task_id for job in carried.replies()] == ["first", "last"]
    assert [job.outcomes[0]["item_id"] for job in carried.replies()] == ["a", "z"]
    assert engine.tidying.prune(outbox_ms=0, sent=engine.last_event) > STRANGERS, (
        "they keep no event from being dropped"
    )


def test_an_address_that_names_more_commands_than_there_are_is_harmless(
    engine: Recommender, redis: Redis, dispatch: Callable[..., Dispatch], carried: Courier
) -> None:
    log = Log()
    wait_for(redis, ["t"])
    keyed = [log.upsert(f"i{n}", "a text", key=command_key("t", n)) for n in range(2)]
    last = log.upsert("i2", "a text", key=command_key("t", 2), reply_to=reply_address("t", 1000))
    engine.process([*keyed, last])
    one = dispatch()
    one.offer()
    one.finish(10)
    (job,) = carried.replies()
    assert (job.many, [outcome["item_id"] for outcome in job.outcomes]) == (True, ["i0", "i1", "i2"])


def test_a_reply_repeats_nothing_that_the_caller_has_sent(
    engine: Recommender, redis: Redis, dispatch: Callable[..., Dispatch], carried: Courier
) -> None:
    log = Log()
    wait_for(redis, ["t"])
    (event,) = engine.process([log.add("item.upsert", b'{"id": "a", "colour": "red"}', reply_to=reply_address("t"))])
    one = dispatch()
    one.offer()
    one.finish(10)
    (outcome,) = carried.replies()[0].outcomes
    said = event.data.model_dump(mode="json")
    assert said.pop("payload")
    assert outcome == {"type": REJECTED, **said}


def test_a_reply_to_an_erased_item_says_that_it_was(
    engine: Recommender, redis: Redis, dispatch: Callable[..., Dispatch], carried: Courier
) -> None:
    log = Log()
    wait_for(redis, ["t"])
    upsert = log.upsert("a", "a text", reply_to=reply_address("t"))
    engine.process([upsert, log.erase("a")])
    one = dispatch()
    one.offer()
    one.finish(10)
    (outcome,) = carried.replies()[0].outcomes
    command = {"id": str(upsert.id), "key": None}
    assert outcome == {"type": PROCESSED, "command": command, "item_id": "a", "collection": "default", "erased": True}


def test_what_did_not_arrive_is_offered_by_the_next(
    engine: Recommender, redis: Redis, dispatch: Callable[..., Dispatch], carried: Courier
) -> None:
    log = Log()
    wait_for(redis, ["t"])
    carried.broken = True
    first = dispatch(deliver_task="project.receive")
    (event,) = engine.process([log.upsert("a", "a text", reply_to=reply_address("t"))])
    first.offer()
    first.finish(0.1)
    assert len(engine.outbox.replies(0, 10)) == 1
    assert first.sent(event.id) == START, "an event stays until it was delivered as well"
    carried.broken = False
    second = dispatch(deliver_task="project.receive")
    second.offer()
    second.finish(10)
    assert {type(job) for job in carried} == {ReplyJob, DeliveryJob}
    assert engine.outbox.replies(0, 10) == []
    assert second.sent(event.id) == engine.delivered == event.id


def feed(carried: Courier) -> EventFeed:
    """To an endpoint that takes deletions."""
    thread = DeliveryThread(carried, DeliveryLane(lambda _: None, "endpoint", 3600))
    return EventFeed(thread, lambda row: WebhookJob(row.id, row.event) if row.type == DELETED else None)


def test_each_endpoint_goes_on_where_it_was_and_a_new_one_begins_now(
    engine: Recommender, redis: Redis, settings: Settings
) -> None:
    def run(**webhooks: EventFeed) -> Dispatch:
        one = Dispatch(engine, settings, CommandsLog(redis, KEYS), Courier(), webhooks)
        one.start()
        one.offer()
        one.finish(5 if all(not carried.broken for carried in roads.values()) else 0.1)
        return one

    log = Log()
    roads = {"a": Courier(), "b": Courier()}
    run(a=feed(roads["a"]), b=feed(roads["b"]))
    *_, first = engine.process([log.upsert("x", "a text"), log.delete("x")])
    roads["b"].broken = True
    one = run(a=feed(roads["a"]), b=feed(roads["b"]))
    assert [job.id for job in roads["a"]] == [first.id]
    assert roads["b"] == []
    assert engine.notes.received()["a"] == first.id
    assert one.sent(first.id) < first.id, "it stays until the other has it too"
    roads["b"].broken, roads["c"] = False, Courier()
    one = run(b=feed(roads["b"]), c=feed(roads["c"]))
    assert [job.id for job in roads["b"]] == [first.id]
    assert roads["c"] == []
    assert one.sent(first.id) == first.id
    assert engine.notes.received() == {"b": first.id, "c": first.id}, "what is not listed any more is forgotten"


def test_silent_events_are_not_kept_forever(
    engine: Recommender, dispatch: Callable[..., Dispatch], carried: Courier
) -> None:
    one = dispatch(deliver_task="project.receive", deliver_types=(REJECTED,))
    log = Log()
    (event,) = engine.process([log.upsert("a", "a text")])
    one.offer()
    one.acknowledge()
    assert one.sent(event.id) == engine.delivered == event.id
    carried.broken = True
    engine.process([log.add("item.upsert", b"{"), log.upsert("b", "a text")])
    one.offer()
    one.acknowledge()
    assert engine.delivered == event.id, "one of them has yet to arrive"
    assert carried == []


def test_a_server_that_is_away_loses_no_reply(
    server: Server, engine: Recommender, redis: Redis, dispatch: Callable[..., Dispatch], carried: Courier
) -> None:
    log = Log()
    wait_for(redis, ["t"])
    engine.process([log.upsert("a", "a text", reply_to=reply_address("t"))])
    one = dispatch()
    server.kill()
    with pytest.raises(RedisError, match=r"."):
        one.offer()
    one.acknowledge()
    assert len(engine.outbox.replies(0, 10)) == 1
    server.start()
    one.offer()
    one.finish(10)
    assert [job.task_id for job in carried.replies()] == ["t"]
    assert engine.outbox.replies(0, 10) == []
