"""The Celery contract: ``ingest`` is a task like any other, in the app of a user with prefork workers of their own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from celery.exceptions import ChordError, TaskRevokedError
from redis import Redis

from celery_recommender.broker.redis.connections import celery_url, connect
from celery_recommender.celery.tasks.commands import CommandRefused
from celery_recommender.celery.worker.plugin import attach
from celery_recommender.settings import Settings
from recommender_engine.errors import InvalidCommand, RecommenderError
from tests.support.processes import OwnerProcess, WorkerProcess
from tests.support.servers import KINDS, make_server, running
from tests.support.streams import KEYS, PROCESSED, REJECTED, published
from tests.support.user_project import make_user_app
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

USER_APP = "tests.support.user_app"
TIMEOUT_S = 20


@dataclass
class Project:
    """A user's project: their workers, an owner beside them, and a process that sends tasks (this one)."""

    app: Celery
    redis: Redis
    settings: Settings
    worker: WorkerProcess
    owner: OwnerProcess

    def task(self, name: str) -> Any:
        return self.app.tasks[name]

    @property
    def ingest(self) -> Any:
        return self.task("recommender.ingest")

    def noted(self, name: str, count: int = 1) -> list[Any]:
        """Wait for what the user's tasks have noted."""
        key = f"noted:{name}"
        wait_until(lambda: self.redis.llen(key) >= count, f"{count} notes of {name}")
        return [json.loads(value) for value in self.redis.lrange(key, 0, -1)]

    def events_of(self, item_id: str) -> list[dict[str, Any]]:
        processed = [event.data for event in published(self.redis) if event.type == PROCESSED]
        return [data for data in processed if data["item_id"] == item_id]


@pytest.fixture(scope="module", params=KINDS)
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    directory = tmp_path_factory.mktemp("project")
    with ExitStack() as stack:
        server = stack.enter_context(running(make_server(request.param, directory / "server")))
        settings = Settings(redis_url=server.url, state_dir=directory / "state", deliver_task="project.receive")
        worker = WorkerProcess(
            USER_APP, settings, directory / "worker.log", ["--pool=prefork", "--concurrency=2", "--hostname=user@%h"]
        )
        owner = OwnerProcess(settings, directory / "owner.log", USER_APP)
        for process in (worker, owner):
            stack.enter_context(process).start()
        redis = stack.enter_context(connect(server.url))
        app = make_user_app(settings)
        stack.callback(app.close)
        worker.wait_ready()
        owner.wait_ready()
        yield Project(app, redis, settings, worker, owner)


def item(id_: str, text: str | None = None) -> dict[str, str]:
    return {"id": id_, "text": text or f"what {id_} is about"}


# -- results -----------------------------------------------------------------------------------------------------------


def test_delay_and_get(project: Project) -> None:
    outcome = project.ingest.delay(item("delay")).get(timeout=TIMEOUT_S)
    assert outcome["type"] == PROCESSED
    assert (outcome["item_id"], outcome["band"]) == ("delay", "new")
    assert outcome == {"type": PROCESSED, **project.events_of("delay")[0]}


def test_a_refused_command_fails_with_its_reason(project: Project) -> None:
    result = project.ingest.delay({"id": "refused"})
    with pytest.raises(CommandRefused, match=r"^invalid_value: the item has no text$") as caught:
        result.get(timeout=TIMEOUT_S)
    assert caught.value.args == ("invalid_value", "the item has no text", None)
    assert result.state == "FAILURE"


def test_ingest_many_returns_outcomes_in_order(project: Project) -> None:
    items = [item("many 1"), {"id": "many 2"}, item("many 3"), item("many 4", "what many 1 is about")]
    outcomes = project.task("recommender.ingest_many").delay(items).get(timeout=TIMEOUT_S)
    assert [outcome["type"] for outcome in outcomes] == [PROCESSED, REJECTED, PROCESSED, PROCESSED]
    assert [outcome["item_id"] for outcome in outcomes] == ["many 1", "many 2", "many 3", "many 4"]
    assert outcomes[1]["code"] == "invalid_value"
    assert outcomes[3]["duplicate_of"] == "many 1"


