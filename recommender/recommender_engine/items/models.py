"""The commands that change the model of a collection while its stream goes on."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from recommender_engine.items.command import CollectionCommand
from recommender_engine.items.values import Name

ModelDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
"""Fingerprint of a model: the first 16 hex digits of a SHA-256 over its weights, tokenizer and settings."""


class ModelCommand(CollectionCommand):
    """Base of commands about one model of a collection.

    Attributes:
        collection: the collection.
        model: name of the model among those that the owner knows.
        digest: fingerprint of its files; a model of that name with another one is refused.
    """

    model: Name
    digest: ModelDigest


class ProposeModel(ModelCommand):
    """Embed the items of a collection by a second model beside the live one; nothing is decided by it yet.

    Appended by ``recommender model propose``. Proposed once more, it begins again where it stopped.
    """

    type: ClassVar = "model.proposed"
    privileged: ClassVar = True
    routed: ClassVar = True


class PromoteModel(ModelCommand):
    """Switch to the second model of a collection, at this place of the stream; the live one becomes the second.

    Appended by ``recommender model promote`` and ``rollback``.
    """

    type: ClassVar = "model.promoted"
    privileged: ClassVar = True
    routed: ClassVar = True
    alters_collection: ClassVar = True


class DropModel(ModelCommand):
    """Delete the second model of a collection with its vectors; appended by ``recommender model drop``."""

    type: ClassVar = "model.dropped"
    privileged: ClassVar = True
    routed: ClassVar = True
