"""The plug-in in a Celery worker: attach, the owner as a bootstep, results on the way out."""
