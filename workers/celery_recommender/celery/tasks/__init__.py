"""The Celery tasks: commands go into the log, questions go to the owner."""
