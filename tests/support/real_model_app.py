"""``celery -A tests.support.real_model_app worker --recommender …``: the app of ``recommender worker``."""

from workers.celery.app import make_app, make_embed_app
from workers.logs import configure_logs
from workers.settings import Settings

_settings = Settings.from_environment()
configure_logs(_settings)
app, _ = make_app(_settings)
embed_app, _ = make_embed_app(_settings)
