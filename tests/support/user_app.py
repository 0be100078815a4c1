"""``celery -A tests.support.user_main worker``: the module in which a user's project has its app."""

from tests.support.user_project import make_user_app
from workers.settings import Settings

app = make_user_app(Settings.from_environment())
