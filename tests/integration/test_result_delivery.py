"""Delivery threads deliver their results, however long the broker or the result backend is away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from celery_recommender.broker.redis.connections import celery_url, connect
from celery_recommender.celery.tasks.commands import CommandRefused
from celery_recommender.celery.worker.app import make_app
from celery_recommender.celery.worker.result_delivery import ResultDelivery
from celery_recommender.client import Client
from celery_recommender.owner.delivery.threads import ReplyJob
from celery_recommender.settings import Settings
from recommender_engine.items import EntryId
from tests.integration.conftest import Owners
from tests.support.servers import RedisServer, Server, free_port, make_server, running
from tests.support.streams import KEYS, PROCESSED, REJECTED
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

OUTCOME = {"type": PROCESSED, "item_id": "a"}
REFUSED = {"type": REJECTED, "code": "not_json", "message": "not JSON", "field": None}
LINK = {"task": "project.note", "args": [], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False}


def job(task_id: str = "t", outcome: dict[str, object] = OUTCOME) -> ReplyJob:
    return ReplyJob(EntryId(1, 0), task_id, (outcome,), many=False)


def wait_for_reply(redis: Redis, task_id: str = "t", **request: object) -> None:
    redis.hset(KEYS.replies, task_id, json.dumps({"id": task_id, "task": "recommender.ingest", **request}))


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    made, _ = make_app(settings)
    yield made
    made.close()


def away() -> str:
    return f"redis://127.0.0.1:{free_port()}/0"


def app_with(broker: str, backend: str) -> Celery:
    app = Celery("test", broker=broker, backend=backend, set_as_current=False)
    app.conf.update(
        task_publish_retry=False,
        broker_transport_options={"max_retries": 0, "interval_start": 0},
        result_backend_transport_options={"retry_policy": {"max_retries": 0}},
    )
    return app


def test_a_result_waits_for_its_backend(settings: Settings, redis: Redis, app: Celery) -> None:
    wait_for_reply(redis)
    lame = app_with(celery_url(settings.redis_url), away())
    with pytest.raises(RedisConnectionError, match="refused"):
        ResultDelivery(lame, settings, redis)([job()])
    assert redis.hexists(KEYS.replies, "t")
    ResultDelivery(app, settings, redis)([job()])
    assert app.AsyncResult("t").get(timeout=5) == OUTCOME
    assert not redis.hexists(KEYS.replies, "t")


def test_a_refusal_waits_for_its_backend(settings: Settings, redis: Redis, app: Celery) -> None:
    wait_for_reply(redis)
    lame = app_with(celery_url(settings.redis_url), away())
    with pytest.raises(RedisConnectionError, match="refused"):
        ResultDelivery(lame, settings, redis)([job(outcome=REFUSED)])
    ResultDelivery(app, settings, redis)([job(outcome=REFUSED)])
    assert app.AsyncResult("t").state == "FAILURE"


@pytest.mark.parametrize("request_", [{"callbacks": [LINK]}, {"chain": [LINK]}])
def test_a_link_waits_for_its_broker(
    settings: Settings, redis: Redis, app: Celery, request_: dict[str, object]
) -> None:
    wait_for_reply(redis, **request_)
    lame = app_with(away(), celery_url(settings.redis_url))
    with pytest.raises(OperationalError, match="refused"):
        ResultDelivery(lame, settings, redis)([job()])
    assert app.AsyncResult("t").state == "PENDING"
    assert redis.llen("celery") == 0
    ResultDelivery(app, settings, redis)([job()])
    assert app.AsyncResult("t").state == "SUCCESS"
    assert redis.llen("celery") == 1


@pytest.mark.parametrize("request_", [{"callbacks": [42]}, {"chain": [{"task": None}]}])
def test_a_hopeless_link_fails_its_own_task_only(
    settings: Settings, redis: Redis, app: Celery, request_: dict[str, object]
) -> None:
    wait_for_reply(redis, **request_)
    ResultDelivery(app, settings, redis)([job()])
    assert app.AsyncResult("t").state == "FAILURE"
    assert not redis.hexists(KEYS.replies, "t")


def test_a_request_that_cannot_be_read_is_dropped(settings: Settings, redis: Redis, app: Celery) -> None:
    redis.hset(KEYS.replies, "t", "{")
    ResultDelivery(app, settings, redis)([job()])
    assert not redis.hexists(KEYS.replies, "t")


def test_an_unexpected_reply_changes_nothing(settings: Settings, redis: Redis, app: Celery) -> None:
    ResultDelivery(app, settings, redis)([job("forged")])
    assert redis.keys("celery-task-meta-*") == []


def test_those_before_one_that_does_not_arrive_have_arrived(settings: Settings, redis: Redis, app: Celery) -> None:
    wait_for_reply(redis, "first")
    wait_for_reply(redis, "second", callbacks=[LINK])
    wait_for_reply(redis, "third")
    jobs = [job("first"), job("second"), job("third")]
    lame = app_with(away(), celery_url(settings.redis_url))
    carrier = ResultDelivery(lame, settings, redis)
    assert carrier(jobs) == 1
    assert sorted(redis.hkeys(KEYS.replies)) == [b"second", b"third"]
    with pytest.raises(OperationalError, match="refused"):
        carrier(jobs[1:])
    assert ResultDelivery(app, settings, redis)(jobs[1:]) == 2
    assert [app.AsyncResult(one).state for one in ("first", "second", "third")] == ["SUCCESS"] * 3
    assert not redis.exists(KEYS.replies)


def test_a_task_whose_command_was_sent_twice_gets_one_result(settings: Settings, redis: Redis, app: Celery) -> None:
    wait_for_reply(redis, callbacks=[LINK])
    assert ResultDelivery(app, settings, redis)([job(), job()]) == 2
    assert redis.llen("celery") == 1


def test_a_request_that_could_not_be_forgotten_is_not_carried_again(
    settings: Settings, redis: Redis, app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_reply(redis, callbacks=[LINK])
    carrier = ResultDelivery(app, settings, redis)

    def closed(*args: object) -> None:
        raise RedisConnectionError("closed")

    with monkeypatch.context() as broken:
        broken.setattr(redis, "hdel", closed)
        assert carrier([job()]) == 1
        with pytest.raises(RedisConnectionError, match="closed"):
            carrier([job()])
    assert redis.hexists(KEYS.replies, "t")
    assert carrier([job()]) == 1
    assert redis.llen("celery") == 1
    assert not redis.exists(KEYS.replies)


def test_results_over_rpc_come_back_to_the_sender(settings: Settings, redis: Redis, owner_process: Owners) -> None:
    over_rpc = {"result_backend": "rpc://"}
    owner_process(changes=over_rpc).running()
    sender, _ = make_app(settings.replaced(**over_rpc))
    ingest = sender.tasks["recommender.ingest"]
    for n in range(3):
        assert ingest.delay({"id": f"i{n}", "text": "a text"}).get(timeout=20)["item_id"] == f"i{n}"
    with pytest.raises(CommandRefused, match="the item has no text"):
        ingest.delay({"id": "bad"}).get(timeout=20)
    assert redis.keys("celery-task-meta-*") == []
    wait_until(lambda: redis.hlen(KEYS.replies) == 0, "the requests to be forgotten")
    sender.close()


def test_a_broker_that_is_away_delays_no_decision(
    server: Server, client: Client, owner_process: Owners, tmp_path: Path
) -> None:
    broker = RedisServer(tmp_path / "broker")
    changes = {"broker_url": broker.url, "deliver_task": "project.receive"}
    owner = owner_process(changes=changes).running()
    for n in range(3):
        assert client.outcome(client.ingest({"id": f"i{n}", "text": f"text {n}"}))["type"] == PROCESSED
    owner.until(lambda: "delivery.retry" in owner.output, "the delivery to try in vain")
    with running(broker), connect(broker.url) as redis:
        wait_until(lambda: redis.llen("celery") == 3, "the events to be delivered")


def test_events_that_were_not_delivered_are_delivered_after_a_kill(
    server: Server, client: Client, owner_process: Owners, tmp_path: Path
) -> None:
    broker = make_server("redis-server", tmp_path / "broker")
    changes = {"broker_url": broker.url, "deliver_task": "project.receive"}
    owner = owner_process("first", changes=changes).running()
    for n in range(3):
        assert client.outcome(client.ingest({"id": f"i{n}", "text": f"text {n}"}))["type"] == PROCESSED
    owner.kill()
    owner_process("second", changes=changes).running()
    with running(broker), connect(broker.url) as redis:
        wait_until(lambda: redis.llen("celery") == 3, "the events to be delivered")
