"""Celery settings of those who call our tasks: each works with `recommender worker`, or is refused with its name."""

from __future__ import annotations

import gc
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import TimeoutError as CeleryTimeoutError

from celery_recommender import attach
from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.redis.connections import celery_url, connect
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.celery.tasks.commands import CommandRefused
from celery_recommender.settings import Settings
from recommender_engine.errors import ConfigurationError
from tests.support.processes import OwnerProcess
from tests.support.servers import make_server, running

pytestmark = pytest.mark.server

TIMEOUT_S = 20
QUEUE = "recommender.default"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Of a worker that runs, in an app of its own."""
    directory = tmp_path_factory.mktemp("callers")
    with ExitStack() as stack:
        server = stack.enter_context(running(make_server("embedded", directory / "server")))
        settings = Settings(redis_url=server.url, state_dir=directory / "state")
        owner = stack.enter_context(OwnerProcess(settings, directory / "owner.log"))
        owner.running()
        redis = stack.enter_context(connect(server.url))
        owner.until(lambda: "results" in (read_status(redis, PartitionKeys.of("default")) or {}), "its results' place")
        yield settings


@pytest.fixture
def caller(settings: Settings) -> Iterator[Any]:
    """Makes apps that call; with ``by_name`` nothing of ours is attached to them."""
    made: list[Celery] = []

    def make(*, by_name: bool = False, **configuration: Any) -> Celery:
        url = celery_url(settings.redis_url)
        app = Celery("caller", set_as_current=False)
        app.conf.update({"broker_url": url, "result_backend": url, **configuration})
        if not by_name:
            attach(app, Settings())
        made.append(app)
        return app

    yield make
    while made:
        made.pop().close()
    gc.collect()  # results that nobody waits for unsubscribe when they go: while there is a server


WORKING = {
    "priority": {"task_default_priority": 5},
    "priority steps": {
        "task_default_priority": 7,
        "broker_transport_options": {"priority_steps": list(range(10)), "sep": ":", "queue_order_strategy": "priority"},
    },
    "gzip": {"task_compression": "gzip"},
    "bzip2": {"task_compression": "bzip2"},
    "protocol 1": {"task_protocol": 1},
    "serializer": {"task_serializer": "pickle", "accept_content": ["pickle", "json"]},
    "routes": {"task_routes": {"*": {"queue": "theirs", "exchange": "theirs", "routing_key": "x", "priority": 9}}},
    "default queue": {"task_default_queue": "main", "task_create_missing_queues": False},
    "topic exchange": {"task_default_exchange": "tasks", "task_default_exchange_type": "topic"},
    "extended results": {"result_extended": True},
    "events": {"task_send_sent_event": True, "worker_send_task_events": True},
}


@pytest.mark.parametrize("name", WORKING)
def test_commands_and_questions_are_answered(caller: Any, name: str) -> None:
    app, item = caller(**WORKING[name]), {"id": str(uuid.uuid4()), "text": f"a text of {name}"}
    assert app.tasks["recommender.ingest"].delay(item).get(timeout=TIMEOUT_S)["item_id"] == item["id"]
    later = app.tasks["recommender.ingest"].apply_async([item], countdown=0.1).get(timeout=TIMEOUT_S)
    assert later["item_id"] == item["id"]
    hits = app.tasks["recommender.search"].delay(item["text"], limit=100).get(timeout=TIMEOUT_S)
    assert item["id"] in [hit["id"] for hit in hits]


@pytest.mark.parametrize("name", ["priority", "priority steps", "gzip", "bzip2", "protocol 1", "extended results"])
def test_calls_by_name_are_answered(caller: Any, name: str) -> None:
    app = caller(by_name=True, **WORKING[name])
    item = {"id": str(uuid.uuid4()), "text": f"a text of {name}, by name"}
    sent = app.send_task("recommender.ingest", [item], queue=QUEUE)
    assert sent.get(timeout=TIMEOUT_S)["item_id"] == item["id"]


@pytest.mark.parametrize(
    ("configuration", "code"),
    [
        ({"task_serializer": "pickle"}, "not_accepted"),
        ({"task_serializer": "pickle", "task_compression": "gzip"}, "not_accepted"),
        ({"task_serializer": "pickle", "task_protocol": 1}, "missing_field"),
    ],
)
def test_the_caller_of_a_refused_message_gets_the_reason(caller: Any, configuration: dict[str, Any], code: str) -> None:
    sent = caller(by_name=True, **configuration).send_task("recommender.search", ["a text"], queue=QUEUE)
    with pytest.raises(CommandRefused, match=code):
        sent.get(timeout=TIMEOUT_S)


def elsewhere(url: str) -> str:
    return f"{url.partition('?')[0]}?virtual_host=1"


@pytest.mark.parametrize(
    ("configuration", "named"),
    [
        ({"result_backend": "another database"}, "RECOMMENDER_RESULT_BACKEND"),
        ({"result_backend_transport_options": {"global_keyprefix": "mine:"}}, "result_backend_transport_options"),
        ({"result_serializer": "pickle", "accept_content": ["pickle", "json"]}, "result_serializer='pickle'"),
        ({"result_accept_content": ["pickle"]}, "result_accept_content"),
        ({"accept_content": ["pickle"]}, "accept_content"),
        ({"result_backend": "rpc://"}, "result_backend of this app is rpc"),
        ({"result_backend": "cache+memory://"}, "result_backend of this app"),
    ],
)
def test_results_that_the_caller_could_not_read_are_refused_at_the_first_use(
    caller: Any, settings: Settings, configuration: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celery_recommender.celery.tasks.result_check._PATIENCE_S", 0.1)
    if configuration.get("result_backend") == "another database":
        configuration = {"result_backend": elsewhere(celery_url(settings.redis_url))}
    app = caller(**configuration)
    for name, args in (("ingest", [{"id": "never", "text": "a text"}]), ("search", ["a text"])):
        with pytest.raises(ConfigurationError, match=named):
            app.tasks[f"recommender.{name}"].delay(*args)
    app.tasks["recommender.ingest"].apply_async([{"id": "wanted", "text": "no result"}], ignore_result=True)


def test_a_wait_has_an_end_that_says_what_to_look_at(caller: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("celery_recommender.celery.tasks.results.LONGEST_WAIT_S", 0.3)
    with pytest.raises(CeleryTimeoutError, match=r"within 0.3 s: the owner of 'default' on .* is running"):
        caller().tasks["recommender.search"].AsyncResult("never asked").get()
