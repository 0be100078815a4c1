"""What takes long when an engine is opened: its indexes and its models, read side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from recommender.pipeline.collections import Collections
from recommender.pipeline.indexes import Indexes


def load(collections: Collections, indexes: Indexes) -> None:
    """Read the indexes in this thread, which alone may use the store, while the models load in another.

    Raises:
        ModelError: a collection holds vectors of a model other than the one its settings name now.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="recommender-models") as thread:
        checked = thread.submit(collections.check_models)
        indexes.open(collections.all())
    try:
        checked.result()
    except BaseException:
        indexes.discard()
        raise
