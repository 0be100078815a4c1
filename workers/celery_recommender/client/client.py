"""A producer for any Python process."""

from __future__ import annotations

from celery_recommender.client.commands import Commands
from celery_recommender.client.events import Events
from celery_recommender.client.questions import Questions


class Client(Commands, Events, Questions):
    """Appends commands, follows events and asks questions.

    Every command carries a key (a random one if none is given), so that a write which is retried has one effect. With
    several partitions each goes to that of its collection; one that has moved is followed within seconds, and what a
    producer sends to one collection keeps its order.

    Args:
        settings: which server and partition; the environment's by default.
        redis: a connection to use instead of one of our own.

    Raises:
        ConfigurationError: the settings name no server, and no worker with a private one runs; none is started.
    """
