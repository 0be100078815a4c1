"""Appending commands: of each type, many at once, and no faster than they are decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from celery_recommender.broker.commands.encoding import CommandFields, command_fields
from celery_recommender.broker.routing.partitions import AppendedCommand, Partition
from celery_recommender.broker.routing.routes import collection_of
from celery_recommender.client.connected import Connected
from recommender_engine.items import (
    EntryId,
    EraseUser,
    GiveFeedback,
    MergeUser,
    RecordInteraction,
    RecordShownList,
    SubscribeList,
    UnsubscribeList,
)
from recommender_engine.items.commands import validate


class Commands(Connected):
    """Appends commands; each returns its position in the stream."""

    def send(self, type_: str, data: Mapping[str, Any], *, key: str | None = None) -> EntryId:
        """Append one command of any type; returns its position."""
        return self.partitions.append(collection_of(data), [command_fields(type_, data, key=key)])[0]

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

    def propose_model(self, collection: str, model: str, digest: str, *, key: str | None = None) -> EntryId:
        """Embed the items of a collection by a second model beside the live one.

        Raises:
            NotPermitted: as for `delete_collection`.
        """
        return self._send_model("model.proposed", collection, model, digest, key)

    def promote_model(self, collection: str, model: str, digest: str, *, key: str | None = None) -> EntryId:
        """Switch a collection to its second model; the live one becomes the second.

        Raises:
            NotPermitted: as for `delete_collection`.
        """
        return self._send_model("model.promoted", collection, model, digest, key)

    def drop_model(self, collection: str, model: str, digest: str, *, key: str | None = None) -> EntryId:
        """Delete the second model of a collection.

        Raises:
            NotPermitted: as for `delete_collection`.
        """
        return self._send_model("model.dropped", collection, model, digest, key)

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
        return self.send(GiveFeedback.type, _given(values), key=key)

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
        values = {
            "item": item_id,
            "user": user,
            "session": session,
            "recommendation_id": recommendation_id,
            "kind": kind,
            "value": value,
            "time": at,
            "collection": collection,
        }
        return self.send(RecordInteraction.type, _given(values), key=key)

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
            "time": at,
            "collection": collection,
        }
        return self.send(RecordShownList.type, _given(values), key=key)

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
        erasure = validate(EraseUser, _given(named))
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

    def _send_model(self, type_: str, collection: str, model: str, digest: str, key: str | None) -> EntryId:
        return self.send(type_, {"collection": collection, "model": model, "digest": digest}, key=key)

    def _send_list(
        self, command: type[SubscribeList | UnsubscribeList], key: str | None, **named: str | None
    ) -> EntryId:
        checked = validate(command, _given(named))
        return self.send(command.type, checked.model_dump(exclude_none=True), key=key)

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


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is not ``None``; the encoding writes dates."""
    return {name: value for name, value in values.items() if value is not None}
