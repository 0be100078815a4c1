"""``celery -A tests.support.embed_app worker``: the app of ``recommender embed-worker``, without a model."""

from tests.support.encoders import FixedEncoders
from workers.celery.app import make_embed_app
from workers.logs import configure_logs
from workers.settings import Settings

_settings = Settings.from_environment()
configure_logs(_settings)
app, _ = make_embed_app(_settings, FixedEncoders())
