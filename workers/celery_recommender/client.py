"""A producer for any Python process: appends commands, follows events, asks questions."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from datetime import time as clock_time
from decimal import Decimal
from enum import Enum
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from celery_recommender.broker.events.following import follow, last_event, so_far
from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.embedded import EmbeddedServer
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.broker.routing.joined_pages import page_of_all
from celery_recommender.broker.routing.partitions import AppendedCommand, Partition, Partitions
from celery_recommender.broker.routing.routes import collection_of
from celery_recommender.settings import Settings
from celery_recommender.tracing import current_traceparent
from recommender_engine.errors import ConfigurationError, InvalidCommand
from recommender_engine.items import (
    CommandForwarded,
    EntryId,
    EraseUser,
    GiveFeedback,
    GroupChanged,
    IncidentClosed,
    IncidentOpened,
    IncidentUpdated,
    ItemDeleted,
    ItemRevised,
    ItemsBackfilled,
    MergeUser,
    RecommendationsJudged,
    RecommendationsUpdated,
    RecordInteraction,
    RecordShownList,
    SubscribeList,
    UnsubscribeList,
)
from recommender_engine.items.commands import validate
from recommender_engine.items.limits import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from celery import Celery
    from kombu.entity import Queue

CommandFields = dict[str, str | int]

_ASK_AGAIN = {"max_retries": 5, "interval_start": 0.0, "interval_step": 0.2, "interval_max": 0.5}  # seconds
_EXACT = 2**53  # beyond it a JSON number is no exact integer everywhere

_CONSEQUENCES = {
    ItemsBackfilled.type,
    ItemRevised.type,
    GroupChanged.type,
    CommandForwarded.type,
    IncidentOpened.type,
    IncidentUpdated.type,
    IncidentClosed.type,
    RecommendationsJudged.type,
    RecommendationsUpdated.type,
}


def redis_url(settings: Settings) -> str:
    """The server that the settings name; without one, the private server of a worker that runs on the state directory.

    None is started: commands in a producer's own server would never be read.

    Raises:
        ConfigurationError: the settings name no server, and no worker with a private one runs.
    """
    if settings.redis_url:
        return settings.redis_url
    server = EmbeddedServer(settings.state_dir / "redis")
    if not server.is_running():
        raise ConfigurationError(
            f"RECOMMENDER_REDIS_URL is not set, and no worker with a private server runs on {settings.state_dir}: "
            "set it to the Redis or Valkey server of the streams, or start `recommender worker`"
        )
    return server.url


def is_outcome(event: Mapping[str, Any]) -> bool:
    """Whether an event is the outcome of its command.

    Summaries, expired items, revised verdicts, changed groups, incidents and changed lists name the command at which
    they came, and some of them come before its outcome. The outcome of a forwarded command is in another partition.
    """
    expired = event["type"] == ItemDeleted.type and event["data"].get("expired", False)
    return event["type"] not in _CONSEQUENCES and not expired


def in_run(event: Mapping[str, Any], run: str) -> bool:
    """Whether an event belongs to a command whose key begins with ``run``."""
    return (event["data"]["command"]["key"] or "").startswith(run)


def new_key() -> str:
    """A random key, a UUID of version 7 (RFC 9562).

    It begins with the time, so keys that are made one after the other stand beside each other in the state: a batch
    changes few pages of it.
    """
    drawn, now_ms = uuid.uuid4().int, time.time_ns() // 1_000_000
    return str(uuid.UUID(int=now_ms << 80 | 0x7 << 76 | drawn >> 116 << 64 | drawn & (1 << 64) - 1))


def command_fields(
    type_: str,
    data: Mapping[str, Any],
    *,
    key: str | None = None,
    reply_to: str | None = None,
    expires_ms: int | None = None,
) -> CommandFields:
    """One command as stream fields. Decimals, dates, times, UUIDs, enums and sets have their usual form in JSON.

    Raises:
        InvalidCommand: it is no JSON, or larger than any server side would accept.
    """
    try:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_as_json)
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidCommand("not_unicode", "a string holds half of a surrogate pair") from None
    except (ValueError, TypeError, RecursionError) as error:  # NaN, a key that is no text, an object that holds itself
        raise InvalidCommand("not_json", f"not JSON: {error}") from None
    if size > MAX_MESSAGE_BYTES:
        raise InvalidCommand("too_large", f"{size} bytes; at most {MAX_MESSAGE_BYTES} are accepted")
    fields: CommandFields = {"type": type_, "data": text, "key": key or new_key()}
    if (trace := current_traceparent()) is not None:
        fields["traceparent"] = trace
    if reply_to is not None:
        fields["reply_to"] = reply_to
    if expires_ms is not None:
        fields["expires_ms"] = expires_ms
    return fields


class Client:
    """Appends commands, follows events and asks questions.

    Every command carries a key (a random one if none is given), so that a write which is retried has one effect. With
    several partitions each goes to that of its collection; one that has moved is followed within seconds, and what a
    producer sends to one collection keeps its order.

    Args:
        settings: which server and partition; the environment's by default.
        redis: a connection to use instead of one of our own.

    Raises:
        ConfigurationError: the settings name no server, and no worker with a private one runs; none is started.
    """

    def __init__(self, settings: Settings | None = None, redis: Redis | None = None) -> None:
        self._settings = settings or Settings.from_environment()
        self._redis = redis or connect(redis_url(self._settings))
        self.partitions = Partitions(self._redis, self._settings)
        self.home, self.keys, self.log, self.pacing, _ = self.partitions.of(self._settings.home)

    @property
    def redis(self) -> Redis:
        """The connection."""
        return self._redis

    def ingest(self, item: Mapping[str, Any], *, key: str | None = None) -> EntryId:
        """Append one ``item.upsert``; returns its position, which knows its partition.

        Raises:
            InvalidCommand: it is no JSON, or larger than 256 KiB.
            Overloaded: too much waits; the error says when to try again. All sending methods may raise it.
        """
        return self.send("item.upsert", item, key=key)

    def ingest_many(
        self,
        items: Iterable[Mapping[str, Any]],
        *,
        key: Callable[[Mapping[str, Any]], str] | None = None,
        block: int = 500,
    ) -> list[EntryId]:
        """Append many items at once, ``block`` to a round trip; returns their positions, in the order of the items.

        Commands of other producers wait behind all of them: for a whole catalogue use ``backfill``.

        Args:
            items: as for ``ingest``.
            key: names each command; a random one by default.
            block: commands in one transaction.

        Raises:
            Overloaded: too much waits; blocks before are appended. With keys of your own all can be sent again.
        """
        return self.send_many("item.upsert", items, key=key, block=block)

    def send_many(
        self,
        type_: str,
        commands: Iterable[Mapping[str, Any]],
        *,
        key: Callable[[Mapping[str, Any]], str] | None = None,
        block: int = 500,
    ) -> list[EntryId]:
        """Append many commands of one type; see ``ingest_many``."""
        positions: dict[int, EntryId] = {}
        named = (
            (collection_of(data), (place, command_fields(type_, data, key=key(data) if key else None)))
            for place, data in enumerate(commands)
        )
        for partition, group in self.partitions.groups(named):
            members = iter(group)
            while pending := list(islice(members, block)):
                placed = self._append(partition, [(collection, fields) for collection, (_, fields) in pending])
                positions.update(zip((place for _, (place, _) in pending), placed, strict=True))
        return [positions[place] for place in sorted(positions)]

    def backfill(
        self,
        items: Iterable[Mapping[str, Any]],
        *,
        key: Callable[[Mapping[str, Any]], str] | None = None,
        silent: bool = False,
    ) -> EntryId | None:
        """Append many items no faster than the owner decides them; returns the position of the last.

        At most two batches wait at a time, or a second's work if that is less, so that commands of other producers are
        decided soon. Without an owner they pile up in the stream.

        Args:
            items: as for ``ingest``; taken one by one, however many there are.
            key: names each command; a random one by default.
            silent: change the state and publish nothing but summaries.

        Raises:
            Overloaded: too much waits although no owner is at work; what came before is appended.
        """
        upserts = ({**item, "silent": True} if silent else item for item in items)
        commands = (
            (collection_of(item), command_fields("item.upsert", item, key=key(item) if key else None))
            for item in upserts
        )
        last: EntryId | None = None
        for partition, group in self.partitions.groups(commands):
            for block in partition.pacing.blocks(group, lambda command: command[1]):
                last = self.append_paced(block, partition)
        return last

    def append_paced(
        self, commands: Sequence[tuple[str | None, CommandFields]], partition: Partition | None = None
    ) -> EntryId:
        """Wait until the owner has room for a block of commands, then append it; returns the position of the last.

        Args:
            commands: each with its collection; at least one.
            partition: where to; the home partition by default.
        """
        partition = partition or self.partitions.of(self.home)
        partition.pacing.wait_for_room([fields for _, fields in commands])
        return self._append(partition, commands)[-1]

    def patch(
        self, item_id: str, attributes: Mapping[str, Any], collection: str = "default", **options: Any
    ) -> EntryId:
        """Change attributes of an item; ``None`` removes one."""
        return self._send_item("item.patch", item_id, collection, options, attributes=dict(attributes))

    def delete(self, item_id: str, collection: str = "default", **options: Any) -> EntryId:
        """Take an item out."""
        return self._send_item("item.delete", item_id, collection, options)

    def erase(self, item_id: str, collection: str = "default", **options: Any) -> EntryId:
        """Take an item out with every stored trace of its text."""
        return self._send_item("item.erase", item_id, collection, options)

    def configure(self, collection: str, settings: Mapping[str, Any], *, key: str | None = None) -> EntryId:
        """Set the settings of a collection."""
        return self.send("collection.configured", {"collection": collection, "settings": dict(settings)}, key=key)

    def delete_collection(self, collection: str, *, key: str | None = None) -> EntryId:
        """Delete a collection with all that is in it.

        Raises:
            NotPermitted: this process has another user of the server than one that may do what a worker does.
        """
        return self.send("collection.deleted", {"collection": collection}, key=key)

    def feedback(
        self,
        item_id: str,
        answer: str,
        other: str | None = None,
        *,
        collection: str = "default",
        by: str | None = None,
        key: str | None = None,
    ) -> EntryId:
        """Append an answer about two items, or about the verdict on one; returns its position.

        Args:
            item_id: the item the answer is about.
            answer: ``same``, ``different`` or ``unsure`` of the item and ``other``; ``right`` or ``wrong`` of the
                ``duplicate`` verdict on the item.
            other: the other item.
            collection: where both are.
            by: the person who answers.
            key: names the command.
        """
        values = {"id": item_id, "collection": collection, "other": other, "answer": answer, "by": by}
        given = {name: value for name, value in values.items() if value is not None}
        return self.send(GiveFeedback.type, given, key=key)

    def record(
        self,
        item_id: str,
        user: str | None = None,
        *,
        session: str | None = None,
        kind: str = "view",
        value: float | None = None,
        at: datetime | str | None = None,
        recommendation_id: str | None = None,
        collection: str = "default",
        key: str | None = None,
    ) -> EntryId:
        """Append what a user, or an anonymous session, did with an item; returns its position.

        Args:
            item_id: the item.
            user: the user, if known.
            session: your name for the visit; needed without ``user``.
            kind: ``view``, ``click``, ``add``, ``buy``, ``rate``, ``dismiss``, or a kind of the collection's settings.
            value: needed by ``rate``.
            at: when it was, with a time zone; by default now.
            recommendation_id: the list that led to it, if you know it.
            collection: where the item is.
            key: names the command; with one of your own it can be sent again without counting twice.
        """
        time_ = at.isoformat() if isinstance(at, datetime) else at
        about = {"item": item_id, "user": user, "session": session, "recommendation_id": recommendation_id}
        values = {**about, "kind": kind, "value": value, "time": time_}
        given = {name: said for name, said in values.items() if said is not None}
        return self.send(RecordInteraction.type, {**given, "collection": collection}, key=key)

    def record_many(
        self,
        interactions: Iterable[Mapping[str, Any]],
        *,
        key: Callable[[Mapping[str, Any]], str] | None = None,
        block: int = 500,
    ) -> list[EntryId]:
        """Append many interactions at once, ``block`` to a round trip; returns their positions, in their order.

        Args:
            interactions: the data of ``interaction.recorded``: ``item``, ``user`` or ``session``, ``kind`` …
            key: names each command; a random one by default.
            block: commands in one transaction.

        Raises:
            Overloaded: too much waits; blocks before are appended. With keys of your own all can be sent again.
        """
        return self.send_many(RecordInteraction.type, interactions, key=key, block=block)

    def shown(
        self,
        listed: Sequence[Mapping[str, Any] | str],
        user: str | None = None,
        *,
        session: str | None = None,
        recommendation_id: str | None = None,
        scenario: str | None = None,
        arm: str | None = None,
        at: datetime | str | None = None,
        collection: str = "default",
        key: str | None = None,
    ) -> EntryId:
        """Append that a list of recommendations was shown; returns its position.

        Args:
            listed: the items that were shown, as ``recommendations`` gave them; or their ids. At least one.
            user: to whom; or …
            session: … to which anonymous session.
            recommendation_id: of the list; by default that of the first item.
            scenario: the scenario of the request, under which the list is counted.
            arm: of the scenario's experiment; by default that of the first item, or of the user.
            at: when it was, with a time zone; by default now.
            collection: where the items are.
            key: names the command. A list counts once, whatever its key.
        """
        first = listed[0] if listed and not isinstance(listed[0], str) else {}
        values = {
            "recommendation_id": recommendation_id or first.get("recommendation_id"),
            "items": [one if isinstance(one, str) else one["id"] for one in listed],
            "user": user,
            "session": session,
            "scenario": scenario,
            "arm": arm or first.get("arm"),
            "time": at.isoformat() if isinstance(at, datetime) else at,
        }
        given = {name: said for name, said in values.items() if said is not None}
        return self.send(RecordShownList.type, {**given, "collection": collection}, key=key)

    def merge_user(self, user: str, session: str, collection: str = "default", *, key: str | None = None) -> EntryId:
        """At log-in: what an anonymous session did becomes part of a user's profile."""
        return self.send(MergeUser.type, {"user": user, "session": session, "collection": collection}, key=key)

    def erase_user(
        self,
        user: str | None = None,
        collection: str = "default",
        *,
        session: str | None = None,
        key: str | None = None,
    ) -> EntryId:
        """Delete a user, or an anonymous session, with every stored trace.

        Raises:
            InvalidCommand: both or neither is named; nothing was sent.
        """
        named = {"user": user, "session": session, "collection": collection}
        erasure = validate(EraseUser, {name: value for name, value in named.items() if value is not None})
        return self.send(EraseUser.type, erasure.model_dump(exclude_none=True), key=key)

    def subscribe(
        self,
        item_id: str | None = None,
        *,
        user: str | None = None,
        scenario: str | None = None,
        collection: str = "default",
        key: str | None = None,
    ) -> EntryId:
        """From now on the list of an item, or of a user, is told when it changes (``recommendations.updated``).

        Args:
            item_id: the item; or …
            user: … the user.
            scenario: name of options in the settings of the collection.
            collection: where the items are.
            key: names the command.

        Raises:
            InvalidCommand: both or neither is named; nothing was sent.
        """
        return self._send_list(SubscribeList, key, item=item_id, user=user, scenario=scenario, collection=collection)

    def unsubscribe(
        self,
        item_id: str | None = None,
        *,
        user: str | None = None,
        scenario: str | None = None,
        collection: str = "default",
        key: str | None = None,
    ) -> EntryId:
        """The list is told no longer; the arguments are those of ``subscribe``."""
        return self._send_list(UnsubscribeList, key, item=item_id, user=user, scenario=scenario, collection=collection)

    def _send_list(
        self, command: type[SubscribeList | UnsubscribeList], key: str | None, **named: str | None
    ) -> EntryId:
        checked = validate(command, {name: value for name, value in named.items() if value is not None})
        return self.send(command.type, checked.model_dump(exclude_none=True), key=key)

    def send(self, type_: str, data: Mapping[str, Any], *, key: str | None = None) -> EntryId:
        """Append one command of any type; returns its position."""
        return self.partitions.append(collection_of(data), [command_fields(type_, data, key=key)])[0]

    def events(
        self, after: EntryId | Mapping[str, EntryId], *, until: Callable[[], bool] = lambda: False
    ) -> Iterator[dict[str, Any]]:
        """Follow the events streams of all partitions, without end or until ``until()`` is true.

        Args:
            after: where to begin, by partition (see `last_events`); one id for all of them is a moment, to the
                millisecond.
            until: looked at about once a second.

        Yields:
            CloudEvents as dictionaries, those of each partition (``source``) in order.
        """
        everywhere = dict.fromkeys(self._settings.all_partitions, after) if isinstance(after, EntryId) else after
        return (read.event for read in follow(self._redis, everywhere, until, self._settings.key_prefix))

    def run_events(
        self, after: EntryId, outcomes: int, *, run: str = "", until: Callable[[], bool] = lambda: False
    ) -> Iterator[dict[str, Any]]:
        """Follow the events of the commands of a run until a number of commands have their outcome.

        Args:
            after: where to begin in the events streams.
            outcomes: how many to wait for.
            run: the keys of its commands begin with this; by default every event counts.
            until: ends the waiting; called about once a second.

        Raises:
            TimeoutError: ``until()`` was true before.
        """
        found = 0
        events = self.events(after, until=until) if outcomes else iter(())
        for event in events:
            if in_run(event, run):
                yield event
                found += is_outcome(event)
                if found >= outcomes:
                    return
        if found < outcomes:
            raise TimeoutError(f"only {found} of {outcomes} outcomes came")

    def events_so_far(self, after: EntryId) -> Iterator[dict[str, Any]]:
        """Events of the home partition behind ``after`` that are there now."""
        return so_far(self._redis, self.keys, after)

    def last_event(self) -> EntryId:
        """Id of the newest event of the home partition so far."""
        return last_event(self._redis, self.keys)

    def last_events(self) -> dict[str, EntryId]:
        """Id of the newest event so far of each partition."""
        return {name: last_event(self._redis, self.partitions.of(name).keys) for name in self._settings.all_partitions}

    def outcome(self, position: EntryId, *, timeout_s: float = 30.0, after: EntryId | None = None) -> dict[str, Any]:
        """Wait for the event that answers the command at ``position``.

        A command whose key had been used has no event of its own, and an interaction or a merged user has none that is
        published: the Celery task ``recommender.outcomes`` knows the outcome of a key.

        Args:
            position: what a sending method returned.
            timeout_s: how long to wait.
            after: where in the events stream to begin; by default just before the command's own time.

        Raises:
            TimeoutError: no such event came.
        """
        deadline = time.monotonic() + timeout_s
        start = after or EntryId(max(position.ms - 1, 0), 0)
        home = getattr(position, "partition", self.home)
        field, wanted, places = "id", str(position), {home: start}
        while time.monotonic() <= deadline:
            for read in follow(self._redis, places, lambda: time.monotonic() > deadline, self._settings.key_prefix):
                if read.event["data"]["command"][field] != wanted:
                    continue
                if is_outcome(read.event):
                    return read.event
                if field == "id" and read.event["type"] == CommandForwarded.type:
                    # Its outcome is there under its key, or where the collection has gone since.
                    field, wanted = "key", read.event["data"]["key"]
                    places = dict.fromkeys((home, read.event["data"]["to"], *self._settings.all_partitions), start)
                    break
        raise TimeoutError(f"no event for {position} within {timeout_s} s")

    def search(
        self,
        text: str,
        collection: str = "default",
        limit: int = 10,
        *,
        offset: int = 0,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 (the name of the argument is public)
        timeout_s: float = 30.0,
    ) -> list[dict[str, Any]]:
        """Items for a text by meaning and words, best first; see ``recommender.search``.

        Args:
            text: the question.
            collection: where to search.
            limit: how many, at most 100.
            offset: hits that are left out before; with ``limit`` at most 1,000.
            filter: only items with such attributes, like ``{"category": "mugs", "price": {"$lt": 20}}``.
            timeout_s: how long to wait for the owner.
        """
        passing = {} if filter is None else {"filter": dict(filter)}
        found: list[dict[str, Any]] = self.ask(
            "recommender.search",
            text,
            collection=collection,
            limit=limit,
            offset=offset,
            timeout_s=timeout_s,
            **passing,
        )
        return found

    def themes(
        self, collection: str = "default", *, last: int | None = None, members: bool = False, timeout_s: float = 600.0
    ) -> dict[str, Any] | None:
        """What the items of a collection are about; see ``recommender.themes``.

        Args:
            collection: whose items; the result is ``None`` when there is no such collection.
            last: the newest so many items only; 100,000 by default.
            members: with the ids of all items of each theme.
            timeout_s: how long to wait; 100,000 items take minutes.
        """
        found: dict[str, Any] | None = self.ask(
            "recommender.themes", collection=collection, last=last, members=members, timeout_s=timeout_s
        )
        return found

    def incidents(self, collection: str | None = None, *, timeout_s: float = 30.0) -> list[dict[str, Any]]:
        """Groups that grow out of their own baseline now, the oldest first; see ``recommender.incidents``.

        Args:
            collection: whose incidents; by default those of all collections of the home partition.
            timeout_s: how long to wait for the owner.
        """
        found: list[dict[str, Any]] = self.ask("recommender.incidents", collection=collection, timeout_s=timeout_s)
        return found

    def recommendations(
        self, collection: str = "default", *, timeout_s: float = 30.0, **request: Any
    ) -> list[dict[str, Any]] | None:
        """Recommendations from text and behaviour, best first; see ``recommender.recommendations``.

        Args:
            collection: where the items are.
            timeout_s: how long to wait for the owner.
            request: ``item``, ``text``, ``vector`` or ``like``; ``user`` or ``session``; ``filter`` and so on.

        Returns:
            ``None`` when the item that the request names is not there.
        """
        listed: list[dict[str, Any]] | None = self.ask(
            "recommender.recommendations", collection=collection, timeout_s=timeout_s, **request
        )
        return listed

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
        timeout_s: float = 30.0,
    ) -> dict[str, Any] | None:
        """Items of a collection as they stand now; see ``recommender.list``.

        Args:
            collection: whose items; the result is ``None`` when there is no such collection.
            bands: in which they stand: ``new``, ``similar``, ``review``, ``duplicate``; by default all.
            order: ``arrival``, or ``probability`` of the verdicts.
            descending: the latest, or the most probable, first.
            after: ``next`` of the page before.
            limit: how many at most, up to 200.
            text: only items that have each word of it.
            timeout_s: how long to wait for the owner.
        """
        found: dict[str, Any] | None = self.ask(
            "recommender.list",
            collection=collection,
            bands=None if bands is None else list(bands),
            order=order,
            descending=descending,
            after=after,
            limit=limit,
            text=text,
            timeout_s=timeout_s,
        )
        return found

    def review(
        self,
        collection: str = "default",
        order: str = "worth",
        *,
        after: str | None = None,
        limit: int = 20,
        timeout_s: float = 30.0,
    ) -> dict[str, Any] | None:
        """Pairs that want a person's answer, by ``worth``, ``probability`` or ``arrival``; see ``recommender.review``.

        Args:
            collection: whose pairs; the result is ``None`` when there is no such collection.
            order: of the pairs.
            after: ``next`` of the page before.
            limit: how many at most, up to 100.
            timeout_s: how long to wait for the owner.
        """
        found: dict[str, Any] | None = self.ask(
            "recommender.review", collection=collection, order=order, after=after, limit=limit, timeout_s=timeout_s
        )
        return found

    def group(
        self,
        collection: str,
        item_id: str,
        *,
        after: str | None = None,
        limit: int = 50,
        timeout_s: float = 30.0,
    ) -> dict[str, Any] | None:
        """The group of an item with its members, the earliest first; see ``recommender.group``.

        Args:
            collection: of the item.
            item_id: one of the members; the result is ``None`` when it is not there.
            after: ``next`` of the page before.
            limit: how many members at most, up to 200.
            timeout_s: how long to wait for the owner.
        """
        found: dict[str, Any] | None = self.ask(
            "recommender.group", item_id, collection=collection, after=after, limit=limit, timeout_s=timeout_s
        )
        return found

    def preview(
        self,
        collection: str = "default",
        *,
        duplicate_from: float | None = None,
        review_from: float | None = None,
        timeout_s: float = 30.0,
    ) -> dict[str, Any] | None:
        """How many items would stand in each band, by stated probabilities alone; see ``recommender.preview``.

        Args:
            collection: its name; the result is ``None`` when there is no such collection.
            duplicate_from: probability from which an item would be a duplicate; by default none moves there.
            review_from: probability from which an item would be for review; by default as now.
            timeout_s: how long to wait for the owner.
        """
        found: dict[str, Any] | None = self.ask(
            "recommender.preview",
            collection=collection,
            duplicate_from=duplicate_from,
            review_from=review_from,
            timeout_s=timeout_s,
        )
        return found

    def overview(self, *, timeout_s: float = 30.0) -> dict[str, Any]:
        """Counts of each collection of all partitions, by name; see ``recommender.overview``.

        Args:
            timeout_s: how long to wait for the owner of each partition.

        Returns:
            ``{"collections": [...]}``, each with ``name``, ``partition``, ``items``, ``bands``, ``groups``,
            ``answers``, ``review_backlog`` and ``rates``.
        """
        found: dict[str, dict[str, Any]] = {}
        for partition in self._settings.all_partitions:
            for one in self._overviewed(partition, timeout_s):
                here = self.partitions.routing.partition_of(one["name"]) == partition
                if here or one["name"] not in found:  # while one moves, parts of it are in two
                    found[one["name"]] = {**one, "partition": partition}
        return {"collections": [found[name] for name in sorted(found)]}

    def _overviewed(self, partition: str, timeout_s: float) -> Iterator[dict[str, Any]]:
        page: dict[str, Any] = {"next": None}
        while True:
            page = self._ask_partition(partition, "recommender.overview", {"after": page["next"]}, timeout_s)
            yield from page["collections"]
            if page["next"] is None:
                return

    def answers(
        self,
        collection: str | None = None,
        *,
        after: str | None = None,
        limit: int = 50,
        timeout_s: float = 30.0,
    ) -> dict[str, Any]:
        """Answers of people, the newest first; see ``recommender.answers``.

        Args:
            collection: whose; by default those of all collections of all partitions.
            after: ``next`` of the page before.
            limit: how many at most, up to 500.
            timeout_s: how long to wait for the owner of each partition.

        Returns:
            ``{"answers": [...], "next": ...}``, each answer with ``collection``, ``item_id``, ``other_id``, ``answer``,
            ``by``, ``at_ms``, ``probability`` and ``number``.
        """
        if collection is not None:
            page: dict[str, Any] = self.ask(
                "recommender.answers", collection=collection, after=after, limit=limit, timeout_s=timeout_s
            )
            return page
        return page_of_all(
            self._settings.all_partitions,
            after,
            limit,
            lambda partition, behind: self._ask_partition(
                partition, "recommender.answers", {"collection": None, "after": behind, "limit": limit}, timeout_s
            ),
        )

    def hits(
        self, collection: str = "default", *, days: int = 28, timeout_s: float = 30.0
    ) -> list[dict[str, Any]] | None:
        """Hit rates of the lists that were shown, by scenario and arm; see ``recommender.hits``.

        Args:
            collection: whose lists; the result is ``None`` when there is no such collection.
            days: lists of so many days, today included, 1 to 90.
            timeout_s: how long to wait for the owner.
        """
        found: list[dict[str, Any]] | None = self.ask(
            "recommender.hits", collection=collection, days=days, timeout_s=timeout_s
        )
        return found

    def ask(
        self, question: str, *args: Any, collection: str | None = None, timeout_s: float = 30.0, **options: Any
    ) -> Any:
        """Put a question to the owner, as a Celery task, and wait for its answer.

        Args:
            question: name of the task, like ``recommender.get``.
            args: its arguments.
            collection: that it is about, if it is about one; it is an argument too.
            timeout_s: how long to wait.
            options: other arguments, by name.

        Raises:
            ConfigurationError: results are disabled.
            InvalidCommand: the owner refuses the question.
            RedisError: the server does not answer.
            TimeoutError: no answer came.
        """
        about = {} if collection is None else {"collection": collection}
        partition = self.partitions.routing.partition_of(collection)
        return self._ask_partition(partition, question, {**about, **options}, timeout_s, args)

    def _ask_partition(
        self, partition: str, question: str, options: Mapping[str, Any], timeout_s: float, args: Sequence[Any] = ()
    ) -> Any:
        from celery.exceptions import TimeoutError as CeleryTimeoutError
        from kombu.exceptions import OperationalError

        queue = _queue(PartitionKeys.of(partition).queue)
        try:
            sent = self._app.send_task(question, args, dict(options), queue=queue, exchange="", expires=timeout_s)
            return sent.get(timeout=timeout_s)
        except CeleryTimeoutError:
            raise TimeoutError(f"the owner did not answer within {timeout_s} s") from None
        except OperationalError as error:
            raise RedisConnectionError(str(error)) from error
        except RuntimeError as error:
            if not str(error).strip().startswith("Retry limit exceeded"):
                raise
            if (app := self.__dict__.pop("_app", None)) is not None:  # its connection for results is not opened again
                app.close()
            raise RedisConnectionError("the server does not answer") from error

    @cached_property
    def _app(self) -> Celery:
        """What sends questions; Celery is imported at the first one."""
        from celery_recommender.plain_app import app_with_results

        if self._settings.result_backend == "disabled":
            raise ConfigurationError("RECOMMENDER_RESULT_BACKEND='disabled': answers come through the result backend")
        app = app_with_results(self._settings, redis_url(self._settings))
        app.conf.result_backend_transport_options["retry_policy"] = _ASK_AGAIN
        return app

    def close(self) -> None:
        """Close the connections."""
        if "_app" in self.__dict__:
            self._app.close()
        self._redis.close()

    def _append(
        self, partition: Partition, commands: Sequence[tuple[str | None, Mapping[str, str | int]]]
    ) -> list[AppendedCommand]:
        placed = [
            AppendedCommand.at(one, partition.name) for one in partition.log.append([fields for _, fields in commands])
        ]
        for (collection, _), one in zip(commands, placed, strict=True):
            self.partitions.appended(collection, [one])
        return placed

    def _send_item(self, type_: str, item_id: str, collection: str, options: dict[str, Any], **data: Any) -> EntryId:
        key = options.pop("key", None)
        return self.send(type_, {"id": item_id, "collection": collection, **data, **options}, key=key)


def _queue(name: str) -> Queue:
    from kombu.entity import Queue

    return Queue(name, routing_key=name)  # type: ignore[no-untyped-call]


def _as_json(value: object) -> object:
    """What JSON has for a value of a database: numbers for decimals, text for times and UUIDs, lists for sets."""
    match value:
        case Decimal():
            whole = value.is_finite() and abs(value) <= _EXACT and value == int(value)
            return int(value) if whole else float(value)
        case date() | clock_time():  # a datetime is a date
            return value.isoformat()
        case UUID():
            return str(value)
        case Enum():
            return value.value
        case set() | frozenset():
            return sorted(value, key=str)
        case _:
            raise InvalidCommand("wrong_type", f"a {type(value).__name__} cannot be sent as JSON")
