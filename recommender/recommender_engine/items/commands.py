"""Commands of producers, the table of all commands, and how an entry of the stream is decoded into one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NoReturn, Self, TypeVar

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import limits
from recommender_engine.items.collection import CollectionSettings
from recommender_engine.items.command import CollectionCommand, Command, ItemCommand
from recommender_engine.items.entry_id import EntryId
from recommender_engine.items.item import Item, ItemKey, Timestamp
from recommender_engine.items.list_request import MOST_LISTED
from recommender_engine.items.models import DropModel, PromoteModel, ProposeModel
from recommender_engine.items.moves import MoveCollection, ReceiveRecords
from recommender_engine.items.owners import QuarantineCommand, RefuseMessage, TickClock
from recommender_engine.items.subscriptions import SubscribeList, UnsubscribeList
from recommender_engine.items.values import Attributes, Id, Key, Name, Value, Version


class UpsertItem(Item, ItemCommand):
    """Create the item or replace it as a whole.

    Attributes:
        version: the producer's own counter; an older one than the last seen loses.
        silent: change the state and publish nothing but a summary (backfill of a catalogue).
    """

    type: ClassVar = "item.upsert"
    privileged: ClassVar = False
    rated: ClassVar = True
    version: Version | None = None
    silent: bool = False


class PatchItem(ItemCommand):
    """Change attributes (price, stock, status); ``null`` removes one. Nothing is embedded again."""

    type: ClassVar = "item.patch"
    privileged: ClassVar = False
    rated: ClassVar = True
    attributes: Attributes = Field(min_length=1)
    version: Version | None = None
    silent: bool = False


class DeleteItem(ItemCommand):
    """Take the item out; it appears in no later event."""

    type: ClassVar = "item.delete"
    privileged: ClassVar = False
    rated: ClassVar = True
    version: Version | None = None
    silent: bool = False


class EraseItem(ItemCommand):
    """Delete the item and every stored trace of its text. No rate refuses it."""

    type: ClassVar = "item.erase"
    privileged: ClassVar = False


class ConfigureCollection(CollectionCommand):
    """Set the settings of a collection; keys left out take their defaults. No rate refuses it."""

    type: ClassVar = "collection.configured"
    privileged: ClassVar = False
    routed: ClassVar = True
    alters_collection: ClassVar = True
    settings: CollectionSettings


class DeleteCollection(CollectionCommand):
    """Delete a collection with all that is in it; appended by ``recommender delete-collection``.

    It cannot be found from then on, and its name may be used anew. Its rows are deleted a few at a time.
    """

    type: ClassVar = "collection.deleted"
    privileged: ClassVar = True
    routed: ClassVar = True
    alters_collection: ClassVar = True


class GiveFeedback(ItemCommand):
    """A person's answer on two items, or on the verdict on one. It holds for ever, and the matcher learns from it.

    Attributes:
        id: the item the answer is about.
        other: the other item; needed for ``same``, ``different`` and ``unsure``.
        answer: the two are the ``same`` thing, they are ``different`` things, or ``unsure``: an earlier answer on them
            is taken back. Without ``other``, whether the ``duplicate`` verdict on the item is ``right`` or ``wrong``.
        by: name of the person.
    """

    type: ClassVar = "feedback.given"
    privileged: ClassVar = False
    rated: ClassVar = True
    other: Id | None = None
    answer: Literal["same", "different", "unsure", "right", "wrong"]
    by: Id | None = None

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The item, and the other one if there is one."""
        return (self.id,) if self.other is None else (self.id, self.other)

    @model_validator(mode="after")
    def _of_one_or_of_two(self) -> Self:
        if self.answer in {"right", "wrong"}:
            if self.other is not None:
                raise ValueError(f"'{self.answer}' speaks of the verdict on one item; leave out 'other'")
        elif self.other is None:
            raise ValueError(f"'{self.answer}' speaks of two items; 'other' is missing")
        elif self.other == self.id:
            raise ValueError("'id' and 'other' are one and the same item")
        return self


