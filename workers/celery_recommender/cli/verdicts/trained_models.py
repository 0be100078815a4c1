"""Models that were trained on items of a collection, and which of these are there no longer."""

from __future__ import annotations

from pathlib import Path

from celery_recommender.celery.tasks.questions import Stats
from celery_recommender.cli.asking import Ask, owner_or_state
from celery_recommender.cli.input.stored import pages
from celery_recommender.cli.locating import located
from celery_recommender.settings import Settings
from recommender_engine.training.examples import item_digest
from recommender_engine.training.manifest import Manifest, read_manifest


def items_gone(settings: Settings, directory: Path) -> int | None:
    """How many items that a model was trained on were deleted or erased since; ``None`` if it knows of no collection.

    Raises:
        ModelError: the manifest of the model cannot be read.
    """
    manifest = read_manifest(directory)
    if manifest is None or manifest.collection is None:
        return None
    with owner_or_state(located(settings, manifest.collection)) as ask:
        return missing(ask, manifest)


def missing(ask: Ask, manifest: Manifest) -> int:
    """How many of the items that a manifest names are not in its collection."""
    collection, here = str(manifest.collection), set[str]()
    if collection in ask(Stats)["collections"]:
        for page in pages(ask, collection):
            here |= {item_digest(collection, item["id"]) for item in page["items"]}
    return len(set(manifest.items) - here)