def test_commands_and_questions(project: Project) -> None:
    def ask(name: str, *args: Any) -> Any:
        return project.task(f"recommender.{name}").delay(*args).get(timeout=TIMEOUT_S)

    ask("ingest_many", [item("q1", "the red bicycle"), item("q2", "the red bicycles")])
    assert ask("patch", {"id": "q1", "attributes": {"price": 3}})["attributes"] == {"price": 3}
    assert ask("search", "the red bicycle")[0]["id"] == "q1"
    assert [hit["id"] for hit in ask("recommend", "q1")] == ["q2"]
    assert ask("compare", "the red bicycle", "the red bicycle")["band"] == "duplicate"
    assert ask("get", ["q1", "nobody"])[0]["attributes"] == {"price": 3}
    assert ask("feedback", {"id": "q2", "other": "q1", "answer": "unsure"})["answer"] == "unsure"
    assert ask("answers") == []
    assert [one["id"] for one in ask("export", "default", 0, 2)["items"]] == ["q1", "q2"]
    assert ask("record", {"item": "q1", "session": "s", "kind": "buy"})["kind"] == "buy"
    shown = {"recommendation_id": "r1", "items": ["q1", "q2"], "session": "s"}
    assert ask("shown", shown)["recommendation_id"] == "r1"
    assert ask("record", {"item": "q2", "session": "s"})["item_id"] == "q2"
    assert [(one["lists"], one["hits"]) for one in ask("hits")] == [(1, 1)]
    assert {len(one["recommendation_id"]) for one in ask("recommendations")} == {36}, "the id of the task"
    assert ask("subscribe", {"item": "q1"})["subscribed"] is True
    assert ask("unsubscribe", {"item": "q1"})["subscribed"] is False
    assert ask("subscribe", {"item": "nobody"})["reason"] == "unknown_item"
    assert ask("merge_user", {"user": "u", "session": "s"})["merged"] is True
    assert ask("erase_user", {"user": "u"})["interactions"] == 2
    assert ask("delete", {"id": "q1"})["erased"] is False
    assert ask("erase", {"id": "q2"})["erased"] is True
    assert ask("get", ["q1", "q2"]) == [None, None]
    assert ask("stats")["items"] >= 0


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("search", [""], "the item has no text"),
        ("search", ["x", "default", 0], "limit must be between 1 and 100"),
        ("hits", ["default", 91], "days must be between 1 and 90"),
        ("compare", ["x", {"text": 7}], "text: .*"),
        ("compare", ["x", {"id": "nobody"}, "default"], "there is no item 'nobody' in 'default'"),
        ("export", ["default", -1], "after must be a whole number from 0"),
        ("feedback", [{"id": "a", "answer": "same"}], "'same' speaks of two items; 'other' is missing"),
        ("ingest_many", [[]], "ingest_many takes a list of 1 to 1000 items"),
    ],
)
def test_a_wrong_argument_fails_with_its_reason(project: Project, name: str, args: list[Any], message: str) -> None:
    result = project.app.send_task(f"recommender.{name}", args=args, queue=KEYS.queue)
    with pytest.raises(RecommenderError, match=message):
        result.get(timeout=TIMEOUT_S)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"id": "x", "text": "word " * 60_000}, "too_large"),
        ({"id": "x", "text": "x", "vector": [float("nan")]}, "not_json"),
        ({"id": "x", "text": "\ud800"}, "not_unicode"),
        ({"id": "x", "text": "x", "timestamp": object()}, "wrong_type"),
    ],
)
def test_what_no_server_side_would_accept_is_refused_at_once(project: Project, data: dict[str, Any], code: str) -> None:
    before = project.redis.xinfo_stream(KEYS.commands)["last-generated-id"]
    with pytest.raises(InvalidCommand, match=r".") as caught:
        project.ingest.delay(data)
    assert caught.value.code == code
    assert project.redis.xinfo_stream(KEYS.commands)["last-generated-id"] == before


def test_ignored_results_are_not_kept(project: Project) -> None:
    result = project.ingest.apply_async([item("ignored")], ignore_result=True)
    wait_until(lambda: project.events_of("ignored"), "the event")
    project.ingest.delay(item("behind the ignored")).get(timeout=TIMEOUT_S)
    assert not project.redis.exists(f"celery-task-meta-{result.id}")


def test_a_repeated_key_returns_the_first_outcome(project: Project) -> None:
    first = project.ingest.delay(item("keyed", "first"), key="key 1").get(timeout=TIMEOUT_S)
    second = project.ingest.delay(item("keyed", "first"), key="key 1").get(timeout=TIMEOUT_S)
    assert second == first
    assert len(project.events_of("keyed")) == 1


