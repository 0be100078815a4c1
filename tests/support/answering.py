"""Whether everything that a worker and its callers connect to is reached by one URL."""

from __future__ import annotations

from pathlib import Path

from celery_recommender.broker.redis.connections import connect
from celery_recommender.celery.worker.app import make_app
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from tests.support.processes import OwnerProcess
from tests.support.streams import KEYS

PASSWORD = "p@ss:w/rd%20"
QUOTED = "p%40ss%3Aw%2Frd%2520"
"""The same as a URL says it."""


def answers_over(url: str, directory: Path) -> None:
    """The stream, the broker and the result backend are all reached by this URL."""
    settings = Settings(redis_url=url, state_dir=directory / "state")
    with OwnerProcess(settings, directory / "owner.log") as owner, connect(url) as redis:
        owner.running()
        client = Client(settings, redis)
        assert client.outcome(client.ingest({"id": "a", "text": "a text"}))["data"]["band"] == "new"
        app, _ = make_app(settings)
        assert (
            app.tasks["recommender.ingest"].delay({"id": "b", "text": "a text"}).get(timeout=20)["duplicate_of"] == "a"
        )
        by_name = app.send_task("recommender.ingest", [{"id": "c", "text": "a text"}], queue=KEYS.queue)
        assert by_name.get(timeout=20)["duplicate_of"] == "a"
        app.close()
        assert PASSWORD not in owner.output
        assert QUOTED not in owner.output
        assert owner.terminate() == 0
