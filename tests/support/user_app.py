"""``celery -A tests.support.user_main worker``: the module in which a user's project has its app."""

from celery_recommender.settings import Settings
from tests.support.user_project import make_user_app

app = make_user_app(Settings.from_environment())
