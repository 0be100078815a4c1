"""Celery: tasks as the front door, the owner as a bootstep, results and calls of user code on the way out."""
