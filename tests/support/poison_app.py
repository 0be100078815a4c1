"""``celery -A tests.support.poison_app worker --recommender …``: as ``owner_app``, but some texts are poison."""

from tests.support.poison import PoisonEncoders
from workers.celery.app import make_app, make_embed_app
from workers.logs import configure_logs
from workers.settings import Settings

_settings = Settings.from_environment()
configure_logs(_settings)
app, _ = make_app(_settings, PoisonEncoders())
embed_app, _ = make_embed_app(_settings, PoisonEncoders())
