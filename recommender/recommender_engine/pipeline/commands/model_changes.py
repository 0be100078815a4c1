"""``model.proposed``, ``model.promoted`` and ``model.dropped``: the model of a collection changes while it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from recommender_engine.embedding import ModelIdentity
from recommender_engine.errors import InvalidCommand, ModelError
from recommender_engine.event_log import event_log
from recommender_engine.items import (
    DropModel,
    EntryId,
    ModelDropped,
    ModelPromoted,
    ModelProposed,
    PromoteModel,
    ProposeModel,
)
from recommender_engine.items.models import ModelCommand
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.commands.promotion import Promotion
from recommender_engine.pipeline.vectors.embedding_step import EmbeddingStep
from recommender_engine.pipeline.vectors.second_models import SecondModels
from recommender_engine.store import Collection, SecondModel, SqliteStore

log = event_log(__name__)


class ModelChanges:
    """Proposes, promotes and drops the second models of collections."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        embedding: EmbeddingStep,
        second_models: SecondModels,
        promotion: Promotion,
    ) -> None:
        self._store = store
        self._collections = collections
        self._embedding = embedding
        self._second_models = second_models
        self._promotion = promotion

    def propose(self, decision: Decision, command: ProposeModel) -> EntryId:
        """Apply ``model.proposed``; returns the id of its outcome.

        Raises:
            InvalidCommand: there is no such collection or model, the collection has no vectors, the model is its live
                one, or another one is proposed.
        """
        collection = self._collection(command)
        identity = self._identity(command, self._embedding.identity_of)
        if identity.key == collection.model:
            raise InvalidCommand("model_in_use", f"model: {command.model!r} is the live model already", "model")
        second = self._second_models.of(collection.id)
        if second is not None and (second.name, second.model) != (command.model, identity.key):
            raise InvalidCommand(
                "model_proposed", f"{collection.name!r} has a second model, {second.model}: drop it first", "model"
            )
        if second is None:
            second = SecondModel(collection.id, command.model, identity.key, identity.dimension)
        self._second_models.put(replace(second, tries=0))
        return decision.emit(
            ModelProposed(
                command=decision.cause,
                collection=collection.name,
                model=command.model,
                digest=command.digest,
                dimension=identity.dimension,
                items=self._store.items.count(collection.id),
            )
        )

    def promote(self, decision: Decision, command: PromoteModel) -> EntryId:
        """Apply ``model.promoted``; returns the id of its outcome.

        Raises:
            InvalidCommand: it is not the second model of the collection, or cannot embed one of its items.
            EncodingError: the model failed.
        """
        collection = self._collection(command)
        second = self._second(collection, command)
        self._identity(command, self._embedding.loaded_identity_of)
        before = str(collection.model)
        self._promotion.promote(decision, collection, second)
        return decision.emit(
            ModelPromoted(
                command=decision.cause,
                collection=collection.name,
                model=command.model,
                digest=command.digest,
                before=before,
                items=self._store.items.count(collection.id),
            )
        )

    def drop(self, decision: Decision, command: DropModel) -> EntryId:
        """Apply ``model.dropped``; returns the id of its outcome.

        Raises:
            InvalidCommand: it is not the second model of the collection.
        """
        collection = self._collection(command)
        self._second_models.drop(self._second(collection, command))
        return decision.emit(
            ModelDropped(command=decision.cause, collection=collection.name, model=command.model, digest=command.digest)
        )

    def _collection(self, command: ModelCommand) -> Collection:
        collection = self._collections.find(command.collection)
        if collection is None or collection.model is None:
            raise InvalidCommand(
                "unknown_collection",
                f"{command.collection!r} has no items: its model is the setting model of collection.configured",
                "collection",
            )
        return collection

    def _identity(self, command: ModelCommand, identity_of: Callable[[str], ModelIdentity]) -> ModelIdentity:
        """The model of a command, as it is here.

        Raises:
            InvalidCommand: it is not here, or has other files.
        """
        found = None
        if self._embedding.has(command.model):
            try:
                found = identity_of(command.model)
            except ModelError as error:
                log.warning("engine.second_model_failed", extra={"model": command.model, "error": str(error)})
        if found is None or found.fingerprint != command.digest:
            has = "none that can be loaded" if found is None else found.fingerprint
            raise InvalidCommand(
                "unknown_model",
                f"model: this worker has no {command.model!r} with digest {command.digest}, but {has}:"
                " recommender model add",
                "model",
            )
        return found

    def _second(self, collection: Collection, command: ModelCommand) -> SecondModel:
        second = self._second_models.of(collection.id)
        if second is None or (second.name, second.digest) != (command.model, command.digest):
            has = "none" if second is None else second.model
            raise InvalidCommand(
                "not_proposed",
                f"model: the second model of {collection.name!r} is {has}, not {command.model}@{command.digest}",
                "model",
            )
        return second
