"""The shop's Celery app. The recommender takes two lines: the second import and the last line."""

import os

from celery import Celery

from celery_recommender import attach

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")

app = Celery("shop", broker=REDIS_URL, backend=REDIS_URL, include=["shop.tasks"])
app.conf.broker_connection_retry_on_startup = True
attach(app)
