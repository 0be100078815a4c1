"""Outcomes on their way out: published, forwarded, carried into Celery."""
