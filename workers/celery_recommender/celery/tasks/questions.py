"""The tasks that ask: answered by the owner between two batches, nothing is stored."""

from __future__ import annotations

import inspect
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from celery.utils import uuid

from celery_recommender.celery.tasks.port import MOST_ITEMS, PortTask
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import EntryId, Item, ItemKey
from recommender_engine.items.commands import validate
from recommender_engine.items.list_request import ListRequest
from recommender_engine.recommend.filters import parse

if TYPE_CHECKING:
    from celery_recommender.owner.owner import Owner
    from recommender_engine import Recommender
    from recommender_engine.store import Outbox, OutboxRow

_ANSWER_TIMEOUT_S = 60.0
_PAGE_BYTES = 4 << 20
_PAGE_STEP = 20  # an event that carries all attributes of an item can have some 100 kB
_BACKUP_TIMEOUT_S = 3600.0
_MOST_HOPS = 8
MOST_DAYS = 90
"""Of the days whose hit rates are kept."""
MOST_ASKED = 200
"""Pairs that can be asked about at once."""


class QuestionTask(PortTask):
    """A question to the owner, answered between two batches."""

    abstract = True
    acks_late = False  # the caller asks a lost question again

    def ask(self, question: Callable[[Recommender], Any], about: str | None = None) -> Any:
        """Put it to the engine thread of this process and wait.

        Args:
            question: what to ask.
            about: a collection; if it is another partition's the task goes there, and its caller waits on.

        Raises:
            InvalidCommand: what should name a collection is no text.
        """
        if not isinstance(about, str | None):
            raise InvalidCommand(
                "invalid_value", f"collection must be a text, not {type(about).__name__}", "collection"
            )
        if (memory := self.port.memory) is not None:
            return memory.ask(question)
        owner = self.owner()
        found = owner.ask(lambda engine: _Elsewhere.of(engine, about) or question(engine)).result(_ANSWER_TIMEOUT_S)
        if not isinstance(found, _Elsewhere):
            return found
        partition = found.partition or self.port.partition_of(about)
        if partition == owner.partition:  # it is nowhere yet
            return owner.ask(question).result(_ANSWER_TIMEOUT_S)
        raise self.retry(queue=self.port.queue_of(partition), countdown=0, max_retries=_MOST_HOPS)

    def about(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        """The collection that the question is about, where it has such an argument."""
        parameters = inspect.signature(self.run).parameters
        if "collection" not in parameters:
            return None
        place = list(parameters).index("collection")
        asked = args[place] if len(args) > place else kwargs.get("collection", parameters["collection"].default)
        return asked if isinstance(asked, str) else None

    def owner(self) -> Owner:
        """The owner in this process.

        Raises:
            RuntimeError: there is none.
        """
        owner = self.port.owner
        if owner is None:
            raise RuntimeError(f"{self.name} runs in the owner only: start a worker with --recommender PARTITION")
        return owner


class _Elsewhere(NamedTuple):
    """What a question is about is not here.

    Attributes:
        partition: where it is, by the log.
    """

    partition: str | None

    @classmethod
    def of(cls, engine: Recommender, collection: str | None) -> _Elsewhere | None:
        """Whether a collection is elsewhere, or nowhere. One that is leaving is still read here."""
        if collection is None or engine.has(collection):
            return None
        return cls(engine.moves.partition_of(collection))


class Search(QuestionTask):
    """Text in, items out, found by meaning and by words; nothing is stored."""

    name = "recommender.search"

    def run(
        self,
        text: str,
        collection: str = "default",
        limit: int = 10,
        offset: int = 0,
        filter: dict[str, Any] | None = None,  # noqa: A002 (the name of the argument is public)
    ) -> list[dict[str, Any]]:
        """Items best first, duplicates once.

        Each with ``id``, ``score``, ``group``, ``text``, ``compared``, ``attributes``, ``terms``, ``highlights``; see
        ``recommender_engine.FoundItem``.

        Args:
            text: the question.
            collection: where to search.
            limit: how many, at most 100.
            offset: hits that are left out before; with ``limit`` at most 1,000.
            filter: only items with such attributes, like ``{"category": "mugs", "price": {"$lt": 20}}``.
        """
        most, start, passing = _limit(limit), _count(offset, "offset"), _filter(filter)
        hits = self.ask(
            lambda engine: engine.search(_text(text), collection, most, offset=start, filter=passing), collection
        )
        return [hit.model_dump(mode="json") for hit in hits]


class Recommend(QuestionTask):
    """Items similar to a stored one."""

    name = "recommender.recommend"

    def run(
        self,
        item_id: str | list[str],
        collection: str = "default",
        limit: int = 10,
        filter: dict[str, Any] | None = None,  # noqa: A002 (the name of the argument is public)
    ) -> Any:
        """As for ``search``, ``None`` when the item is not there; for a list of ids, a list."""
        many, passing = _many(item_id, "item_id"), _filter(filter)
        lists = self.ask(
            lambda engine: [engine.recommend(one, collection, _limit(limit), filter=passing) for one in many],
            collection,
        )
        found = [None if hits is None else [hit.model_dump(mode="json") for hit in hits] for hits in lists]
        return found if isinstance(item_id, list) else found[0]


class Recommendations(QuestionTask):
    """A list of recommendations from text and behaviour: like an item, a text or examples; for a user or nobody."""

    name = "recommender.recommendations"

    def run(self, collection: str = "default", **request: Any) -> list[dict[str, Any]] | None:
        """Items best first: ``id``, ``score``, ``group``, ``terms``, ``why``, ``text``, ``compared``, ``attributes``.

        Each item has the ``recommendation_id`` of the list, for ``recommender.shown`` and ``recommender.record``, and
        the user's ``arm`` of an experiment. The id is that of the task, unless the request names one.

        Args:
            collection: where the items are.
            request: ``item``, ``text``, ``vector`` or ``like``, and ``unlike``; ``user`` or ``session``; ``scenario``;
                ``limit``, ``filter`` and other options: see ``recommender_engine.ListRequest``.

        Returns:
            ``None`` when the item that the request names is not there.
        """
        id_ = self.request.id or uuid()  # without a task it is asked on the command line
        asked = validate(ListRequest, {"recommendation_id": id_, "collection": collection, **request})
        listed = self.ask(lambda engine: engine.recommendations(asked), collection)
        return None if listed is None else [one.model_dump(mode="json") for one in listed]


class Hits(QuestionTask):
    """What became of the lists of recommendations that were shown."""

    name = "recommender.hits"

    def run(self, collection: str = "default", days: int = 28) -> list[dict[str, Any]] | None:
        """Hit rates by scenario and arm of an experiment; see ``recommender_engine.items.HitRate``.

        Args:
            collection: whose lists; the result is ``None`` when there is no such collection.
            days: lists of so many days, today included, 1 to 90.
        """
        most = _within(days, MOST_DAYS, "days")
        found = self.ask(lambda engine: engine.hits(collection, most), collection)
        return None if found is None else [one.model_dump(mode="json") for one in found]


class Compare(QuestionTask):
    """Two texts (or items) in, the verdict with its reasons out; nothing is stored."""

    name = "recommender.compare"

    def run(
        self, one: str | dict[str, Any], other: str | dict[str, Any], collection: str | None = None
    ) -> dict[str, Any]:
        """``view``, ``band``, ``probability``, ``similarity``, ``reasons`` and ``explanation``.

        Args:
            one: a text, an item, or ``{"id"}`` alone: the item that is stored under it.
            other: the same.
            collection: in which ``one`` arrives after ``other``; without, the two are judged alone.
        """
        items = [_side(side, name, collection) for side, name in ((one, "one"), (other, "other"))]
        found = self.ask(lambda engine: engine.compare(*items, collection=collection), collection)
        verdict: dict[str, Any] = found.model_dump(mode="json")
        return verdict


class Get(QuestionTask):
    """Items as they stand now."""

    name = "recommender.get"

    def run(self, item_id: str | list[str], collection: str = "default") -> Any:
        """The item, ``None`` when it is not there; for a list of ids, a list."""
        many = _many(item_id, "item_id")
        views = self.ask(lambda engine: [engine.get(one, collection) for one in many], collection)
        found = [None if view is None else view.model_dump(mode="json") for view in views]
        return found if isinstance(item_id, list) else found[0]


class Outcomes(QuestionTask):
    """Outcomes of commands, by the keys that their producer gave them within the last 24 hours."""

    name = "recommender.outcomes"

    def run(self, keys: list[str], collection: str | None = None) -> list[dict[str, Any] | None]:
        """For each key the event that answered it (a CloudEvent), ``None`` where the key is not known.

        Args:
            keys: of commands.
            collection: of the commands; may be left out for keys that one collection alone has used.

        Raises:
            InvalidCommand: several collections have used a key, and none is named.
        """
        many = _many(keys, "keys")
        found: list[dict[str, Any] | None] = self.ask(
            lambda engine: [engine.outcome(key, collection) for key in many], collection
        )
        return found


class Events(QuestionTask):
    """Events once more, from the store: for a consumer that has missed some in the stream."""

    name = "recommender.events"

    def run(self, after: str = "0-0", limit: int = MOST_ITEMS) -> dict[str, Any]:
        """One page of what was published.

        Args:
            after: the id of an event; those behind it are given, in order.
            limit: how many at most; fewer where they are large.

        Returns:
            ``events`` (CloudEvents), ``next`` (the ``after`` of the next page, ``None`` at the end) and ``oldest`` (the
            first event that is kept; what is older is gone).
        """
        start, most = _entry_id(after), min(_count(limit, "limit"), MOST_ITEMS)
        rows, oldest = self.ask(lambda engine: (_page(engine.outbox, start, most), engine.outbox.oldest()))
        return {
            "events": [json.loads(row.event) for row in rows],
            "next": str(rows[-1].id) if rows else None,
            "oldest": None if oldest is None else str(oldest),
        }


class ListItems(QuestionTask):
    """Items of a collection as they stand now, page by page."""

    name = "recommender.list"

    def run(
        self,
        collection: str = "default",
        bands: list[str] | None = None,
        order: str = "arrival",
        descending: bool = True,
        after: str | None = None,
        limit: int = 50,
        text: str | None = None,
    ) -> dict[str, Any] | None:
        """``items`` and ``next``; ``None`` when there is no such collection. See ``Recommender.list_items``."""
        page = self.ask(
            lambda engine: engine.list_items(
                collection, bands, order, descending=descending, after=after, limit=limit, text=text
            ),
            collection,
        )
        return None if page is None else page.model_dump(mode="json")


class Review(QuestionTask):
    """Pairs of a collection that want a person's answer, page by page."""

    name = "recommender.review"

    def run(
        self, collection: str = "default", order: str = "worth", after: str | None = None, limit: int = 20
    ) -> dict[str, Any] | None:
        """``pairs`` and ``next``; ``None`` when there is no such collection. See ``Recommender.review``."""
        page = self.ask(lambda engine: engine.review(collection, order, after, limit), collection)
        return None if page is None else page.model_dump(mode="json")


class Group(QuestionTask):
    """The group of an item with its members, page by page."""

    name = "recommender.group"

    def run(
        self, item_id: str, collection: str = "default", after: str | None = None, limit: int = 50
    ) -> dict[str, Any] | None:
        """``group``, ``canonical``, ``size``, ``members`` and ``next``; ``None`` when the item is not there."""
        page = self.ask(lambda engine: engine.group(collection, item_id, after, limit), collection)
        return None if page is None else page.model_dump(mode="json")


class Overview(QuestionTask):
    """Counts of each collection of a partition, page by page."""

    name = "recommender.overview"

    def run(self, after: str | None = None, limit: int = 20) -> dict[str, Any]:
        """``collections`` and ``next``; see ``Recommender.overview``."""
        page: dict[str, Any] = self.ask(lambda engine: engine.overview(after, limit)).model_dump(mode="json")
        return page


class Preview(QuestionTask):
    """How many items of a collection would stand in each band if the bands began elsewhere."""

    name = "recommender.preview"

    def run(
        self,
        collection: str = "default",
        duplicate_from: float | None = None,
        review_from: float | None = None,
        target_precision: float | None = None,
    ) -> dict[str, Any] | None:
        """Counts, histogram and settings; ``None`` without such a collection. See ``Recommender.preview``."""
        borders = duplicate_from, review_from, target_precision
        found = self.ask(lambda engine: engine.preview(collection, *borders), collection)
        return None if found is None else found.model_dump(mode="json")


class Answers(QuestionTask):
    """The answers about the items of a collection."""

    name = "recommender.answers"

    def run(self, collection: str | None = "default", after: str | None = None, limit: int | None = None) -> Any:
        """All answers in the order in which they were given (``Recommender.answers``), or a page, the newest first.

        Args:
            collection: whose; ``None`` with a limit: of all collections of the partition.
            after: ``next`` of the page before.
            limit: how many at most, up to 500: the result is a page (``answers`` and ``next``) then.
        """
        if limit is None and after is None:
            name = "" if collection is None else collection  # all of all collections would be no bounded list
            found = self.ask(lambda engine: engine.answers(name), name)
            return [one.model_dump(mode="json") for one in found]
        most = 50 if limit is None else limit
        return self.ask(lambda engine: engine.answer_page(collection, after, most), collection).model_dump(mode="json")


class Incidents(QuestionTask):
    """Groups that grow out of their own baseline now."""

    name = "recommender.incidents"

    def run(self, collection: str | None = None) -> list[dict[str, Any]]:
        """Open incidents of a collection, or of all of a partition, the one that was opened first first.

        See ``recommender_engine.pipeline.queries.incident_views.IncidentView`` for what is returned.
        """
        found = self.ask(lambda engine: engine.incidents(collection), collection)
        return [one.model_dump(mode="json") for one in found]


class Calibrate(QuestionTask):
    """Pairs whose answers by people measure the precision that a collection states."""

    name = "recommender.calibrate"

    def run(self, collection: str = "default", kind: str | None = None, limit: int = 1) -> dict[str, Any] | None:
        """How far the precision is measured for one kind of text, and what to ask next.

        The answers are given like any others, by ``recommender.feedback``; see
        ``recommender_engine.pipeline.queries.calibrating.Calibration`` for what is returned.

        Args:
            collection: whose pairs; the result is ``None`` when there is no such collection.
            kind: of text; by default the one whose band is closed and of which there is most to ask.
            limit: how many pairs at most, up to 200.
        """
        most = _limit(limit, MOST_ASKED)
        found = self.ask(lambda engine: engine.calibrating.propose(collection, kind, most), collection)
        return None if found is None else found.model_dump(mode="json")


class Export(QuestionTask):
    """The items of a collection, page by page, as they arrived."""

    name = "recommender.export"

    def run(
        self, collection: str = "default", after: int = 0, last: int | None = None, *, second: bool = False
    ) -> dict[str, Any] | None:
        """One page of items in order of arrival, with recorded vectors; see ``Recommender.export``.

        Args:
            collection: whose items; the result is ``None`` when there is no such collection.
            after: ``next`` of the page before.
            last: the newest so many items only.
            second: with their vectors by the second model of the collection.
        """
        start, most = _count(after, "after"), last and _count(last, "last")
        page = self.ask(lambda engine: engine.export(collection, start, most, second=bool(second)), collection)
        return None if page is None else page.model_dump(mode="json")


class Stats(QuestionTask):
    """Counts by collection, index kinds and sizes, position."""

    name = "recommender.stats"

    def run(self) -> dict[str, Any]:
        """See ``Recommender.stats`` and ``Recommender.kept_bytes``."""
        stats: dict[str, Any] = self.ask(lambda engine: {**engine.stats(), "kept_bytes": engine.kept_bytes()})
        return stats


class Backup(QuestionTask):
    """A backup of the state, made by the owner beside its work, in its own folder: no message names a file."""

    name = "recommender.backup"

    def run(self) -> dict[str, Any]:
        """Where it is (``path``, ``host``) and what its manifest says, once it is written and verified."""
        made = self.owner().back_up().result(_BACKUP_TIMEOUT_S)
        return {"path": str(made.path.resolve()), "host": socket.gethostname(), **made.manifest.model_dump(mode="json")}


QUESTIONS: tuple[type[QuestionTask], ...] = (
    Search,
    Recommend,
    Recommendations,
    Hits,
    Compare,
    Get,
    Outcomes,
    Events,
    ListItems,
    Review,
    Group,
    Overview,
    Preview,
    Answers,
    Incidents,
    Calibrate,
    Export,
    Stats,
    Backup,
)


def _page(outbox: Outbox, after: EntryId, limit: int) -> list[OutboxRow]:
    """The next events, so that a page is never much larger than a result backend takes."""
    page: list[OutboxRow] = []
    size = 0
    while len(page) < limit and size < _PAGE_BYTES:
        rows = outbox.after(page[-1].id if page else after, min(limit - len(page), _PAGE_STEP))
        if not rows:
            break
        page += rows
        size += sum(len(row.event) for row in rows)
    return page


def _entry_id(text: Any) -> EntryId:
    try:
        return EntryId.parse(text)
    except (ValueError, TypeError, AttributeError):
        raise InvalidCommand(
            "invalid_value", "after must be the id of an event, like 1764000000096-0", "after"
        ) from None


def _many(asked: str | list[str], field: str) -> list[str]:
    """What was asked for, one or a list.

    Raises:
        InvalidCommand: the list is too long to be answered at once.
    """
    many = asked if isinstance(asked, list) else [asked]
    if len(many) > MOST_ITEMS:
        raise InvalidCommand("too_large", f"{field} is a list of {len(many)}; at most {MOST_ITEMS} are answered", field)
    return many


def _text(text: Any) -> str:
    return validate(Item, {"id": "question", "text": text}).content


def _side(side: Any, name: str, collection: str | None) -> Item | ItemKey:
    fields = side if isinstance(side, dict) else {"text": side}
    where = {} if collection is None else {"collection": collection}
    if fields.keys() - {"collection"} == {"id"}:
        return validate(ItemKey, {**fields, **where})
    return validate(Item, {"id": f"question: {name}", **fields, **where})


def _filter(filter_: Any) -> Any:
    """A filter that is well-formed; the engine knows which attributes there are."""
    if filter_ is not None:
        parse(filter_)
    return filter_


def _limit(limit: Any, most: int = 100) -> int:
    return _within(limit, most, "limit")


def _within(number: Any, most: int, field: str) -> int:
    if not isinstance(number, int) or not 1 <= number <= most:
        raise InvalidCommand("invalid_value", f"{field} must be between 1 and {most}", field)
    return number


def _count(number: Any, field: str) -> int:
    if not isinstance(number, int) or number < 0:
        raise InvalidCommand("invalid_value", f"{field} must be a whole number from 0", field)
    return number
