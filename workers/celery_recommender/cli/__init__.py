"""The ``recommender`` command."""

from celery_recommender.cli.main import main

__all__ = ["main"]
