"""``celery -A tests.support.slow_model_app worker --recommender …``: the app of ``recommender worker``, with a slow
model."""

from tests.support.slow_model import SlowEncoders
from workers.celery.app import make_app
from workers.logs import configure_logs
from workers.settings import Settings

_settings = Settings.from_environment()
configure_logs(_settings)
app, _ = make_app(_settings, SlowEncoders())
