"""``celery -A tests.support.poison_app worker --recommender …``: as ``owner_app``, but some texts are poison."""

from celery_recommender.celery.worker.app import make_app, make_embed_app
from celery_recommender.logs import configure_logs
from celery_recommender.settings import Settings
from tests.support.poison import PoisonEncoders

_settings = Settings.from_environment()
configure_logs(_settings)
app, _ = make_app(_settings, PoisonEncoders())
embed_app, _ = make_embed_app(_settings, PoisonEncoders())
