"""``celery -A tests.support.owner_app worker --recommender …``: the app of ``recommender worker``, without a model."""

from celery_recommender.celery.worker.app import make_app
from celery_recommender.logs import configure_logs
from celery_recommender.settings import Settings
from tests.support.encoders import FixedEncoders

_settings = Settings.from_environment()
configure_logs(_settings)
app, _ = make_app(_settings, FixedEncoders())
