"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class RecommenderConfig(AppConfig):
    """``INSTALLED_APPS = [..., "celery_recommender.django"]``."""

    name = "celery_recommender.django"
    label = "celery_recommender"
    verbose_name = "Recommender"
    default_auto_field = "django.db.models.BigAutoField"