def test_a_key_with_another_body_fails_and_the_first_outcome_stays(project: Project) -> None:
    first = project.ingest.delay(item("reused", "first"), key="key 2").get(timeout=TIMEOUT_S)
    with pytest.raises(CommandRefused, match="key_reused"):
        project.ingest.delay(item("reused", "second"), key="key 2").get(timeout=TIMEOUT_S)
    (known,) = project.app.send_task("recommender.outcomes", [["key 2"], "default"], queue=KEYS.queue).get(
        timeout=TIMEOUT_S
    )
    assert known["data"]["item_id"] == first["item_id"]
    assert known["type"] == first["type"]


def test_a_repeated_task_id_returns_the_first_outcome(project: Project) -> None:
    """A broker delivers again what was not acknowledged."""
    results = [
        project.app.send_task("recommender.ingest", [item("redelivered")], queue=KEYS.queue, task_id="one id").get(
            timeout=TIMEOUT_S
        )
        for _ in range(2)
    ]
    assert results[0] == results[1]
    assert len(project.events_of("redelivered")) == 1


# -- expiry and delay --------------------------------------------------------------------------------------------------


def test_an_expired_command_is_revoked(project: Project) -> None:
    result = project.ingest.apply_async([item("expired")], expires=-5)
    with pytest.raises(TaskRevokedError, match="expired"):
        result.get(timeout=TIMEOUT_S)
    assert result.state == "REVOKED"
    assert project.events_of("expired") == []


def test_a_command_in_time_does_not_expire(project: Project) -> None:
    assert project.ingest.apply_async([item("in time")], expires=60).get(timeout=TIMEOUT_S)["item_id"] == "in time"


def test_countdown_goes_through_the_broker(project: Project) -> None:
    sent_ms = time.time_ns() // 1_000_000
    outcome = project.ingest.apply_async([item("later")], countdown=1).get(timeout=TIMEOUT_S)
    assert int(outcome["command"]["id"].partition("-")[0]) - sent_ms >= 1000


# -- links and canvas --------------------------------------------------------------------------------------------------


def test_link(project: Project) -> None:
    project.ingest.apply_async([item("linked")], link=project.task("project.note").s("link"))
    assert project.noted("link")[0]["item_id"] == "linked"


def test_link_error(project: Project) -> None:
    bad = project.ingest.apply_async(
        [{"id": "bad"}],
        link_error=[project.task("project.note_error").s(), project.task("project.note_failure").s()],
    )
    wait_until(lambda: bad.id.encode() in project.redis.lrange("failed", 0, -1), "the errback with an id")
    wait_until(lambda: project.redis.llen("failures"), "the errback with the exception")
    task_id, error = json.loads(project.redis.lindex("failures", -1))
    assert task_id == bad.id
    assert error.startswith("CommandRefused('invalid_value'")


def test_chain_into_a_task_of_the_user(project: Project) -> None:
    steps = chain(project.ingest.s(item("chained")), project.task("project.note").s("chain"))
    assert steps.delay().get(timeout=TIMEOUT_S)["item_id"] == "chained"
    assert [outcome["item_id"] for outcome in project.noted("chain")] == ["chained"]


def test_chain_from_and_into_tasks_of_the_user(project: Project) -> None:
    steps = chain(
        project.task("project.describe").s("described"), project.ingest.s(), project.task("project.note").s("described")
    )
    assert steps.delay().get(timeout=TIMEOUT_S)["item_id"] == "described"
    assert len(project.noted("described")) == 1


def test_a_refused_command_ends_its_chain(project: Project) -> None:
    result = chain(project.ingest.s({"id": "broken"}), project.task("project.note").s("never")).delay()
    with pytest.raises(CommandRefused, match="the item has no text"):
        result.get(timeout=TIMEOUT_S)
    assert not project.redis.exists("noted:never")


def test_a_task_of_the_user_ingests(project: Project) -> None:
    task_id = project.task("project.publish").delay(item("from a task")).get(timeout=TIMEOUT_S)
    assert project.app.AsyncResult(task_id).get(timeout=TIMEOUT_S)["item_id"] == "from a task"


def test_group(project: Project) -> None:
    outcomes = group(project.ingest.s(item(f"group {n}")) for n in range(5)).delay().get(timeout=TIMEOUT_S)
    assert [outcome["item_id"] for outcome in outcomes] == [f"group {n}" for n in range(5)]


def test_chord_with_a_body_of_the_user(project: Project) -> None:
    header = [project.ingest.s(item(f"chord {n}")) for n in range(5)]
    assert chord(header)(project.task("project.ids").s()).get(timeout=TIMEOUT_S) == [f"chord {n}" for n in range(5)]