class RecordInteraction(CollectionCommand):
    """What a user, or an anonymous session, did with an item. The item may arrive later.

    Attributes:
        collection: the collection of the item.
        item: the item.
        user: the user, if known. An interaction has a user, a session, or both.
        session: the producer's name for the visit; without ``user`` it stands for the user until ``user.merged``.
        kind: one of those in the setting ``interaction_weights`` of the collection.
        value: of a kind that has one, such as the stars of ``rate``.
        time: when it was, with a time zone; by default, and never later than, the time of the command.
        recommendation_id: the list that led to it, if the producer knows it.
    """

    type: ClassVar = "interaction.recorded"
    privileged: ClassVar = False
    routed: ClassVar = True
    rated: ClassVar = True
    collection: Id = "default"
    item: Id
    user: Id | None = None
    session: Id | None = None
    kind: Name = "view"
    value: float | None = None
    time: Timestamp | None = None
    recommendation_id: Id | None = None

    @model_validator(mode="after")
    def _of_somebody(self) -> Self:
        if self.user is None and self.session is None:
            raise ValueError("'user' is missing, or 'session' for an anonymous visitor")
        return self


class RecordShownList(CollectionCommand):
    """A list of recommendations was shown. An item of it that is used within a day is a hit.

    Attributes:
        collection: the collection of the items.
        recommendation_id: of the answer or event that held the list; a list counts once.
        items: ids of the items that were shown, in their order.
        user: to whom; or …
        session: … to which anonymous session. Without both, only interactions that name the list are its hits.
        scenario: the scenario of the request, under which it is counted.
        arm: the arm of the scenario's experiment; by default the one that the user is in.
        time: when it was, with a time zone; by default, and never later than, the time of the command.
    """

    type: ClassVar = "recommendation.shown"
    privileged: ClassVar = False
    routed: ClassVar = True
    rated: ClassVar = True
    collection: Id = "default"
    recommendation_id: Id
    items: Annotated[tuple[Id, ...], Field(strict=False, min_length=1, max_length=MOST_LISTED)]
    user: Id | None = None
    session: Id | None = None
    scenario: Name | None = None
    arm: Name | None = None
    time: Timestamp | None = None

    @field_validator("items")
    @classmethod
    def _each_once(cls, items: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(items)) < len(items):
            raise ValueError("an item stands twice in the list")
        return items


class MergeUser(CollectionCommand):
    """An anonymous session is this user: at log-in, what it did becomes part of the user's profile.

    Attributes:
        collection: the collection that both used.
        user: the user.
        session: the session that is merged into it.
    """

    type: ClassVar = "user.merged"
    privileged: ClassVar = False
    routed: ClassVar = True
    rated: ClassVar = True
    collection: Id = "default"
    user: Id
    session: Id


class EraseUser(CollectionCommand):
    """Delete a user with profile, sessions and interactions. Sums over all users stay. No rate refuses it.

    Attributes:
        collection: the collection.
        user: the user; or …
        session: … an anonymous session.
    """

    type: ClassVar = "user.erased"
    privileged: ClassVar = False
    routed: ClassVar = True
    collection: Id = "default"
    user: Id | None = None
    session: Id | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.user is None) == (self.session is None):
            raise ValueError("name either 'user' or 'session'")
        return self

    def is_named_in(self, key: str) -> bool:
        """Whether a key names who is erased."""
        name = self.user or self.session or ""
        return re.search(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", key) is not None or (
            len(name) >= _TELLING_CHARS and name in key
        )


