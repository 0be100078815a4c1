"""An ordinary Celery project of a user, with the recommender attached."""

import json
import sys
import threading

from celery import Celery
from redis import Redis

from celery_recommender import attach
from celery_recommender.broker.redis.connections import celery_url, connect
from celery_recommender.settings import Settings
from tests.support.encoders import FixedEncoders


def make_user_app(settings: Settings, **configuration: object) -> Celery:
    """The project's app; its tasks note in Redis what they were called with."""
    app = Celery("project", broker=celery_url(settings.redis_url), backend=celery_url(settings.redis_url))
    app.conf.update(broker_connection_retry_on_startup=True, **configuration)
    attach(app, settings, FixedEncoders())

    def redis() -> Redis:
        return connect(settings.redis_url)

    @app.task(name="project.note", shared=False)
    def note(value: object, name: str) -> object:
        redis().rpush(f"noted:{name}", json.dumps(value))
        return value

    @app.task(name="project.note_error", shared=False)
    def note_error(task_id: str) -> None:
        redis().rpush("failed", task_id)

    @app.task(name="project.note_failure", shared=False)
    def note_failure(request, error, traceback) -> None:
        redis().rpush("failures", json.dumps([request.id, repr(error)]))

    @app.task(name="project.describe", shared=False)
    def describe(item_id: str) -> dict[str, str]:
        return {"id": item_id, "text": f"the description of {item_id}"}

    @app.task(name="project.ids", shared=False)
    def ids(outcomes: list[dict[str, str]]) -> list[str]:
        return [outcome["item_id"] for outcome in outcomes]

    @app.task(name="project.publish", shared=False)
    def publish(item: dict[str, str]) -> str:
        return str(app.tasks["recommender.ingest"].delay(item).id)

    @app.task(name="project.receive", shared=False)
    def receive(event: dict[str, object]) -> None:
        redis().rpush("received", json.dumps(event))

    @app.task(name="project.environment", shared=False)
    def environment() -> dict[str, list[str]]:
        heavy = {"torch", "sentence_transformers", "transformers"} & set(sys.modules)
        return {"modules": sorted(heavy), "threads": [thread.name for thread in threading.enumerate()]}

    return app
