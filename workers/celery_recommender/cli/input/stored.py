"""Reads what a collection holds, page by page, from its owner or its state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from celery_recommender.celery.tasks.questions import Answers, Export
from celery_recommender.cli.asking import Ask
from celery_recommender.cli.input.policies import checked
from celery_recommender.replaying import Seen
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import CollectionSettings


def pages(ask: Ask, collection: str, last: int | None = None, *, second: bool = False) -> Iterator[dict[str, Any]]:
    """The pages of an export; with ``second`` with the vectors of the second model.

    Raises:
        ClickException: there is no such collection.
    """
    after = 0
    while after is not None:
        more = {"second": True} if second else {}
        page = ask(Export, collection=collection, after=after, last=last, **more)
        if page is None:
            raise click.ClickException(f"there is no collection {collection!r}")
        yield page
        after = page["next"]


def gathered(ask: Ask, collection: str, last: int | None, advance: Callable[[int, int], None]) -> Seen:
    """Everything that a replay needs, from the owner.

    Args:
        ask: the way to the owner.
        collection: which.
        last: the newest so many items; all by ``None``.
        advance: called with the number of items of each page, and of all pages together.

    Raises:
        ClickException: there is no such collection, or nothing in it.
    """
    items: list[dict[str, Any]] = []
    settings, dimension = CollectionSettings(), None
    for page in pages(ask, collection, last):
        settings, dimension = CollectionSettings.model_validate(page["settings"]), page["dimension"]
        items += page["items"]
        advance(len(page["items"]), page["total"])
    if not items or dimension is None:
        raise click.ClickException(f"collection {collection!r} has no items")
    there = {item["id"] for item in items}
    answers = [one for one in ask(Answers, collection=collection) if {one["item_id"], one["other_id"]} <= there]
    return Seen(collection, settings, dimension, items, answers)


def changed_settings(seen: Seen, changes: Mapping[str, Any], *, all_named: bool = False) -> CollectionSettings:
    """The settings of a collection with some changes, for a replay.

    Args:
        seen: what the collection holds.
        changes: settings by name.
        all_named: whether those that are not named are the defaults.

    Raises:
        ConfigurationError: one of the changes is no setting; or the model would be another.
    """
    # Those of now count as given, so that only what is changed can be wrong.
    now = {} if all_named else seen.settings.model_dump(mode="json")
    wanted = checked(seen.collection, {**now, **changes})
    if wanted.model != seen.settings.model:
        raise ConfigurationError(f"model: the recorded vectors are those of {seen.settings.model!r}")
    return wanted
