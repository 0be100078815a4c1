"""The slow steps of opening an engine, in parallel: the check of its database, its indexes, its models."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.store import SqliteStore


def load(store: SqliteStore, collections: Collections, indexes: Indexes) -> None:
    """Read the snapshots of the indexes while one thread checks the store and another loads the models.

    Raises:
        StateDamaged: the store failed its check.
        ModelError: a collection holds vectors of a model other than the one its settings name now.
    """
    wanted = [indexes.wanted(collection) for collection in collections.all()]
    with ThreadPoolExecutor(2, thread_name_prefix="recommender-opening") as threads:
        checks = (threads.submit(store.check), threads.submit(collections.check_models))
        restored = [indexes.read_snapshot(one) for one in wanted]
    for check in checks:
        check.result()
    store.behaviour.rows.catch_up()
    indexes.sweep(collections.all())
    for one, index in zip(wanted, restored, strict=True):
        indexes.open(one, index)
