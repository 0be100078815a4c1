"""A small shop that runs Celery."""
