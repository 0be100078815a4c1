"""Attaching to a user's app leaves it as it was."""

from __future__ import annotations

import gc
import os
import sys
import threading
from types import ModuleType
from typing import Any

import click
import pytest
from celery import Celery, _state
from celery.concurrency.base import BasePool

from celery_recommender import attach
from celery_recommender.settings import Settings
from recommender_engine.errors import InvalidCommand

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def celery_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a worker tells the whole process that it is one, in which nobody may wait for a result."""
    monkeypatch.setattr(_state, "_task_join_will_block", _state._task_join_will_block)


@pytest.fixture
def app() -> Celery:
    return Celery("shop", broker=NOWHERE, set_as_current=False)


def attached(app: Celery) -> None:
    attach(app, Settings(redis_url=NOWHERE))


def consumed(app: Celery, **options: Any) -> list[str]:
    """Queues from which a worker of the app would consume."""
    app.WorkController(pool_cls="threads", **options)
    return sorted(app.amqp.queues.consume_from)


def test_a_list_of_items_of_several_collections_needs_a_single_partition(app: Celery) -> None:
    """What is in one partition now may be in two when the last item is decided, and one reply answers for all."""
    items = [{"id": "1", "collection": name, "text": "t"} for name in ("c", "d")]
    attach(app, Settings(redis_url=NOWHERE, partition="a", partitions=("a", "b"), routes=("c=a", "d=a")))
    many = app.tasks["recommender.ingest_many"]
    with pytest.raises(InvalidCommand, match="several collections"):
        many.delay(items)
    assert many._collection([*items[:1], {"id": "2", "collection": 7}]) == "c", "any owner can reject the second"


def test_with_one_partition_a_list_may_name_several_collections(app: Celery) -> None:
    attached(app)
    items = [{"id": "1", "collection": name, "text": "t"} for name in ("c", "d")]
    assert app.tasks["recommender.ingest_many"]._collection(items) == "c"


def test_what_stands_below_still_has_its_effect(app: Celery) -> None:
    attached(app)
    heard: list[str] = []
    app.on_after_configure.connect(lambda sender, **_: heard.append("configured"), weak=False)
    app.on_after_finalize.connect(lambda sender, **_: heard.append("finalized"), weak=False)
    app.config_from_object({"task_default_queue": "shop"})
    app.finalize()
    assert app.conf.task_default_queue == "shop"
    assert heard == ["configured", "finalized"]


@pytest.mark.parametrize("finalized", [False, True])
def test_the_tasks_are_there(app: Celery, finalized: bool) -> None:
    if finalized:
        app.finalize()
    attached(app)
    ours = {name for name in app.tasks if name.startswith("recommender.")}
    assert {"recommender.ingest", "recommender.ingest_many", "recommender.search"} <= ours
    queues = {name: app.tasks[name].own_queue.name for name in ours}
    assert queues.pop("recommender.embed") == "recommender-embed"
    assert set(queues.values()) == {"recommender.default"}


def test_two_apps_of_one_process_have_tasks_of_their_own() -> None:
    apps = [Celery(name, broker=NOWHERE, set_as_current=False) for name in ("one", "two")]
    for app, partition in zip(apps, ("a", "b"), strict=True):
        attach(app, Settings(redis_url=NOWHERE, partition=partition))
    assert [app.tasks["recommender.ingest"].own_queue.name for app in apps] == ["recommender.a", "recommender.b"]
    assert [app.tasks["recommender.ingest"].app for app in apps] == apps


@pytest.mark.parametrize(("options", "queues"), [({}, ["celery"]), ({"queues": "mail"}, ["mail"])])
def test_other_workers_consume_what_they_did(app: Celery, options: dict[str, str], queues: list[str]) -> None:
    attached(app)
    assert consumed(app, **options) == queues


@pytest.mark.parametrize("create_missing", [True, False])
@pytest.mark.parametrize(
    ("options", "queues"), [({}, ["recommender.default"]), ({"queues": "celery"}, ["celery", "recommender.default"])]
)
def test_an_owner_consumes_its_own_queue(
    app: Celery,
    create_missing: bool,
    options: dict[str, str],
    queues: list[str],
) -> None:
    app.conf.task_queues = []
    app.conf.task_create_missing_queues = create_missing
    if not create_missing and options:
        app.amqp.queues.add("celery")
    attached(app)
    assert consumed(app, recommender="default", **options) == queues


@pytest.mark.parametrize("pool", ["prefork", "processes"])
def test_a_pool_that_forks_is_refused(app: Celery, pool: str) -> None:
    attached(app)
    with pytest.raises(click.UsageError, match="does not work with the prefork pool: use --pool threads"):
        app.WorkController(pool_cls=pool, recommender="default")


@pytest.mark.parametrize("name", ["gevent", "eventlet"])
def test_a_pool_of_greenlets_is_refused(app: Celery, name: str) -> None:
    """Neither is installed here: a pool is told by its class."""
    pool = type("TaskPool", (BasePool,), {"__module__": f"celery.concurrency.{name}"})
    attached(app)
    with pytest.raises(click.UsageError, match=f"does not work with the {name} pool: use --pool threads") as refused:
        app.WorkController(pool_cls=pool, recommender="default")
    assert refused.value.exit_code == 2
    assert "worker_pool" in refused.value.message
    app.WorkController(pool_cls=pool)  # a worker of yours, or one that embeds


@pytest.mark.parametrize(
    ("module", "asked", "patched"),
    [("gevent.monkey", "is_module_patched", "threading"), ("eventlet.patcher", "is_monkey_patched", "thread")],
)
def test_threads_that_are_greenlets_are_refused_with_any_pool(
    app: Celery, monkeypatch: pytest.MonkeyPatch, module: str, asked: str, patched: str
) -> None:
    attached(app)
    library = ModuleType(module)
    monkeypatch.setitem(sys.modules, module, library)
    library.__dict__[asked] = lambda name: name == "socket"
    app.WorkController(pool_cls="threads", recommender="default")
    library.__dict__[asked] = lambda name: name == patched
    with pytest.raises(click.UsageError, match=f"where {module.partition('.')[0]} stands in for threads"):
        app.WorkController(pool_cls="threads", recommender="default")


def test_attaching_changes_nothing_of_the_process(app: Celery) -> None:
    environment, thresholds, threads = dict(os.environ), gc.get_threshold(), threading.enumerate()
    os.environ.pop("OMP_WAIT_POLICY", None)
    try:
        attached(app)
        app.finalize()
        assert "OMP_WAIT_POLICY" not in os.environ
    finally:
        os.environ.update(environment)
    assert (gc.get_threshold(), threading.enumerate()) == (thresholds, threads)
