"""For the tests of projects that use the recommender: its tasks answered in memory, afresh in each test.

In ``conftest.py``::

    pytest_plugins = ["celery_recommender.testing"]

and a test that takes the fixture ``recommender_in_memory`` needs no server, worker or model. See docs/guide/testing.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from celery import Celery

    from celery_recommender.celery.tasks.memory import InMemory


@contextmanager
def answered_in_memory(*apps: Celery) -> Iterator[InMemory]:
    """For the length of a block, tasks of the recommender are answered by an empty engine in memory.

    ``task_always_eager`` is on meanwhile, so that links, chains, groups and chords of them work; other tasks of these
    apps are eager as well. Everything is as it was afterwards.

    Args:
        apps: Celery apps; by default all of the process, those too that are attached to within the block.

    Yields:
        The engine: ``ask(lambda engine: …)`` reads what it holds.
    """
    from celery._state import _get_active_apps

    from celery_recommender.celery.tasks.memory import Kit
    from celery_recommender.celery.worker.plugin import Plugin
    from celery_recommender.settings import Settings

    before, kit = Plugin.kit, Kit(Settings())
    for app in apps or tuple(_get_active_apps()):
        kit.adopt(app)
    Plugin.kit = kit
    try:
        yield kit
    finally:
        Plugin.kit = before
        kit.close()


@pytest.fixture
def recommender_in_memory() -> Iterator[InMemory]:
    """Tasks of the recommender are answered in memory; nothing is left of it after the test."""
    with answered_in_memory() as memory:
        yield memory
