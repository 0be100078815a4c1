"""A producer for any Python process: appends commands, follows events, asks questions."""

from celery_recommender.client.client import Client

__all__ = ["Client"]