COMMAND_TYPES: dict[str, type[Command]] = {
    command.type: command
    for command in (
        UpsertItem,
        PatchItem,
        DeleteItem,
        EraseItem,
        ConfigureCollection,
        DeleteCollection,
        ProposeModel,
        PromoteModel,
        DropModel,
        GiveFeedback,
        RecordInteraction,
        RecordShownList,
        MergeUser,
        EraseUser,
        SubscribeList,
        UnsubscribeList,
        TickClock,
        QuarantineCommand,
        RefuseMessage,
        MoveCollection,
        ReceiveRecords,
    )
}
"""Every command by its type; its handler is listed in ``pipeline.commands.handlers``."""

M = TypeVar("M", bound=Value)
_KEY: TypeAdapter[str] = TypeAdapter(Key)
_TELLING_CHARS = 6  # of a name; a shorter one may be a part of any key


@dataclass(frozen=True, slots=True)
class RejectedCommand:
    """A message that is no command, or a command that was refused, with the error.

    Attributes:
        error: why it is rejected.
        payload: the original bytes, at most ``MAX_MESSAGE_BYTES``.
        size: length of the original in bytes.
        type: the command type that it gave.
    """

    error: InvalidCommand
    payload: bytes
    size: int
    type: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the commands log.

    Attributes:
        id: its position in the log; entries are processed in this order.
        command: the command, or why it cannot be read.
        key: the producer's name for it in its collection; a repeat within 24 hours has no second effect.
        reply_to: id of the Celery task that waits for the outcome, if any.
        at_ms: stream time in milliseconds since 1970 where that of the id is out of range; by default that of the id.
        via: partitions that have forwarded it.
        elsewhere: the partition that its collection belongs to by the settings, if it is not the one that reads it. It
            counts only while the collection does not exist here.
        original: the command that could be read, where ``command`` is the reason of its refusal: the key belongs to it.
        traceparent: W3C trace context of the producer, if it gave one; passed on with the events, and of no effect.
    """

    id: EntryId
    command: Command | RejectedCommand
    key: str | None = None
    reply_to: str | None = None
    at_ms: int | None = None
    via: tuple[str, ...] = ()
    elsewhere: str | None = None
    original: Command | None = None
    traceparent: str | None = None

    @property
    def time_ms(self) -> int:
        """Stream time of the entry."""
        return self.id.ms if self.at_ms is None else self.at_ms


def decode_entry(
    entry_id: EntryId,
    type_: bytes | str,
    data: bytes | str,
    key: bytes | str | None = None,
    reply_to: str | None = None,
) -> Entry:
    """Decode one entry; an invalid one becomes a `RejectedCommand`, never an exception.

    Args:
        entry_id: position in the log.
        type_: command type, for example ``item.upsert``.
        data: the command as JSON.
        key: the producer's idempotency key.
        reply_to: id of the task that waits for the outcome.
    """
    raw = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    claimed = claimed_type(type_)
    try:
        name = None if key is None else _decode_key(key)
    except InvalidCommand as error:
        return Entry(entry_id, rejected_command(error, raw, claimed), None, reply_to)
    try:
        command = parse_command(claimed, raw)
        if isinstance(command, EraseUser) and name is not None and command.is_named_in(name):
            name = None  # else it would be kept
        return Entry(entry_id, command, name, reply_to)
    except InvalidCommand as error:
        return Entry(entry_id, rejected_command(error, raw, claimed), name, reply_to)


def rejected_command(error: InvalidCommand, raw: bytes, type_: str) -> RejectedCommand:
    """Keep a rejected message, within bounds, and the error without its frames."""
    error.__traceback__ = error.__context__ = None
    return RejectedCommand(error, raw[: limits.MAX_MESSAGE_BYTES], len(raw), type_)


def claimed_type(type_: bytes | str) -> str:
    """The type that a message gives, in a printable form."""
    text = type_.decode(errors="backslashreplace") if isinstance(type_, bytes) else type_
    return text if text.isprintable() else ascii(text)


def claimed_item(payload: bytes) -> ItemKey | None:
    """The item that a rejected message was about, if that can be read."""
    try:
        value = parse_json(payload)
        if not isinstance(value, dict):
            return None
        return validate(ItemKey, {name: value[name] for name in ItemKey.model_fields if name in value})
    except InvalidCommand:
        return None


def parse_command(type_: str, data: bytes) -> Command:
    """Parse and validate one command.

    Raises:
        InvalidCommand: names the field and the type of the offending value.
    """
    model = COMMAND_TYPES.get(type_)
    if model is None:
        raise InvalidCommand("unknown_type", f"unknown command type {type_[:64]!r}; one of {', '.join(COMMAND_TYPES)}")
    value = parse_json(data)
    if not isinstance(value, dict):
        raise InvalidCommand("wrong_type", f"the command must be a JSON object, not {_json_type(value)}")
    return validate(model, value)


def validate(model: type[M], value: dict[str, Any]) -> M:
    """``model`` made from ``value``; raises ``InvalidCommand`` naming the field and the value's type."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        refused = _explained(error)
    # Raised outside of the block, so that it has no context: pydantic's error holds what our validators raise where the
    # garbage collector does not see it, and the frames would keep this error alive for ever.
    raise refused


