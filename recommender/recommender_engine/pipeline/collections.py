"""The collections of a partition, kept in memory and saved with the batch that changes them."""

from __future__ import annotations

from recommender_engine.embedding import Encoders, ModelIdentity
from recommender_engine.errors import InvalidCommand, ModelError
from recommender_engine.items import CollectionSettings, ItemKey
from recommender_engine.message import Messages
from recommender_engine.policy import same_policy_keys
from recommender_engine.store import Collection, SqliteStore, StoredItem

MOST_COLLECTIONS = 10_000


class Collections:
    """Finds and creates collections by name.

    Args:
        store: holds them.
        encoders: the models that their settings may name.
        most: the limit of their number.
        messages: finds the compared part of a text.
    """

    def __init__(
        self,
        store: SqliteStore,
        encoders: Encoders,
        most: int = MOST_COLLECTIONS,
        messages: Messages | None = None,
    ) -> None:
        self._messages = messages or Messages()
        self._store = store
        self._encoders = encoders
        self._most = most
        self._by_name: dict[str, Collection] = {}
        self._by_id: dict[int, Collection] = {}
        self._changed: dict[int, Collection] = {}
        self._silent: dict[int, Collection] = {}
        self._unsorted: dict[int, Collection] = {}
        self._uncut: dict[int, Collection] = {}
        self._unlearned: dict[int, Collection] = {}
        self.expiry_outdated: dict[int, Collection] = {}  # their next expiry must be computed again
        self.moving: frozenset[str] = frozenset()  # names of those that move between partitions
        self._reload()
        store.on_rollback(self._reload)

    def check_models(self) -> None:
        """Load the models of all existing vectors, and check that they are still the same.

        Raises:
            ModelError: a collection holds vectors of a model other than the one its settings name now.
        """
        for collection in self.all():
            self._check_model(collection)

    def all(self) -> list[Collection]:
        """Every collection, oldest first."""
        return list(self._by_name.values())

    def find(self, name: str) -> Collection | None:
        """The collection, if it exists."""
        return self._by_name.get(name)

    def lookup(self, key: ItemKey) -> tuple[Collection | None, StoredItem | None]:
        """The collection and the item, as far as they exist."""
        collection = self.find(key.collection)
        return collection, None if collection is None else self._store.items.get(collection.id, key.id)

    def by_id(self, id_: int) -> Collection | None:
        """The collection with this number, unless it has left for another partition."""
        return self._by_id.get(id_)

    def settings(self, name: str) -> CollectionSettings:
        """Settings of a collection, the defaults for one that does not exist yet."""
        found = self._by_name.get(name)
        return found.settings if found else CollectionSettings()

    def ensure(self, name: str, model: ModelIdentity) -> Collection:
        """The collection, created at need, with the identity of its vectors fixed by the first of them.

        Raises:
            InvalidCommand: there are already as many as allowed.
        """
        collection = self._by_name.get(name) or self._create(name, CollectionSettings())
        if collection.model is None:
            collection.model, collection.dimension = model.key, model.dimension
            self.touch(collection)
        return collection

    def require(self, name: str) -> Collection:
        """The collection, created at need, without vectors.

        Raises:
            InvalidCommand: there are already as many as allowed.
        """
        return self._by_name.get(name) or self._create(name, CollectionSettings())

    def configure(self, name: str, settings: CollectionSettings) -> Collection:
        """Set the settings.

        Raises:
            InvalidCommand: the model is unknown, or not that of the existing vectors; or there are already as many
                collections as allowed.
        """
        if settings.model not in self._encoders.names:
            known = ", ".join(self._encoders.names)
            raise InvalidCommand(
                "unknown_model", f"settings.model: {settings.model!r} is not one of {known}", "settings.model"
            )
        collection = self._by_name.get(name)
        if collection is None:
            return self._create(name, settings)
        if collection.model is not None and settings.model != collection.settings.model:
            raise InvalidCommand(
                "model_in_use",
                f"settings.model: it has vectors of {collection.model}; recommender model changes that",
                "settings.model",
            )
        if collection.model is not None and settings.rule != collection.settings.rule:
            raise InvalidCommand(
                "rule_in_use",
                f"settings.rule: it has items under {collection.settings.rule!r}; another rule needs a new collection",
                "settings.rule",
            )
        if not same_policy_keys(collection.settings, settings):
            collection.unsorted_seq = self._store.items.next_seq() - 1
        if settings.ttl_seconds != collection.settings.ttl_seconds:
            self.expiry_outdated[collection.id] = collection
        collection.settings = settings
        self.recut(collection)
        return collection

    def cut_otherwise(self) -> list[Collection]:
        """Those whose texts were cut by other rules than the current ones."""
        return [one for one in self.all() if one.cut_by != self._messages.identity(one.settings)]

    def recut(self, collection: Collection) -> None:
        """Its texts are cut by the current rules and settings from now on; items of other rules are cut again later."""
        identity = self._messages.identity(collection.settings)
        if collection.cut_by != identity:
            collection.cut_by = identity
            collection.uncut_seq = self._store.items.next_seq() - 1 if collection.model is not None else 0
        self.touch(collection)

    def awaiting_summary(self) -> list[Collection]:
        """Collections with silent commands since their last summary, oldest first."""
        return [self._silent[id_] for id_ in sorted(self._silent)]

    def unsorted(self) -> Collection | None:
        """The oldest collection with items that still lack their policy key, if there is one."""
        return self._unsorted[min(self._unsorted)] if self._unsorted else None

    def uncut(self) -> Collection | None:
        """The oldest collection with items that were cut by other rules, if there is one that does not move."""
        waiting = (self._uncut[id_] for id_ in sorted(self._uncut))
        return next((one for one in waiting if one.name not in self.moving), None)

    def unlearned(self) -> Collection | None:
        """The oldest collection with answers whose features are of another model, if one does not move."""
        waiting = (self._unlearned[id_] for id_ in sorted(self._unlearned))
        return next((one for one in waiting if one.name not in self.moving), None)

    def touch(self, collection: Collection) -> None:
        """Note that it has changed in memory."""
        self._changed[collection.id] = collection
        if collection.unsorted_seq:
            self._unsorted[collection.id] = collection
        else:
            self._unsorted.pop(collection.id, None)
        if collection.uncut_seq:
            self._uncut[collection.id] = collection
        else:
            self._uncut.pop(collection.id, None)
        if collection.unlearned_answer:
            self._unlearned[collection.id] = collection
        else:
            self._unlearned.pop(collection.id, None)
        if collection.silent_commands:
            self._silent[collection.id] = collection
        else:
            self._silent.pop(collection.id, None)

    def expiry_changed(self, name: str) -> None:
        """Its next expiry must be computed again: items came by a move."""
        collection = self._by_name[name]
        self.expiry_outdated[collection.id] = collection

    def retire(self, collection: Collection) -> None:
        """It was deleted or moved away; its name may be used again."""
        del self._by_name[collection.name], self._by_id[collection.id]
        self._changed.pop(collection.id, None)
        self._silent.pop(collection.id, None)
        self._unsorted.pop(collection.id, None)
        self._uncut.pop(collection.id, None)
        self._unlearned.pop(collection.id, None)
        self.expiry_outdated.pop(collection.id, None)

    def flush(self) -> list[Collection]:
        """Write what has changed, and return it; part of the running transaction."""
        changed = list(self._changed.values())
        for collection in changed:
            self._store.collections.save(collection)
        self._changed.clear()
        return changed

    def _reload(self) -> None:
        self._by_name = {collection.name: collection for collection in self._store.collections.all()}
        self._by_id = {collection.id: collection for collection in self.all()}
        self._changed = {}
        self._silent = {collection.id: collection for collection in self.all() if collection.silent_commands}
        self._unsorted = {collection.id: collection for collection in self.all() if collection.unsorted_seq}
        self._uncut = {collection.id: collection for collection in self.all() if collection.uncut_seq}
        self._unlearned = {collection.id: collection for collection in self.all() if collection.unlearned_answer}

    def require_room(self) -> None:
        """Check that one more is allowed.

        Raises:
            InvalidCommand: there are already as many as allowed.
        """
        if len(self._by_name) >= self._most:
            raise InvalidCommand(
                "too_many_collections",
                f"there are {self._most} collections (RECOMMENDER_MAX_COLLECTIONS): delete those that nobody needs"
                " (recommender delete-collection), or raise the setting of the worker",
                "collection",
            )

    def _create(self, name: str, settings: CollectionSettings) -> Collection:
        self.require_room()
        collection = self._by_name[name] = self._store.collections.create(name, settings)
        self.recut(collection)
        self._by_id[collection.id] = collection
        return collection

    def _check_model(self, collection: Collection) -> None:
        if collection.model is None:
            return
        identity = self._encoders.encoder(collection.settings.model).identity
        if identity.key != collection.model:
            raise ModelError(
                f"collection {collection.name!r} holds vectors of {collection.model}, but the model "
                f"{collection.settings.model!r} is now {identity.key}: bring back the files and settings of the first, "
                "or start from an empty state directory"
            )
