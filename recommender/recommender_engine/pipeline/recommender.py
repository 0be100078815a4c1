"""The engine: commands in, events out, everything between in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from recommender_engine.embedding import Encoders
from recommender_engine.errors import StateFull
from recommender_engine.items import (
    CollectionSettings,
    Entry,
    EntryId,
    EraseItem,
    EraseUser,
    Event,
    HitRate,
    Item,
    ItemKey,
)
from recommender_engine.items.commands import validate
from recommender_engine.items.list_request import ListRequest
from recommender_engine.pipeline.batch import Batch
from recommender_engine.pipeline.notes import Notes
from recommender_engine.pipeline.prepared import segments
from recommender_engine.pipeline.preparing import Preparation
from recommender_engine.pipeline.queries.comparing import ComparedPair
from recommender_engine.pipeline.queries.export import ExportPage
from recommender_engine.pipeline.queries.incident_views import IncidentView
from recommender_engine.pipeline.queries.listing import GroupPage, ItemPage
from recommender_engine.pipeline.queries.review_queue import ReviewPage
from recommender_engine.pipeline.queries.search.searching import FoundItem
from recommender_engine.pipeline.queries.search.similar import SearchHit
from recommender_engine.pipeline.queries.statistics import BandPreview, OverviewPage
from recommender_engine.pipeline.queries.views import AnswerPage, AnswerView, ItemView
from recommender_engine.pipeline.recommend.listed import Listed
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.pipeline.wiring.base import Base
from recommender_engine.pipeline.wiring.deciding import Deciding
from recommender_engine.pipeline.wiring.options import Options
from recommender_engine.pipeline.wiring.queries import Queries
from recommender_engine.store import DatabaseCopy, Outbox, SqliteStore


class Recommender:
    """Similar items and duplicate verdicts for a log of commands.

    A decision is a function of the commands before it: the batches do not matter. One thread
    calls it.

    Args:
        store: the state; what is committed there happened.
        encoders: the embedding models.
        indexes: the vector indexes, derived from the store.
        options: how it runs.

    Raises:
        ModelError: a collection holds vectors of a model other than the one its settings name.
    """

    def __init__(
        self, store: SqliteStore, encoders: Encoders, indexes: Indexes | None = None, options: Options | None = None
    ) -> None:
        self._store = store
        options = options or Options()
        self._before_commit, self._on_close = options.before_commit, options.on_close
        self._base = base = Base(store, encoders, indexes or Indexes(store), options)
        self._deciding = deciding = Deciding(base)
        self._queries = Queries(base, deciding.changes)
        self._preparation = Preparation(
            base.collections,
            base.embedding,
            base.indexes,
            deciding.changes.moves,
            deciding.rates,
            deciding.commands.handlers,
        )
        self.notes = Notes(store)
        self.moves, self.moving, self.tidying = deciding.changes.moves, deciding.commands.moving, deciding.tidying
        self.second_models = base.second_models
        self.promises, self.calibrating = self._queries.promises, self._queries.calibrating
        deciding.recutting.open()

    # -- the main path -------------------------------------------------------------------------------------------------

    def process(self, entries: Sequence[Entry]) -> list[Event]:
        """Drop exact repeats, embed the rest, find neighbours, decide in order, commit, remember what to publish.

        Args:
            entries: what follows ``position`` in the log, in order; entries up to the position are skipped.

        Returns:
            The events of this batch in order; they are committed to the outbox.

        Raises:
            EncodingError: the model failed; nothing was changed and the same entries can be tried again.
        """
        with self._transaction() as batch:
            fresh = [entry for entry in entries if entry.id > batch.position]
            for segment in segments(fresh):
                for prepared in self._preparation.prepare(segment):
                    self._deciding.decide(prepared, batch)
        self._committed(batch, fresh)
        return batch.events

    def _committed(self, batch: Batch, entries: Sequence[Entry]) -> None:
        """Bring up to date what is kept in memory and in files, and drop what was erased."""
        self._base.embedding.committed()
        self._base.indexes.apply(batch.changed.values(), batch.overlays)
        for collection in batch.retired:
            self._base.indexes.forget(collection)
        self._base.messages.forget_texts()
        if batch.retired or any(isinstance(entry.command, EraseItem | EraseUser) for entry in entries):
            self._base.words.forget_texts()
            self._base.filters.forget_erased()
            with suppress(StateFull):  # the batch is committed, and ``tidying`` does the rest
                self._store.truncate_log()

    def embed_ahead(self, entries: Sequence[Entry]) -> None:
        """Begin to embed the texts of this batch or the next beside it; no decision is different for it."""
        self._base.embedding.begin(self._ours(entries), self._base.collections.settings)

    def embed_remotely(self, entries: Sequence[Entry]) -> bool:
        """The same for a batch however far ahead, by ``remote``; whether nothing of it is left to be embedded here."""
        return self._base.embedding.begin_remotely(self._ours(entries), self._base.collections.settings)

    def _ours(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those that are not to be passed on."""
        return [entry for entry in entries if self.moves.destination(entry) is None]

    @contextmanager
    def _transaction(self) -> Iterator[Batch]:
        with self._store.transaction():
            batch = Batch(self._store)
            yield batch
            batch.changed.update({collection.id: collection for collection in self._base.collections.flush()})
            self._base.words.flush()
            self._deciding.rates.flush()
            self._deciding.changes.novelty.flush()
            self._store.behaviour.flush()
            self._store.list_weights.flush()
            batch.finish()
            self._before_commit()

    # -- questions -----------------------------------------------------------------------------------------------------

    def search(
        self,
        text: str,
        collection: str = "default",
        limit: int = 10,
        *,
        offset: int = 0,
        filter: Mapping[str, Any] | None = None,  # noqa: A002
    ) -> list[FoundItem]:
        """Items for a text by meaning and words, best first, duplicates once; nothing is stored.

        Args:
            text: the question.
            collection: in which to search.
            limit: how many hits at most.
            offset: hits that are left out before; with ``limit`` at most 1,000.
            filter: only items with such attributes, like ``{"category": "mugs", "price": {"$lt": 20}}``.

        Raises:
            InvalidCommand: the text is empty; or the filter is wrong, of other types than the attributes, or about an
                attribute that no item has.
        """
        return self._queries.searching.search(text, collection, limit, offset, filter)

    def recommend(
        self,
        item_id: str,
        collection: str = "default",
        limit: int = 10,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002
    ) -> list[SearchHit] | None:
        """Items similar to a stored one, or ``None`` when it is not there; filtered as those of ``search``."""
        return self._queries.similar.recommend(item_id, collection, limit, filter)

    def recommendations(self, request: ListRequest | Mapping[str, Any]) -> list[Listed] | None:
        """Recommendations from text and behaviour, best first; nothing is stored.

        Args:
            request: like what, for whom, and which items; see ``ListRequest``.

        Returns:
            ``None`` when the item that the request names is not there.

        Raises:
            InvalidCommand: the request or its filter is wrong.
        """
        valid = request if isinstance(request, ListRequest) else validate(ListRequest, dict(request))
        return self._base.lists.answer(valid)

    def compare(self, one: Item | ItemKey, other: Item | ItemKey, *, collection: str | None = None) -> ComparedPair:
        """The verdict on two items; nothing is stored. See ``Comparing.compare``."""
        return self._queries.comparing.compare(one, other, collection)

    def get(self, item_id: str, collection: str = "default") -> ItemView | None:
        """The item with its current verdict."""
        return self._queries.views.get(item_id, collection)

    def incidents(self, collection: str | None = None) -> list[IncidentView]:
        """Open incidents of a collection, or of all, the one that was opened first first."""
        return self._queries.incident_views.of(collection)

    def hits(self, collection: str = "default", days: int = 28) -> list[HitRate] | None:
        """What became of the lists that were shown, by scenario and arm; ``None`` when there is no such collection.

        Args:
            collection: the collection.
            days: lists of so many days of stream time in UTC, today included; figures are kept for 90.
        """
        return self._queries.hit_rates.of(collection, days)

    def recent_hits(self) -> tuple[int, int]:
        """Lists of about the last two days of all collections, and how many of them led to an interaction."""
        return self._queries.hit_rates.recent()

    def open_incidents(self) -> int:
        """How many incidents are open, in all collections."""
        return self._deciding.changes.incidents.open.count()

    def subscriptions(self) -> tuple[int, int]:
        """How many lists are told when they change, and how many of them wait to be made again."""
        return self._store.subscriptions.counts.total(), self._store.subscriptions.waiting()

    def answers(self, collection: str = "default") -> list[AnswerView]:
        """Answers on the items of a collection, in the order in which they were given."""
        return self._queries.views.answers(collection)

    def answer_page(self, collection: str | None = None, after: str | None = None, limit: int = 50) -> AnswerPage:
        """Answers, the newest first, a page at a time; of all collections of the partition where none is named.

        Args:
            collection: whose; by default all.
            after: ``next`` of the page before.
            limit: how many at most, up to 500.

        Raises:
            InvalidCommand: ``after`` is no cursor of answers, or the limit is wrong.
        """
        return self._queries.views.answer_page(collection, after, limit)

    def list_items(
        self,
        collection: str = "default",
        bands: Sequence[str] | None = None,
        order: str = "arrival",
        *,
        descending: bool = True,
        after: str | None = None,
        limit: int = 50,
        text: str | None = None,
    ) -> ItemPage | None:
        """Items of a collection as they stand now, a page at a time; ``None`` when there is no such collection.

        A page costs the same in a large collection. Items that arrive meanwhile move none between pages.

        Args:
            collection: whose items.
            bands: in which they stand: ``new``, ``similar``, ``review``, ``duplicate``; by default all.
            order: ``arrival``, or ``probability`` of the verdicts.
            descending: the latest, or the most probable, first.
            after: ``next`` of the page before, in the same order.
            limit: how many at most, up to 200.
            text: only items that have each word of it. In order of ``probability`` the latest 1,000 of these come
                first, then the next.

        Raises:
            InvalidCommand: an argument is wrong; ``field`` names it.
        """
        return self._queries.listing.items(
            collection, bands, order, descending=descending, after=after, limit=limit, text=text
        )

    def review(
        self, collection: str = "default", order: str = "worth", after: str | None = None, limit: int = 20
    ) -> ReviewPage | None:
        """Pairs that want a person's answer, a page at a time; ``None`` when there is no such collection.

        Args:
            collection: whose pairs.
            order: ``worth`` of an answer, ``probability`` as it was stated, or ``arrival``, the latest first.
            after: ``next`` of the page before, in the same order.
            limit: how many at most, up to 100.

        Raises:
            InvalidCommand: an argument is wrong; ``field`` names it.
        """
        return self._queries.review_queue.page(collection, order, after, limit)

    def group(self, collection: str, item_id: str, after: str | None = None, limit: int = 50) -> GroupPage | None:
        """The group of an item with its members in order of arrival, a page at a time; ``None`` without the item.

        Args:
            collection: of the item.
            item_id: one of the members.
            after: ``next`` of the page before.
            limit: how many members at most, up to 200.

        Raises:
            InvalidCommand: ``after`` is no cursor of groups, or the limit is wrong.
        """
        return self._queries.listing.group(collection, item_id, after, limit)

    def overview(self, after: str | None = None, limit: int = 20) -> OverviewPage:
        """Counts of each collection, by name: items, bands, groups, answers, what waits for review, rates.

        Args:
            after: ``next`` of the page before.
            limit: how many collections at most, up to 50.

        Raises:
            InvalidCommand: ``after`` is no cursor of the overview, or the limit is wrong.
        """
        return self._queries.statistics.overview(after, limit)

    def preview(
        self,
        collection: str = "default",
        duplicate_from: float | None = None,
        review_from: float | None = None,
        target_precision: float | None = None,
    ) -> BandPreview | None:
        """How many items would stand in each band, at once; ``None`` when there is no such collection.

        By the stated probabilities alone, to a thousandth. Groups, answers, contradictions, kinds of text and the
        review budget are left out; ``recommender tune`` takes them into account.

        Args:
            collection: its name.
            duplicate_from: probability from which an item would be a duplicate, in [0, 1]; by default none moves there.
            review_from: probability from which an item would be for review, in [0, 1]; by default as now.
            target_precision: instead of ``duplicate_from``, in [0.5, 0.999]: the border is the one that the matcher
                has for it, for the kind of text that most pairs of the collection have.

        Raises:
            InvalidCommand: an argument is wrong; ``field`` names it.
        """
        return self._queries.statistics.preview(collection, duplicate_from, review_from, target_precision)

    def export(
        self, collection: str = "default", after: int = 0, last: int | None = None, *, second: bool = False
    ) -> ExportPage | None:
        """Items of a collection in order of arrival, a page at a time; ``None`` when there is no such collection.

        Args:
            collection: whose items.
            after: ``next`` of the page before.
            last: the newest so many items only.
            second: with their vectors by the second model of the collection.

        Raises:
            InvalidCommand: there is no second model.
        """
        return self._queries.export.page(collection, after, last, second=second)

    def outcome(self, key: str, collection: str | None = None) -> dict[str, Any] | None:
        """The event that answered the command with this key, or ``None`` if the key was not used recently.

        Without the collection, one alone must have used the key, else ``InvalidCommand`` is raised.
        """
        return self._queries.views.outcome(key, collection)

    def settings(self) -> dict[str, CollectionSettings]:
        """Settings of all collections, by name."""
        return {collection.name: collection.settings for collection in self._base.collections.all()}

    def has(self, collection: str) -> bool:
        """Whether a collection is here as a whole."""
        move = self.moves.of(collection)
        return self._base.collections.find(collection) is not None and (move is None or move.place != "arriving")

    def stats(self) -> dict[str, Any]:
        """Counts by collection, index kinds and sizes, position."""
        return self._queries.statistics.stats()

    def sizes(self) -> tuple[int, Counter[str]]:
        """How many items there are, and how many points by kind of index: the part of ``stats`` that costs little."""
        return self._queries.statistics.sizes()

    def review_share(self) -> float:
        """Share of ``review`` among the recent items of all collections, in [0, 1]."""
        return self._queries.statistics.review_share()

    def kept_bytes(self) -> dict[str, int]:
        """About how many bytes of memory the caches take, by kind: each has a bound."""
        return {**self._base.words.kept_bytes(), **self._store.kept_bytes(), **self._base.filters.kept_bytes}

    # -- upkeep --------------------------------------------------------------------------------------------------------

    @property
    def outbox(self) -> Outbox:
        """Committed events, and the callers that wait for them."""
        return self._store.outbox

    @property
    def last_event(self) -> EntryId:
        """Id of the last event that was given one."""
        return self._store.last_event

    def continue_after(self, last_event: EntryId | None = None, *, position: EntryId | None = None) -> None:
        """Give the next events ids behind that of a stream that was ahead, or go on behind another ``position``."""
        self._store.continue_after(last_event, position)

    def acknowledge(
        self,
        *,
        replied: Sequence[int] = (),
        redacted: Sequence[EntryId] = (),
        delivered: EntryId | None = None,
    ) -> None:
        """Note what has reached its receivers, so that it is not sent again after a restart.

        Args:
            replied: numbers of the replies that have arrived.
            redacted: entries removed from the events stream.
            delivered: the last event handed to the task of the user's own.
        """
        with self._store.transaction():
            self._store.outbox.settle(replied)
            self._store.outbox.redacted(redacted)
            if delivered is not None:
                self._store.set_note("delivered", str(delivered))

    @property
    def delivered(self) -> EntryId | None:
        """The last event handed to the task of the user's own, as far as noted."""
        noted = self._store.note("delivered")
        return None if noted is None else EntryId.parse(noted)

    def prune(self, outbox_ms: int, sent: EntryId) -> int:
        """Drop events up to ``sent`` older than ``outbox_ms``, and what else is past its time; how many events."""
        return self.tidying.prune(outbox_ms, sent)

    def truncate_log(self) -> None:
        """Move the write-ahead log into the database, and truncate it."""
        self._store.truncate_log()

    @property
    def position(self) -> EntryId:
        """Id of the last entry whose effects are committed."""
        return self._store.position

    def due_ms(self) -> int | None:
        """Stream time at which something falls due even if no command comes, or ``None``."""
        times = [self._base.models.due_ms(), *self._deciding.due_ms()]
        return min((due for due in times if due is not None), default=None)

    def snapshot(self, *, all_changes: bool = False) -> None:
        """Write indexes that have changed much to disk (all that have changed at all); a restart starts from there."""
        self._base.indexes.snapshot(all_changes=all_changes)

    def begin_copy(self) -> DatabaseCopy:
        """The state as it is now, for another thread to read at its own pace; work goes on meanwhile.

        Raises:
            StateError: the state is in memory, or is being copied already.
        """
        return self._store.begin_copy()

    def end_copy(self) -> None:
        """Nobody reads the copy any more."""
        self._store.end_copy()

    def recalls(self) -> dict[str, float]:
        """Recall@10 of each approximate index when it last sampled it, in [0, 1], by collection."""
        return self._base.indexes.recalls()

    def sampled_recall(self) -> dict[str, float]:
        """Recall@10 of each approximate index against exact search, measured now on a sample of its own vectors."""
        return self._base.indexes.sampled_recall()

    def warm_up(self) -> None:
        """Load the models of all collections, so that the first command does not wait for them."""
        self._base.embedding.warm_up([CollectionSettings(), *(one.settings for one in self._base.collections.all())])

    def close(self) -> None:
        """Write snapshots and close the store."""
        try:
            self._base.embedding.close()
            self._base.indexes.close(self._base.collections.all())
        finally:
            self._store.close()
            self._on_close()
