"""``celery -A tests.support.failing_model_app worker --recommender …``: the app of ``recommender worker``, with a model
that fails."""

from celery_recommender.celery.worker.app import make_app
from celery_recommender.logs import configure_logs
from celery_recommender.settings import Settings
from tests.support.failing_model import FailingEncoders

_settings = Settings.from_environment()
configure_logs(_settings)
app, _ = make_app(_settings, FailingEncoders(_settings))