def parse_json(data: bytes, most_bytes: int = limits.MAX_MESSAGE_BYTES, most_nesting: int = limits.MAX_NESTING) -> Any:
    """Parse JSON within the limits; no duplicate keys, no NaN, no deep nesting, UTF-8 only.

    Raises:
        InvalidCommand: with code ``too_large``, ``not_utf8``, ``not_json``, ``not_unicode`` or ``too_deep``.
    """
    if len(data) > most_bytes:
        raise InvalidCommand("too_large", f"{len(data)} bytes; at most {most_bytes} are accepted")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InvalidCommand("not_utf8", f"not UTF-8 at byte {error.start}") from None
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidCommand("too_deep", f"nested deeper than {most_nesting} levels") from None
    except ValueError as error:
        raise InvalidCommand("not_json", f"not JSON: {error}") from None
    if deeper_than(value, most_nesting):
        raise InvalidCommand("too_deep", f"nested deeper than {most_nesting} levels")
    if "\\u" in text and not _encodable(value):
        raise InvalidCommand("not_unicode", "a string holds half of a surrogate pair")
    return value


def _decode_key(key: bytes | str) -> str:
    try:
        return _KEY.validate_python(key.decode() if isinstance(key, bytes) else key)
    except (UnicodeDecodeError, ValidationError):
        raise InvalidCommand(
            "invalid_key", f"the key must be printable UTF-8 of 1 to {limits.MAX_KEY_BYTES} bytes", "key"
        ) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def deeper_than(value: Any, depth: int) -> bool:
    """Whether parsed JSON is nested deeper than so many levels."""
    if isinstance(value, dict):
        return depth == 0 or any(deeper_than(child, depth - 1) for child in value.values())
    if isinstance(value, list):
        return depth == 0 or any(deeper_than(child, depth - 1) for child in value)
    return False


def _explained(error: ValidationError) -> InvalidCommand:
    """The first error of pydantic in our words: the field, what is wrong, the type of the value."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"] if part not in _FORMS)[:_MAX_FIELD_CHARS] or None
    code = _CODES.get(first["type"], "wrong_type" if first["type"].endswith("_type") else "invalid_value")
    shown = f" (got {_json_type(first['input'])})" if field and code != "missing_field" else ""
    text = "there is no such field" if code == "unknown_field" else first["msg"].removeprefix("Value error, ") + shown
    return InvalidCommand(code, f"{field + ': ' if field else ''}{text}", field)


_FORMS = ("list[float]", "bytes")  # what pydantic calls the two forms of a vector, as if they were keys
_MAX_FIELD_CHARS = 200  # an unknown key can be as long as the message
_CODES = {"missing": "missing_field", "extra_forbidden": "unknown_field"}
_JSON_TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}


def _json_type(value: Any) -> str:
    return "null" if value is None else _JSON_TYPES.get(type(value), type(value).__name__)
