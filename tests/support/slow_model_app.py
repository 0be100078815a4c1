"""``celery -A tests.support.slow_model_app worker --recommender …``: the app of ``recommender worker``, with a slow
model."""

from celery_recommender.celery.worker.app import make_app
from celery_recommender.logs import configure_logs
from celery_recommender.settings import Settings
from tests.support.slow_model import SlowEncoders

_settings = Settings.from_environment()
configure_logs(_settings)
app, _ = make_app(_settings, SlowEncoders())