def test_chord_of_tasks_of_the_user_and_ingests(project: Project) -> None:
    header = [
        project.ingest.s(item("mixed 1")),
        chain(project.task("project.describe").s("mixed 2"), project.ingest.s()),
        project.task("project.note").s({"item_id": "mixed 3"}, "mixed"),
    ]
    assert chord(header)(project.task("project.ids").s()).get(timeout=TIMEOUT_S) == ["mixed 1", "mixed 2", "mixed 3"]


def test_a_chord_with_a_refused_command_fails(project: Project) -> None:
    header = [project.ingest.s(item("chord good")), project.ingest.s({"id": "chord bad"})]
    with pytest.raises((ChordError, CommandRefused), match="the item has no text"):
        chord(header)(project.task("project.ids").s()).get(timeout=TIMEOUT_S)


# -- by name -----------------------------------------------------------------------------------------------------------


def test_by_name_through_the_broker(project: Project) -> None:
    sender = Celery("elsewhere", broker=celery_url(project.settings.redis_url), backend=project.app.conf.result_backend)
    link = sender.signature("project.note", args=["by name"])
    result = sender.send_task("recommender.ingest", args=[item("by name")], queue=KEYS.queue, link=link)
    assert result.get(timeout=TIMEOUT_S)["item_id"] == "by name"
    assert project.noted("by name")[0]["item_id"] == "by name"
    sender.close()


def test_by_name_on_the_queue_of_the_user(project: Project) -> None:
    """Their workers know the task: they append it to the log."""
    result = project.app.send_task("recommender.ingest", args=[item("by their queue")], queue="celery")
    assert result.get(timeout=TIMEOUT_S)["item_id"] == "by their queue"


# -- other configurations of the sender --------------------------------------------------------------------------------


def test_without_a_result_backend_get_says_so(project: Project) -> None:
    app = Celery("no backend", broker=celery_url(project.settings.redis_url))
    attach(app, project.settings)
    result = app.tasks["recommender.ingest"].delay(item("no backend"))
    with pytest.raises(NotImplementedError, match="No result backend is configured"):
        result.get(timeout=TIMEOUT_S)
    wait_until(lambda: project.events_of("no backend"), "the event")
    app.close()


def test_a_sender_that_publishes_task_events(project: Project) -> None:
    app = make_user_app(project.settings, task_send_sent_event=True)
    outcome = app.tasks["recommender.ingest"].delay(item("watched")).get(timeout=TIMEOUT_S)
    assert outcome["item_id"] == "watched"
    assert not app.amqp._event_dispatcher._outbound_buffer  # where Celery keeps, for good, what it could not publish
    app.close()


# -- the user's own workers --------------------------------------------------------------------------------------------


def test_events_reach_the_task_of_the_user(project: Project) -> None:
    position = project.ingest.delay(item("delivered")).get(timeout=TIMEOUT_S)["command"]["id"]

    def received() -> list[dict[str, Any]]:
        events = [json.loads(value) for value in project.redis.lrange("received", 0, -1)]
        return [event for event in events if event["data"]["command"]["id"] == position]

    (event,) = wait_until(received, "the event to be delivered")
    assert event["type"] == PROCESSED
    assert event["data"] == project.events_of("delivered")[0]


def test_the_workers_of_the_user_are_as_they_were(project: Project) -> None:
    user = [name for name in project.app.control.inspect(timeout=2).ping() or {} if name.startswith("user@")]
    assert len(user) == 1
    queues = project.app.control.inspect(user).active_queues()[user[0]]
    assert [queue["name"] for queue in queues] == ["celery"]
    environment = project.task("project.environment").delay().get(timeout=TIMEOUT_S)
    assert environment == {"modules": [], "threads": ["MainThread"]}


def test_the_owner_consumes_its_own_queue_only(project: Project) -> None:
    owner = [name for name in project.app.control.inspect(timeout=2).ping() or {} if name.startswith("owner@")]
    queues = project.app.control.inspect(owner).active_queues()[owner[0]]
    assert [queue["name"] for queue in queues] == [KEYS.queue]


def test_every_caller_gets_an_answer(project: Project) -> None:
    project.ingest.delay(item("last")).get(timeout=TIMEOUT_S)
    wait_until(lambda: project.redis.hlen(KEYS.replies) == 0, "the requests to be forgotten")
