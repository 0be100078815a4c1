"""``celery -A tests.support.failing_model_app worker --recommender …``: the app of ``recommender worker``, with a model
that fails."""

from tests.support.failing_model import FailingEncoders
from workers.celery.app import make_app
from workers.logs import configure_logs
from workers.settings import Settings

_settings = Settings.from_environment()
configure_logs(_settings)
app, _ = make_app(_settings, FailingEncoders(_settings))
