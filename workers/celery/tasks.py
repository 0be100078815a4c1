"""The tasks. Commands (ingest, patch, delete …) go into the log; questions (search, compare …) go to the owner.

Each command task has one argument, the same JSON object that stands in the stream's ``data``.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from celery import Task
from celery.backends.rpc import RPCBackend
from celery.exceptions import Ignore, Reject
from kombu.entity import Queue
from redis.exceptions import RedisError

from recommender import Recommender
from recommender.errors import InvalidCommand, RecommenderError
from recommender.items import EntryId, Item
from recommender.items.commands import validate
from recommender.store import Outbox, OutboxRow
from workers.broker.admission import Overloaded
from workers.celery.requests import request_from_context
from workers.celery.results import LookedUpResult
from workers.celery.stream_producer import SentTask, StreamProducer
from workers.client import CommandFields, command_fields
from workers.owner.owner import Owner
from workers.owner.replies import MOST_COMMANDS, command_key, reply_address

MOST_ITEMS = MOST_COMMANDS
"""Items in one ``ingest_many``."""

_ANSWER_TIMEOUT_S = 60.0
_PAGE_BYTES = 4 << 20
_PAGE_STEP = 20  # the payload of a rejected command can have 350 kB
_BACKUP_TIMEOUT_S = 3600.0


class Port(Protocol):
    """What tasks need of the process they run in."""

    @property
    def owner(self) -> Owner | None:
        """The owner that runs in this process, if one does."""

    def append(self, commands: Sequence[CommandFields], requests: dict[str, str]) -> None:
        """Append commands to the log, with the Celery requests that wait for their outcome."""


class PortTask(Task):
    """Base of our tasks: JSON only, on a queue that only the owner consumes, given back if its worker dies."""

    abstract = True
    port: ClassVar[Port]
    queue: ClassVar[Queue]
    serializer = "json"
    acks_late = True
    reject_on_worker_lost = True
    typing = True

    def AsyncResult(self, task_id: str, **options: Any) -> LookedUpResult:  # noqa: N802 (Celery's name)
        """The result of a task, to wait for."""
        return LookedUpResult(task_id, backend=self.backend, task_name=self.name, app=self.app, **options)


class CommandTask(PortTask):
    """A command for the log.

    Called from a process that imports it, the command is appended to the stream at once. Sent by name, or with
    ``countdown`` or ``eta``, it goes through the broker and is appended by the worker that takes it. Either way the
    outcome completes the task: ``.get()`` returns the data of its event, ``link``, ``chain``, ``group``, ``chord`` and
    ``expires`` work. A rejected command fails with ``CommandRefused``.
    """

    abstract = True
    command_type: ClassVar[str]
    # The stream's server is away for a moment, or too much waits: the broker keeps the task and hands it out again.
    autoretry_for = (RedisError, Overloaded)
    max_retries = None
    retry_backoff = True
    retry_backoff_max = 60

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Append to the stream, or send through the broker where Celery needs it.

        Raises:
            Overloaded: too much waits in the stream. Nobody is kept waiting here: the caller knows best whether to come
                back, to drop, or to give the task to the broker (``countdown``), which tries again by itself.
        """
        if not self._needs_broker(options):
            options["producer"] = StreamProducer(self._append_sent)
        return super().apply_async(args, kwargs, **options)

    def _needs_broker(self, options: Mapping[str, Any]) -> bool:
        """To delay a task or try it again, and for results that come back over the caller's own connection."""
        kept = options.get("countdown") or options.get("eta") or options.get("retries")
        return bool(kept or self.app.conf.task_always_eager) or isinstance(self.app.backend, RPCBackend)

    def run(self, data: dict[str, Any], key: str | None = None) -> Any:
        """Executed by the worker that took the task from the broker: append, and leave the outcome to the owner."""
        task_id = self.request.id
        fields = self._fields(task_id, None, data, key)
        self.port.append(fields, {task_id: request_from_context(self.request)})
        raise Ignore

    def retry(self, *args: Any, **kwargs: Any) -> Any:
        """Try again later; where the broker does not take the task back, Celery would drop it."""
        try:
            return super().retry(*args, **kwargs)
        except Reject as error:
            raise Reject(error.reason, requeue=True) from error

    def objection(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> InvalidCommand | None:
        """Why a call with these arguments makes no command; ``None`` if it does."""
        try:
            self._fields("", None, *args, **kwargs)
        except InvalidCommand as error:
            return error
        return None

    def _append_sent(self, sent: SentTask) -> None:
        fields = self._fields(sent.task_id, sent.expires_ms, *sent.args, **sent.kwargs)
        self.port.append(fields, {sent.task_id: sent.request})

    def _fields(
        self, task_id: str, expires_ms: int | None, data: Mapping[str, Any], key: str | None = None
    ) -> list[CommandFields]:
        if not isinstance(key, str | None):
            raise InvalidCommand("wrong_type", "the key must be text", "key")
        fields = command_fields(
            self.command_type, data, key=key or task_id, reply_to=reply_address(task_id), expires_ms=expires_ms
        )
        return [fields]


class Ingest(CommandTask):
    """Create or replace one item: ``ingest.delay({"id": …, "text": …})``."""

    name = "recommender.ingest"
    command_type = "item.upsert"


class Patch(CommandTask):
    """Change attributes: ``patch.delay({"id": …, "attributes": {…}})``."""

    name = "recommender.patch"
    command_type = "item.patch"


class Delete(CommandTask):
    """Take an item out: ``delete.delay({"id": …})``."""

    name = "recommender.delete"
    command_type = "item.delete"


class Erase(CommandTask):
    """Take an item out with every trace of its text: ``erase.delay({"id": …})``."""

    name = "recommender.erase"
    command_type = "item.erase"


class Feedback(CommandTask):
    """What a person says of two items: ``feedback.delay({"id": …, "other": …, "answer": "same"})``."""

    name = "recommender.feedback"
    command_type = "feedback.given"


class IngestMany(CommandTask):
    """Many items at once: ``ingest_many.delay([{…}, {…}])``; the result is the list of their outcomes, in order."""

    name = "recommender.ingest_many"
    command_type = "item.upsert"

    def run(self, data: list[dict[str, Any]], key: str | None = None) -> Any:  # type: ignore[override]
        """As for one."""
        return super().run(data, key)  # type: ignore[arg-type]

    def _fields(self, task_id: str, expires_ms: int | None, data: Any, key: str | None = None) -> list[CommandFields]:
        if not isinstance(data, Sequence) or not 1 <= len(data) <= MOST_ITEMS:
            raise InvalidCommand("wrong_type", f"ingest_many takes a list of 1 to {MOST_ITEMS} items")
        if key is not None:
            raise InvalidCommand("invalid_key", "ingest_many names its commands itself", "key")
        last = len(data) - 1
        return [
            command_fields(
                self.command_type,
                item,
                key=command_key(task_id, place),
                reply_to=reply_address(task_id, len(data)) if place == last else None,
                expires_ms=expires_ms,
            )
            for place, item in enumerate(data)
        ]


class QuestionTask(PortTask):
    """A question to the owner, answered between two batches."""

    abstract = True
    acks_late = False  # a question that was lost is asked again by whoever wants to know

    def ask(self, question: Callable[[Recommender], Any]) -> Any:
        """Put it to the engine thread of this process and wait."""
        return self.owner().ask(question).result(_ANSWER_TIMEOUT_S)

    def owner(self) -> Owner:
        """The owner in this process.

        Raises:
            RuntimeError: there is none.
        """
        owner = self.port.owner
        if owner is None:
            raise RuntimeError(f"{self.name} runs in the owner only: start a worker with --recommender PARTITION")
        return owner


class Search(QuestionTask):
    """Text in, similar items out; nothing is stored."""

    name = "recommender.search"

    def run(self, text: str, collection: str = "default", limit: int = 10) -> list[dict[str, Any]]:
        """Items with ``id``, ``score``, ``group``, ``text`` and ``attributes``, best first, duplicates once."""
        hits = self.ask(lambda engine: engine.search(_text(text), collection, _limit(limit)))
        return [hit.model_dump(mode="json") for hit in hits]


class Recommend(QuestionTask):
    """Items similar to a stored one."""

    name = "recommender.recommend"

    def run(self, item_id: str | list[str], collection: str = "default", limit: int = 10) -> Any:
        """As for ``search``, ``None`` when the item is not there; for a list of ids, a list."""
        many = item_id if isinstance(item_id, list) else [item_id]
        lists = self.ask(lambda engine: [engine.recommend(one, collection, _limit(limit)) for one in many[:MOST_ITEMS]])
        found = [None if hits is None else [hit.model_dump(mode="json") for hit in hits] for hits in lists]
        return found if isinstance(item_id, list) else found[0]


class Compare(QuestionTask):
    """Two texts (or items) in, the verdict with its reasons out; nothing is stored."""

    name = "recommender.compare"

    def run(
        self, one: str | dict[str, Any], other: str | dict[str, Any], collection: str = "default"
    ) -> dict[str, Any]:
        """``band``, ``probability``, ``similarity``, ``reasons`` and ``explanation``."""
        items = [_item(side, collection) for side in (one, other)]
        verdict: dict[str, Any] = self.ask(lambda engine: engine.compare(*items)).model_dump(mode="json")
        return verdict


class Get(QuestionTask):
    """Items as they stand now."""

    name = "recommender.get"

    def run(self, item_id: str | list[str], collection: str = "default") -> Any:
        """The item, ``None`` when it is not there; for a list of ids, a list."""
        many = item_id if isinstance(item_id, list) else [item_id]
        views = self.ask(lambda engine: [engine.get(one, collection) for one in many[:MOST_ITEMS]])
        found = [None if view is None else view.model_dump(mode="json") for view in views]
        return found if isinstance(item_id, list) else found[0]


class Outcomes(QuestionTask):
    """What came of commands, by the keys their producer gave them within the last 24 hours."""

    name = "recommender.outcomes"

    def run(self, keys: list[str]) -> list[dict[str, Any] | None]:
        """For each key the event that answered it (a CloudEvent), ``None`` where the key is not known."""
        found: list[dict[str, Any] | None] = self.ask(lambda engine: [engine.outcome(key) for key in keys[:MOST_ITEMS]])
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


class Answers(QuestionTask):
    """What people said of the items of a collection."""

    name = "recommender.answers"

    def run(self, collection: str = "default") -> list[dict[str, Any]]:
        """Answers in the order in which they were given; see ``Recommender.answers``."""
        return [one.model_dump(mode="json") for one in self.ask(lambda engine: engine.answers(collection))]


class Export(QuestionTask):
    """The items of a collection, page by page, as they arrived."""

    name = "recommender.export"

    def run(self, collection: str = "default", after: int = 0, last: int | None = None) -> dict[str, Any] | None:
        """One page of items in order of arrival, with recorded vectors; see ``Recommender.export``.

        Args:
            collection: whose items; the result is ``None`` when there is no such collection.
            after: ``next`` of the page before.
            last: the newest so many items only.
        """
        page = self.ask(lambda engine: engine.export(collection, _count(after, "after"), last and _count(last, "last")))
        return None if page is None else page.model_dump(mode="json")


class Stats(QuestionTask):
    """Counts by collection, index kinds and sizes, position."""

    name = "recommender.stats"

    def run(self) -> dict[str, Any]:
        """See ``Recommender.stats``."""
        stats: dict[str, Any] = self.ask(lambda engine: engine.stats())
        return stats


class Backup(QuestionTask):
    """A backup of the state, made by the owner beside its work, in its own folder: no message names a file."""

    name = "recommender.backup"

    def run(self) -> dict[str, Any]:
        """Where it is (``path``, ``host``) and what its manifest says, once it is written and verified."""
        made = self.owner().back_up().result(_BACKUP_TIMEOUT_S)
        return {"path": str(made.path.resolve()), "host": socket.gethostname(), **made.manifest.model_dump(mode="json")}


TASKS: tuple[type[PortTask], ...] = (
    Ingest,
    IngestMany,
    Patch,
    Delete,
    Erase,
    Feedback,
    Search,
    Recommend,
    Compare,
    Get,
    Outcomes,
    Events,
    Answers,
    Export,
    Stats,
    Backup,
)


class CommandRefused(RecommenderError):
    """The outcome of a command that was rejected.

    Args are the code, the message and the field, so that Celery can carry it.
    """

    def __init__(self, code: str, message: str = "", field: str | None = None) -> None:
        super().__init__(code, message, field)

    def __str__(self) -> str:
        code, message, _ = self.args
        return f"{code}: {message}"


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


def _text(text: Any) -> str:
    return validate(Item, {"id": "question", "text": text}).content


def _item(side: Any, collection: str) -> Item:
    fields = side if isinstance(side, dict) else {"text": side}
    return validate(Item, {"id": "question", **fields, "collection": collection})


def _limit(limit: Any) -> int:
    if not isinstance(limit, int) or not 1 <= limit <= 100:
        raise InvalidCommand("invalid_value", "limit must be between 1 and 100", "limit")
    return limit


def _count(number: Any, field: str) -> int:
    if not isinstance(number, int) or number < 0:
        raise InvalidCommand("invalid_value", f"{field} must be a whole number from 0", field)
    return number
