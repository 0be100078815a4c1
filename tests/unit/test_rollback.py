"""What is kept in memory is read again when a transaction is rolled back, and goes with its collection."""

from __future__ import annotations

from contextlib import closing

import pytest

from recommender_engine import Entry, open_recommender
from recommender_engine.items import CollectionSettings, EntryId
from recommender_engine.matching import LearnedMatcher
from recommender_engine.store import SqliteStore
from recommender_engine.testing import DeterministicEncoder
from tests.support.engine import Log, Models, lines


class Undone(Exception):
    """Before a commit."""


def undone(store: SqliteStore) -> None:
    with store.transaction():
        store.position = EntryId(7, 0)
        raise Undone


def test_each_is_called_in_order_behind_the_rollback_whatever_becomes_of_the_others() -> None:
    with closing(SqliteStore()) as store:
        called: list[tuple[str, EntryId]] = []

        def fails() -> None:
            called.append(("first", store.position))
            raise ValueError("damaged")

        store.on_rollback(fails)
        store.on_rollback(lambda: called.append(("second", store.position)))
        before = store.position
        with pytest.raises(ValueError, match="damaged"):
            undone(store)
        assert called == [("first", before), ("second", before)]


def test_nothing_is_read_again_behind_a_commit() -> None:
    with closing(SqliteStore()) as store:
        called: list[str] = []
        store.on_rollback(lambda: called.append("again"))
        with store.transaction():
            store.position = EntryId(7, 0)
        assert not called


def test_what_is_kept_of_a_collection_goes_in_the_transaction_in_which_it_leaves() -> None:
    with closing(SqliteStore()) as store:
        left: list[int] = []
        store.on_retire(left.append)
        with store.transaction():
            collection = store.collections.create("c", CollectionSettings())
            store.retire(collection.id, "c", "deleted")
        assert left == [collection.id]


def history(log: Log) -> list[list[Entry]]:
    """Words, a rate that is nearly used up, silent commands, an answer, a time to live: something for every cache."""
    jammed = "the printer of the third floor is jammed again"
    return [
        [log.configure(commands_per_second=1.0, burst=8, ttl_seconds=3600), log.upsert("a", jammed)],
        [
            log.upsert("b", "the printer of the third floor jams"),
            log.upsert("c", "a printer with a jam", silent=True),
            log.feedback("b", "different", "a"),
            log.delete("a"),
        ],
        [log.upsert("d", jammed), log.upsert("b", "the printer of the fourth floor jams")],
        [log.tick(5_000), log.tick(3_600_000)],
    ]


def test_an_engine_goes_on_as_if_a_batch_that_was_rolled_back_had_not_been() -> None:
    failing = False

    def before_commit() -> None:
        if failing:
            raise Undone

    models = Models(DeterministicEncoder(64))
    with closing(open_recommender(None, models, matcher=LearnedMatcher)) as calm:
        expected = [lines(calm.process(batch)) for batch in history(Log())]
    found = []
    with closing(open_recommender(None, models, matcher=LearnedMatcher, before_commit=before_commit)) as shaken:
        for batch in history(Log()):
            failing = True
            with pytest.raises(Undone):
                shaken.process(batch)
            failing = False
            found.append(lines(shaken.process(batch)))
    assert found == expected
