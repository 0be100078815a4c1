"""The tasks. Commands (ingest, patch, delete …), which are here, go into the log; questions go to the owner.

Each command task has one argument, the same JSON object as in the stream's ``data``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from celery.backends.rpc import RPCBackend
from celery.exceptions import Ignore, Reject
from celery.utils import uuid
from redis.exceptions import RedisError

from celery_recommender.broker.commands.admission import Overloaded
from celery_recommender.broker.commands.encoding import CommandFields, command_fields
from celery_recommender.broker.routing.routes import collection_of
from celery_recommender.celery.messages.requests import request_from_context
from celery_recommender.celery.tasks.moving import MOVING
from celery_recommender.celery.tasks.port import MOST_ITEMS, PortTask
from celery_recommender.celery.tasks.questions import QUESTIONS
from celery_recommender.celery.tasks.stream_producer import SentTask, StreamProducer
from celery_recommender.celery.tasks.themes import FindThemes
from celery_recommender.owner.delivery.replies import command_key, reply_address
from recommender_engine.errors import InvalidCommand, RecommenderError
from recommender_engine.items import CommandRejected

if TYPE_CHECKING:
    from celery_recommender.owner.delivery.threads import ReplyJob


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
            Overloaded: too much waits in the stream. It does not wait: the caller knows best whether to come
                back, to drop, or to give the task to the broker (``countdown``), which tries again by itself.
        """
        if self.port.memory is not None:
            if refusal := self.objection(args or (), kwargs or {}):
                raise refusal
        elif not self._needs_broker(options):
            options["producer"] = StreamProducer(self._append_sent)
            options.setdefault("queue", self.own_queue)
        return super().apply_async(args, kwargs, **options)

    def _needs_broker(self, options: Mapping[str, Any]) -> bool:
        """To delay a task or try it again, and for results that come back over the caller's own connection."""
        kept = options.get("countdown") or options.get("eta") or options.get("retries")
        return bool(kept) or isinstance(self.app.backend, RPCBackend)

    def run(self, data: dict[str, Any], key: str | None = None) -> Any:
        """Executed by the worker that took the task from the broker: append, and leave the outcome to the owner.

        Where tasks are answered in memory it is executed by the caller, and gives the outcome.

        Raises:
            CommandRefused: in memory: the command is rejected.
        """
        task_id = self.request.id
        if (memory := self.port.memory) is not None:
            return _outcome(memory.decide(self._fields(task_id or uuid(), None, data, key)))
        fields = self._fields(task_id, None, data, key)
        self.port.append(fields, {task_id: request_from_context(self.request)}, self._collection(data))
        raise Ignore

    def about(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        """The collection that a call is about."""
        return collection_of(args[0] if args else kwargs.get("data"))

    def _collection(self, data: Any) -> str | None:
        return collection_of(data)

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
        data = sent.args[0] if sent.args else sent.kwargs.get("data")
        collection = self._collection(data)
        if not sent.ignore_result:
            self.port.require_results(self.port.partition_of(collection))
        self.port.append(fields, {sent.task_id: sent.request}, collection)

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
    """An answer about two items: ``feedback.delay({"id": …, "other": …, "answer": "same"})``."""

    name = "recommender.feedback"
    command_type = "feedback.given"


class Record(CommandTask):
    """What a user did with an item: ``record.delay({"item": …, "user": …, "kind": "buy"})``."""

    name = "recommender.record"
    command_type = "interaction.recorded"


class Shown(CommandTask):
    """A list was shown: ``shown.delay({"recommendation_id": …, "items": […], "user": …})``."""

    name = "recommender.shown"
    command_type = "recommendation.shown"


class MergeUser(CommandTask):
    """A session is this user, at log-in: ``merge_user.delay({"user": …, "session": …})``."""

    name = "recommender.merge_user"
    command_type = "user.merged"


class EraseUser(CommandTask):
    """Delete a user with every stored trace: ``erase_user.delay({"user": …})``."""

    name = "recommender.erase_user"
    command_type = "user.erased"


class Subscribe(CommandTask):
    """A list is told when it changes: ``subscribe.delay({"item": …})`` or ``{"user": …}``."""

    name = "recommender.subscribe"
    command_type = "recommendations.subscribed"


class Unsubscribe(CommandTask):
    """A list is told no longer: ``unsubscribe.delay({"item": …})`` or ``{"user": …}``."""

    name = "recommender.unsubscribe"
    command_type = "recommendations.unsubscribed"


class OwnersTask(CommandTask):
    """Base of the commands that need the rights of a worker.

    Such a command is appended by the process that calls it, which must have a user of the server that may do what a
    worker does. It is not accepted through the broker: everyone with write access to a queue could send it.
    """

    instead: ClassVar[str]
    """The command of the command line that does the same."""

    def objection(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> InvalidCommand | None:
        """It came through the broker."""
        return InvalidCommand(
            "not_permitted",
            f"{self.name} is not taken through the broker: call it where `attach` has been called, without countdown or"
            f" eta, or use `{self.instead}`",
            "task",
        )

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Append to the stream.

        Raises:
            InvalidCommand: it would go through the broker.
            NotPermitted: this process may not do it.
        """
        if self._needs_broker(options) and (refusal := self.objection(args or (), kwargs or {})) is not None:
            raise refusal
        return super().apply_async(args, kwargs, **options)


class DeleteCollection(OwnersTask):
    """Delete a collection with all that is in it: ``delete_collection.delay({"collection": …})``."""

    name = "recommender.delete_collection"
    command_type = "collection.deleted"
    instead = "recommender delete-collection"


class ProposeModel(OwnersTask):
    """Embed a collection by a second model: ``propose_model.delay({"collection": …, "model": …, "digest": …})``."""

    name = "recommender.propose_model"
    command_type = "model.proposed"
    instead = "recommender model propose"


class PromoteModel(OwnersTask):
    """Switch a collection to its second model: ``promote_model.delay({"collection": …, "model": …, "digest": …})``."""

    name = "recommender.promote_model"
    command_type = "model.promoted"
    instead = "recommender model promote"


class DropModel(OwnersTask):
    """Delete the second model of a collection: ``drop_model.delay({"collection": …, "model": …, "digest": …})``."""

    name = "recommender.drop_model"
    command_type = "model.dropped"
    instead = "recommender model drop"


class IngestMany(CommandTask):
    """Many items at once: ``ingest_many.delay([{…}, {…}])``; the result is the list of their outcomes, in order."""

    name = "recommender.ingest_many"
    command_type = "item.upsert"

    def run(self, data: list[dict[str, Any]], key: str | None = None) -> Any:  # type: ignore[override]
        """As for one.

        Raises:
            InvalidCommand: the items belong to several collections, and there are several partitions.
        """
        return super().run(data, key)  # type: ignore[arg-type]

    def about(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        """The collection of the first item."""
        data = args[0] if args else kwargs.get("data")
        return collection_of(data[0]) if isinstance(data, list) and data else None

    def _collection(self, data: Any) -> str | None:
        """The collection of the items. One reply answers for them, so all must be decided in one partition.

        Collections that are in the same one now may not be when the last of the items is decided.
        """
        named = dict.fromkeys(one for one in map(collection_of, data) if one is not None)
        if len(named) > 1 and self.port.several:
            raise InvalidCommand(
                "several_partitions",
                "the items belong to several collections, and there are several partitions: send"
                " a list for each collection",
            )
        return next(iter(named), None)

    def _fields(self, task_id: str, expires_ms: int | None, data: Any, key: str | None = None) -> list[CommandFields]:
        if not isinstance(data, Sequence) or not 1 <= len(data) <= MOST_ITEMS:
            raise InvalidCommand("wrong_type", f"ingest_many takes a list of 1 to {MOST_ITEMS} items")
        if key is not None:
            raise InvalidCommand("invalid_key", "ingest_many makes the keys of its commands: leave key out", "key")
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


TASKS: tuple[type[PortTask], ...] = (
    Ingest,
    Patch,
    Delete,
    Erase,
    Feedback,
    Record,
    Shown,
    MergeUser,
    EraseUser,
    Subscribe,
    Unsubscribe,
    DeleteCollection,
    ProposeModel,
    PromoteModel,
    DropModel,
    IngestMany,
    *QUESTIONS,
    FindThemes,
    *MOVING,
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


def _outcome(job: ReplyJob) -> Any:
    """The value of ``.get()``."""
    if job.many:
        return list(job.outcomes)
    (outcome,) = job.outcomes
    if outcome["type"] == CommandRejected.type:
        raise CommandRefused(outcome["code"], outcome["message"], outcome["field"])
    return outcome
