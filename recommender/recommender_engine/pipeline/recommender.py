"""The engine: commands in, events out, everything between in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from recommender_engine.embedding import Encoders
from recommender_engine.errors import InvalidCommand, StateFull
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
    UpsertItem,
)
from recommender_engine.items.commands import validate
from recommender_engine.items.list_request import ListRequest
from recommender_engine.matching import MATCHERS, LearnedMatcher, MatcherFactory
from recommender_engine.message import Messages
from recommender_engine.pipeline.arrival.arrivals import Arrivals
from recommender_engine.pipeline.arrival.departures import Departures
from recommender_engine.pipeline.arrival.recutting import Recutting
from recommender_engine.pipeline.batch import Batch, Decision
from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts
from recommender_engine.pipeline.candidates.filtering import Filters
from recommender_engine.pipeline.candidates.novelty import Novelty
from recommender_engine.pipeline.candidates.policy_index import PolicyIndex
from recommender_engine.pipeline.candidates.recommendations import Recommendations
from recommender_engine.pipeline.candidates.search import CandidateSearch
from recommender_engine.pipeline.collections import MOST_COLLECTIONS, Collections
from recommender_engine.pipeline.commands.collection_changes import CollectionChanges
from recommender_engine.pipeline.commands.feedback import Feedback
from recommender_engine.pipeline.commands.handlers import Handlers
from recommender_engine.pipeline.commands.item_changes import ItemChanges
from recommender_engine.pipeline.commands.model_changes import ModelChanges
from recommender_engine.pipeline.commands.upsert_events import UpsertEvents
from recommender_engine.pipeline.commands.upserts import Upserts
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.dedup.corrections import Corrections
from recommender_engine.pipeline.dedup.current_verdicts import CurrentVerdicts
from recommender_engine.pipeline.dedup.group_edits import GroupEdits
from recommender_engine.pipeline.dedup.groups import Groups
from recommender_engine.pipeline.dedup.judging import Judging
from recommender_engine.pipeline.dedup.review_budget import ReviewBudget
from recommender_engine.pipeline.incidents.incidents import Incidents
from recommender_engine.pipeline.interactions.hit_rates import HitRates
from recommender_engine.pipeline.interactions.interactions import Interactions
from recommender_engine.pipeline.learning.models import Models
from recommender_engine.pipeline.learning.promises import Promises
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.loading import load
from recommender_engine.pipeline.migration.move_steps import MoveSteps
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.migration.retention import Retention
from recommender_engine.pipeline.migration.retirement import Retirement
from recommender_engine.pipeline.notes import Notes
from recommender_engine.pipeline.outcomes.outcomes import Outcomes
from recommender_engine.pipeline.outcomes.summaries import Summaries
from recommender_engine.pipeline.prepared import (
    Prepared,
    PreparedForward,
    PreparedRejection,
    PreparedRepeat,
    PreparedUpsert,
    segments,
)
from recommender_engine.pipeline.queries.calibrating import Calibrating
from recommender_engine.pipeline.queries.comparing import ComparedPair, Comparing
from recommender_engine.pipeline.queries.export import Export, ExportPage
from recommender_engine.pipeline.queries.incident_views import IncidentView, IncidentViews
from recommender_engine.pipeline.queries.listing import GroupPage, ItemPage, Listing
from recommender_engine.pipeline.queries.review_queue import ReviewPage, ReviewQueue
from recommender_engine.pipeline.queries.searching import FoundItem, Searching
from recommender_engine.pipeline.queries.similar import SearchHit, SimilarItems
from recommender_engine.pipeline.queries.statistics import BandPreview, OverviewPage, Statistics
from recommender_engine.pipeline.queries.views import AnswerPage, AnswerView, ItemView, Views
from recommender_engine.pipeline.recommend.listed import Listed
from recommender_engine.pipeline.recommend.lists import RecommendationLists
from recommender_engine.pipeline.recommend.resolving import RequestResolver
from recommender_engine.pipeline.recommend.updates import ListUpdates
from recommender_engine.pipeline.stream_time.expiry import Expiry
from recommender_engine.pipeline.stream_time.rates import Rates
from recommender_engine.pipeline.subscriptions.changed_lists import ChangedLists
from recommender_engine.pipeline.subscriptions.subscribing import Subscribing
from recommender_engine.pipeline.vectors.embedding_step import Embedded, EmbeddingStep, Vector
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.pipeline.vectors.overlay import Found
from recommender_engine.pipeline.vectors.prefetching import EmbeddingExecutor
from recommender_engine.pipeline.vectors.second_models import SecondModels
from recommender_engine.pipeline.vectors.switching import Switching
from recommender_engine.store import DatabaseCopy, Outbox, SqliteStore


class Recommender:
    """Similar items and duplicate verdicts for a log of commands.

    A decision is a function of the commands before it: the batches do not matter. One thread
    calls it.

    Args:
        store: the state; what is committed there happened.
        encoders: the embedding models.
        indexes: the vector indexes, derived from the store.
        matcher: makes the matcher of the rule ``learned``.
        before_commit: called in the transaction of every batch, last; an exception undoes the batch.
        on_close: called after the store has been closed.
        remote: embeds further ahead than the next batch, elsewhere; it is closed with the engine.
        most_collections: how many there may be; a command that would make one more is rejected.
        messages: find what of a text is compared; by our own rules by default.

    Raises:
        ModelError: a collection holds vectors of a model other than the one its settings name.
    """

    def __init__(
        self,
        store: SqliteStore,
        encoders: Encoders,
        indexes: Indexes | None = None,
        matcher: MatcherFactory = LearnedMatcher,
        before_commit: Callable[[], None] = lambda: None,
        on_close: Callable[[], None] = lambda: None,
        remote: EmbeddingExecutor | None = None,
        most_collections: int = MOST_COLLECTIONS,
        messages: Messages | None = None,
    ) -> None:
        self._before_commit = before_commit
        self._on_close = on_close
        self._store = store
        self._messages = messages or Messages()
        self._embedding = EmbeddingStep(store, encoders, self._messages, remote)
        self._collections = Collections(store, encoders, most_collections, self._messages)
        self._indexes = indexes or Indexes(store)
        load(store, self._collections, self._indexes)
        self.second_models = SecondModels(store, self._embedding)
        self._words = Words(store, self._collections)
        self._models = Models(store, self._collections)
        self._answers = Answers(store)
        self._summaries = Summaries(store, self._collections)
        self._expiry = Expiry(store, self._collections)
        self._rates = Rates(store, self._collections)
        self._policy_index = PolicyIndex(store, self._collections)
        compared_texts = ComparedTexts(store, self._messages)
        search = CandidateSearch(store, self._indexes, compared_texts, self._policy_index, self._words)
        recommendations = Recommendations(store, compared_texts)
        factories = {**MATCHERS, "learned": matcher}.items()
        matchers = {rule: make(self._words.statistics, self._models.of) for rule, make in factories}
        judging = Judging(store, search, matchers)
        groups = Groups(store, compared_texts, judging, self._answers, self._models.of)
        current_verdicts = CurrentVerdicts(store)
        self._changed_lists = ChangedLists(store, self._collections)
        corrections = Corrections(store, current_verdicts, self._changed_lists)
        review = ReviewBudget(self._collections, self._models.of)
        store.standings.rank_by(review.rank)
        arrivals = Arrivals(store, self._words, judging, self._answers, groups, review)
        self._recutting = Recutting(store, self._collections, self._embedding, compared_texts, arrivals, search)
        self._departures = departures = Departures(store, arrivals, search, corrections)
        edits = GroupEdits(store, judging, self._answers, groups)
        feedback = Feedback(
            store,
            self._collections,
            search,
            arrivals,
            self._answers,
            edits,
            self._models,
            current_verdicts,
            corrections,
        )
        outcomes = Outcomes(self._summaries)
        self._incidents = Incidents(store, self._collections)
        self._novelty = Novelty(store)
        upserts = Upserts(
            store,
            self._collections,
            search,
            arrivals,
            departures,
            self._expiry,
            self._incidents,
            self._novelty,
            UpsertEvents(current_verdicts, recommendations, corrections, departures, outcomes, self._changed_lists),
        )
        self.moves = MovedCollections(store, self._collections, self._words)
        retirement = Retirement(store, self._collections)
        self.moving = MoveSteps(
            store,
            encoders,
            self._collections,
            self._words,
            self._summaries,
            self.moves,
            retirement,
            self._answers,
            self._incidents,
            self._novelty,
            self._changed_lists,
        )
        subscribing = Subscribing(store, self._collections, self._changed_lists)
        whole = CollectionChanges(
            store, self._collections, self._summaries, self.moves, retirement, self._incidents, subscribing
        )
        models = ModelChanges(
            store,
            self._collections,
            self._embedding,
            self.second_models,
            Switching(store, self._embedding, self._indexes, self.second_models),
            self._novelty,
            self._changed_lists,
        )
        self.tidying = Retention(store, self.moves.leftovers)
        self._items = ItemChanges(
            store, self._collections, departures, feedback, outcomes, self.moves, self._changed_lists
        )
        interactions = Interactions(store, self._collections, self._changed_lists)
        self._shown = interactions.shown
        self._handlers = Handlers(
            store, self.moves, upserts, self._items, feedback, whole, models, self.moving, interactions, subscribing
        )
        self.notes = Notes(store)
        self.promises = Promises(store, self._collections, self._models)
        self.calibrating = Calibrating(store, self._collections, self._models, self._answers, self.promises)
        self._filters = Filters(store, self._indexes)
        resolver = RequestResolver(store, self._collections, self._embedding, compared_texts, search, self._filters)
        self._lists = RecommendationLists(
            store, resolver, compared_texts, recommendations, self._indexes, self._filters
        )
        self._list_updates = ListUpdates(store, self._changed_lists, resolver, self._lists, self._indexes)
        self._similar = SimilarItems(
            store, self._collections, self._embedding, compared_texts, search, recommendations, self._filters
        )
        self._views = Views(store, self._collections, compared_texts, current_verdicts)
        self._listing = Listing(store, self._collections, current_verdicts, self._words)
        self._review_queue = ReviewQueue(store, self._collections, current_verdicts, self._answers, self._models.of)
        self._export = Export(store, self._collections, current_verdicts)
        self._statistics = Statistics(
            store, self._collections, self._indexes, self._answers, self.promises, self.second_models
        )
        self._searching = Searching(
            store,
            self._collections,
            self._embedding,
            compared_texts,
            self._indexes,
            search,
            recommendations,
            self._filters,
            self._words,
        )
        self._hit_rates = HitRates(store, self._collections)
        self._incident_views = IncidentViews(store, self._collections, self._incidents)
        self._comparing = Comparing(
            store, self._embedding, compared_texts, self._collections, self._words, search, arrivals, judging
        )
        self._recutting.open()

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
                for prepared in self._prepare(segment):
                    self._decide(prepared, batch)
        self._embedding.committed()
        self._indexes.apply(batch.changed.values(), batch.overlays)
        for collection in batch.retired:
            self._indexes.forget(collection)
        self._messages.forget_texts()
        if batch.retired or any(isinstance(entry.command, EraseItem | EraseUser) for entry in fresh):
            self._words.forget_texts()
            self._filters.forget_erased()
            with suppress(StateFull):  # the batch is committed, and ``tidying`` does the rest
                self._store.truncate_log()
        return batch.events

    def embed_ahead(self, entries: Sequence[Entry]) -> None:
        """Begin to embed the texts of this batch or the next beside it; no decision is different for it."""
        self._embedding.begin(self._ours(entries), self._collections.settings)

    def embed_remotely(self, entries: Sequence[Entry]) -> bool:
        """The same for a batch however far ahead, by ``remote``; whether nothing of it is left to be embedded here."""
        return self._embedding.begin_remotely(self._ours(entries), self._collections.settings)

    def _ours(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those that are not to be passed on."""
        return [entry for entry in entries if self.moves.destination(entry) is None]

    @contextmanager
    def _transaction(self) -> Iterator[Batch]:
        with self._store.transaction():
            batch = Batch(self._store)
            yield batch
            batch.changed.update({collection.id: collection for collection in self._collections.flush()})
            self._words.flush()
            self._rates.flush()
            self._novelty.flush()
            self._store.behaviour.flush()
            self._store.list_weights.flush()
            batch.finish()
            self._before_commit()

    def _prepare(self, entries: Sequence[Entry]) -> Iterable[Prepared]:
        """Embed what must be embedded and ask the indexes once for all of it."""
        forwards = {entry.id: to for entry in entries if (to := self.moves.destination(entry)) is not None}
        refused = self._rates.refusals([entry for entry in entries if entry.id not in forwards])
        prepared = {entry.id: Prepared(entry) for entry in entries}
        upserts: list[tuple[Entry, UpsertItem]] = []
        for entry in entries:
            if (partition := forwards.get(entry.id)) is not None:
                prepared[entry.id] = PreparedForward(entry, partition)
            elif (error := refused.get(entry.id)) is not None:
                prepared[entry.id] = PreparedRejection(entry, error)
            elif (first := self._handlers.first_use(entry)) is not None:
                prepared[entry.id] = PreparedRepeat(entry, first)
            elif isinstance(entry.command, UpsertItem):
                upserts.append((entry, entry.command))
        results = self._embedding.embed(
            [(command, self._collections.settings(command.collection)) for _, command in upserts]
        )
        pairs = list(zip(upserts, results, strict=True))
        found = self._search({entry.id: one for (entry, _), one in pairs if isinstance(one, Embedded)})
        for (entry, command), result in pairs:
            prepared[entry.id] = (
                PreparedRejection(entry, result)
                if isinstance(result, InvalidCommand)
                else PreparedUpsert(entry, command, result, found.get(entry.id))
            )
        return prepared.values()

    def _search(self, embedded: Mapping[EntryId, Embedded]) -> dict[EntryId, Found]:
        queries: dict[str, dict[EntryId, Vector]] = {}
        for id_, one in embedded.items():
            queries.setdefault(one.item.collection, {})[id_] = one.vector
        found: dict[EntryId, Found] = {}
        for name, vectors in queries.items():
            if (collection := self._collections.find(name)) is not None:
                found.update(self._indexes.search(collection, vectors))
        return found

    def _decide(self, prepared: Prepared, batch: Batch) -> None:
        entry, decision = prepared.entry, Decision(prepared.entry, batch)
        self._models.take_effect(entry)
        for collection, rows in self._expiry.due(entry):
            self._items.expire(decision.within(collection), rows)
        for collection, groups in self._expiry.groups_named(entry):
            self._departures.settle(decision.within(collection), groups)
        self._policy_index.assign_keys(entry.command)
        self._recutting.some(decision)
        self._summaries.emit_due(decision)
        self._incidents.emit_due(decision)
        self._shown.emit_due(decision)
        self._list_updates.emit_due(decision)
        self._handlers.handle(prepared, decision)
        self._incidents.unite(decision)
        batch.position, batch.clock_ms = entry.id, entry.time_ms

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
        return self._searching.search(text, collection, limit, offset, filter)

    def recommend(
        self,
        item_id: str,
        collection: str = "default",
        limit: int = 10,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002
    ) -> list[SearchHit] | None:
        """Items similar to a stored one, or ``None`` when it is not there; filtered as those of ``search``."""
        return self._similar.recommend(item_id, collection, limit, filter)

    def recommendations(self, request: ListRequest | Mapping[str, Any]) -> list[Listed] | None:
        """Recommendations from text and behaviour, best first; nothing is stored.

        Args:
            request: like what, for whom, and which items; see ``ListRequest``.

        Returns:
            ``None`` when the item that the request names is not there.

        Raises:
            InvalidCommand: the request or its filter is wrong.
        """
        return self._lists.answer(request if isinstance(request, ListRequest) else validate(ListRequest, dict(request)))

    def compare(self, one: Item | ItemKey, other: Item | ItemKey, *, collection: str | None = None) -> ComparedPair:
        """The verdict on two items; nothing is stored. See ``Comparing.compare``."""
        return self._comparing.compare(one, other, collection)

    def get(self, item_id: str, collection: str = "default") -> ItemView | None:
        """The item with its current verdict."""
        return self._views.get(item_id, collection)

    def incidents(self, collection: str | None = None) -> list[IncidentView]:
        """Open incidents of a collection, or of all, the one that was opened first first."""
        return self._incident_views.of(collection)

    def hits(self, collection: str = "default", days: int = 28) -> list[HitRate] | None:
        """What became of the lists that were shown, by scenario and arm; ``None`` when there is no such collection.

        Args:
            collection: the collection.
            days: lists of so many days of stream time in UTC, today included; figures are kept for 90.
        """
        return self._hit_rates.of(collection, days)

    def recent_hits(self) -> tuple[int, int]:
        """Lists of about the last two days of all collections, and how many of them led to an interaction."""
        return self._hit_rates.recent()

    def open_incidents(self) -> int:
        """How many incidents are open, in all collections."""
        return self._incidents.open.count()

    def subscriptions(self) -> tuple[int, int]:
        """How many lists are told when they change, and how many of them wait to be made again."""
        return self._store.subscriptions.counts.total(), self._store.subscriptions.waiting()

    def answers(self, collection: str = "default") -> list[AnswerView]:
        """Answers on the items of a collection, in the order in which they were given."""
        return self._views.answers(collection)

    def answer_page(self, collection: str | None = None, after: str | None = None, limit: int = 50) -> AnswerPage:
        """Answers, the newest first, a page at a time; of all collections of the partition where none is named.

        Args:
            collection: whose; by default all.
            after: ``next`` of the page before.
            limit: how many at most, up to 500.

        Raises:
            InvalidCommand: ``after`` is no cursor of answers, or the limit is wrong.
        """
        return self._views.answer_page(collection, after, limit)

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
        return self._listing.items(collection, bands, order, descending=descending, after=after, limit=limit, text=text)

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
        return self._review_queue.page(collection, order, after, limit)

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
        return self._listing.group(collection, item_id, after, limit)

    def overview(self, after: str | None = None, limit: int = 20) -> OverviewPage:
        """Counts of each collection, by name: items, bands, groups, answers, what waits for review, rates.

        Args:
            after: ``next`` of the page before.
            limit: how many collections at most, up to 50.

        Raises:
            InvalidCommand: ``after`` is no cursor of the overview, or the limit is wrong.
        """
        return self._statistics.overview(after, limit)

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
        return self._statistics.preview(collection, duplicate_from, review_from, target_precision)

    def export(self, collection: str = "default", after: int = 0, last: int | None = None) -> ExportPage | None:
        """Items of a collection in order of arrival, a page at a time; ``None`` when there is no such collection."""
        return self._export.page(collection, after, last)

    def outcome(self, key: str, collection: str | None = None) -> dict[str, Any] | None:
        """The event that answered the command with this key, or ``None`` if the key was not used recently.

        Without the collection, one alone must have used the key, else ``InvalidCommand`` is raised.
        """
        return self._views.outcome(key, collection)

    def settings(self) -> dict[str, CollectionSettings]:
        """Settings of all collections, by name."""
        return {collection.name: collection.settings for collection in self._collections.all()}

    def has(self, collection: str) -> bool:
        """Whether a collection is here as a whole."""
        move = self.moves.of(collection)
        return self._collections.find(collection) is not None and (move is None or move.place != "arriving")

    def stats(self) -> dict[str, Any]:
        """Counts by collection, index kinds and sizes, position."""
        return self._statistics.stats()

    def sizes(self) -> tuple[int, Counter[str]]:
        """How many items there are, and how many points by kind of index: the part of ``stats`` that costs little."""
        return self._statistics.sizes()

    def review_share(self) -> float:
        """Share of ``review`` among the recent items of all collections, in [0, 1]."""
        return self._statistics.review_share()

    def kept_bytes(self) -> dict[str, int]:
        """About how many bytes of memory the caches take, by kind: each has a bound."""
        return {**self._words.kept_bytes(), **self._store.kept_bytes(), "attributes": self._filters.kept_bytes}

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
        beside = self._summaries, self._expiry, self._models, self._incidents, self._shown, self._changed_lists
        times = [one.due_ms() for one in beside]
        return min((due for due in times if due is not None), default=None)

    def snapshot(self, *, all_changes: bool = False) -> None:
        """Write indexes that have changed much to disk (all that have changed at all); a restart starts from there."""
        self._indexes.snapshot(all_changes=all_changes)

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
        return self._indexes.recalls()

    def sampled_recall(self) -> dict[str, float]:
        """Recall@10 of each approximate index against exact search, measured now on a sample of its own vectors."""
        return self._indexes.sampled_recall()

    def warm_up(self) -> None:
        """Load the models of all collections, so that the first command does not wait for them."""
        self._embedding.warm_up([CollectionSettings(), *(one.settings for one in self._collections.all())])

    def close(self) -> None:
        """Write snapshots and close the store."""
        try:
            self._embedding.close()
            self._indexes.close(self._collections.all())
        finally:
            self._store.close()
            self._on_close()
