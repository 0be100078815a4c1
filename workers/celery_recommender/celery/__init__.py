"""The Celery plug-in: tasks for producers, the owner as a bootstep, results and calls of user code."""
