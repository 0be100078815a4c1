"""An app with a Redis broker and no other setting: the owner in it and its producers meet there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.support.processes import WorkerProcess
from tests.support.servers import Server
from workers.broker.connections import celery_url, connect
from workers.broker.keys import PartitionKeys
from workers.broker.status import read_status
from workers.settings import Settings

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

PROJECT = """
from celery import Celery
from tests.support.encoders import FixedEncoders
from workers import attach

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


def test_owner_and_producers_meet_at_the_broker_of_the_app(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "shop_project.py"
    project.write_text(PROJECT.format(url=celery_url(server.url)))
    settings = Settings(state_dir=tmp_path / "state", deliver_task="shop.receive", encoder="torch-float32")
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("shop_project", project)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    keys = PartitionKeys.of("default", "shop:")
    options = ["--pool=threads", "--concurrency=2", "--recommender=default"]
    with (
        WorkerProcess("shop_project", settings, tmp_path / "owner.log", options, directory=tmp_path) as owner,
        connect(server.url) as redis,
    ):
        owner.start()
        decision = module.app.tasks["recommender.ingest"].delay({"id": "1", "text": "a text"})
        owner.until(lambda: (read_status(redis, keys) or {}).get("state") == "running", "the owner to run", 60)
        assert decision.get(timeout=20)["band"] == "new"
        later = module.app.tasks["recommender.search"].apply_async(["a text"], countdown=1)
        assert later.get(timeout=20)[0]["id"] == "1"
        owner.until(lambda: redis.llen("shop:main") == 1, "the event to be delivered to the app's default queue")
        assert redis.keys("recommender*") == []
    assert not (tmp_path / "state" / "redis").exists(), "a server was started"
    module.app.close()
