"""The base classes of commands, with the properties that each type of command declares."""

from __future__ import annotations

from typing import ClassVar

from recommender_engine.items.item import ItemKey
from recommender_engine.items.values import Id, Value


class Command(Value):
    """Base of all commands.

    Attributes:
        type: its name in the stream.
        privileged: it is accepted only with a proof that an owner or a mover has appended it
            (``celery_recommender.broker.coordination.proofs``). Each class declares it: a command that destroys more
            than one item, or switches what others depend on, is privileged.
        routed: it is forwarded to the partition that its collection is in.
        rated: it counts against the ``commands_per_second`` of its collection.
        alters_collection: whether it configures, moves or deletes a whole collection, so that later entries are
            prepared after it has been decided.
    """

    type: ClassVar[str]
    privileged: ClassVar[bool]
    routed: ClassVar[bool] = False
    rated: ClassVar[bool] = False
    alters_collection: ClassVar[bool] = False


class CollectionCommand(Command):
    """Base of commands about a collection."""

    collection: Id


class ItemCommand(ItemKey, CollectionCommand):
    """Base of commands about an item of a collection."""

    routed: ClassVar = True

    @property
    def item_ids(self) -> tuple[str, ...]:
        """Ids of the items that it names."""
        return (self.id,)
