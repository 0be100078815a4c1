"""An app with a Redis broker and no other setting: the owner in it and its producers meet there."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from celery import Celery
from redis import Redis

from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.redis.connections import celery_url, connect
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.settings import Settings
from tests.support.command_line import doctor_finds, run
from tests.support.processes import WorkerProcess
from tests.support.servers import Server

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

KEYS = PartitionKeys.of("default", "shop:")
PROJECT = """
from celery import Celery
from tests.support.encoders import FixedEncoders
from celery_recommender import attach

app = Celery("shop", broker={url!r}, backend={url!r}, set_as_current=False)
app.conf.update(
    task_default_queue="main",
    task_create_missing_queues=False,
    broker_transport_options={{"global_keyprefix": "shop:"}},
    result_backend_transport_options={{"global_keyprefix": "shop:"}},
    broker_connection_retry_on_startup=True,
)
attach(app, encoders=FixedEncoders())
"""


class Shop(NamedTuple):
    """A project with its owner, which is not started yet."""

    app: Celery
    redis: Redis
    settings: Settings
    owner: WorkerProcess


@contextmanager
def shop(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: object) -> Iterator[Shop]:
    """The owner in the app, in a process of its own, and the same app in this one."""
    project = tmp_path / "shop_project.py"
    project.write_text(PROJECT.format(url=celery_url(server.url)))
    settings = Settings(state_dir=tmp_path / "state", deliver_task="shop.receive", encoder="torch-float32")
    settings = settings.replaced(**changes)
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("shop_project", project)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    options = ["--pool=threads", "--concurrency=2", "--recommender=default"]
    with (
        WorkerProcess("shop_project", settings, tmp_path / "owner.log", options, directory=tmp_path) as owner,
        connect(server.url) as redis,
    ):
        yield Shop(module.app, redis, settings, owner)
        assert not (tmp_path / "state" / "redis").exists(), "a server was started"
    module.app.close()


def test_owner_and_producers_meet_at_the_broker_of_the_app(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shop(server, tmp_path, monkeypatch) as one:
        one.owner.start()
        decision = one.app.tasks["recommender.ingest"].delay({"id": "1", "text": "a text"})
        one.owner.until(lambda: (read_status(one.redis, KEYS) or {}).get("state") == "running", "the owner to run", 60)
        assert decision.get(timeout=20)["band"] == "new"
        later = one.app.tasks["recommender.search"].apply_async(["a text"], countdown=1)
        assert later.get(timeout=20)[0]["id"] == "1"
        one.owner.until(lambda: one.redis.llen("shop:main") == 1, "the event to be delivered to the app's own queue")
        assert one.redis.keys("recommender*") == []


def test_deliveries_to_a_queue_that_does_not_exist_hold_up_no_result(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shop(server, tmp_path, monkeypatch, deliver_queue="celery") as one:
        one.owner.start()
        ingest = one.app.tasks["recommender.ingest"]
        for n in range(6):
            assert ingest.delay({"id": str(n), "text": f"text {n}"}).get(timeout=60)["item_id"] == str(n)
        one.owner.until(lambda: one.redis.xlen(KEYS.dead_letters) == 6, "six dead letters")
        assert "QueueNotFound" in one.owner.output, "the reason, in a log format that shows no keys"
        settings = one.settings.replaced(redis_url=server.url, key_prefix="shop:")
        assert "QueueNotFound" in doctor_finds(settings, "deliveries", "failed")["found"]
        assert doctor_finds(settings, "dead letters", "warning")["found"] == "6"
        assert run(settings, "doctor").returncode == 1
        mended = run(settings.replaced(deliver_queue="main"), "dead-letters", "replay", "--reason", "not_delivered")
        assert mended.stdout == "sent again: 6 (6 not_delivered)\n"
        assert (one.redis.llen("shop:main"), one.redis.xlen(KEYS.dead_letters)) == (6, 0)
