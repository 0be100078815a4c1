"""``celery -A tests.support.real_model_app worker --recommender …``: the app of ``recommender worker``."""

from celery_recommender.celery.worker.app import make_app, make_embed_app
from celery_recommender.logs import configure_logs
from celery_recommender.settings import Settings

_settings = Settings.from_environment()
configure_logs(_settings)
app, _ = make_app(_settings)
embed_app, _ = make_embed_app(_settings)
