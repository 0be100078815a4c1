"""Celery messages: their shape, checked before anything in them is acted on."""
