"""The answers of people about the items of a collection, as examples to train on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery_recommender.celery.tasks.questions import Answers
from celery_recommender.cli.asking import Ask
from celery_recommender.cli.input.stored import pages
from celery_recommender.cli.learning.example_files import answered
from celery_recommender.texts import compared_text
from recommender_engine.errors import ConfigurationError
from recommender_engine.text import clean
from recommender_engine.training.examples import Examples, Parts, item_digest
from recommender_engine.training.splitting import split

_ANSWERS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Answered:
    """Answers with the texts of their items.

    Attributes:
        examples: a pair of texts for each answer.
        items: digests of the items.
        pool: every text of the collection with its group, which hard negatives come from.
    """

    examples: Examples
    items: tuple[str, ...]
    pool: dict[str, str]

    def parts(self, share: float, seed: int) -> Parts:
        """What is trained on and what is held out."""
        return split(self.examples, share, seed)


def answered_in(ask: Ask, collection: str, advance: Callable[[int, int], None]) -> Answered:
    """Read the answers of a collection and the texts of its items, page by page.

    Args:
        ask: the way to the owner.
        collection: its name.
        advance: called with the number of items of each page, and of all pages together.

    Raises:
        ClickException: there is no such collection.
        ConfigurationError: there is no answer about two items with different texts.
    """
    texts: dict[str, str] = {}
    pool: dict[str, str] = {}
    for page in pages(ask, collection):
        for item in page["items"]:
            text = texts[item["id"]] = _compared(item)
            pool.setdefault(text, item["group"])
        advance(len(page["items"]), page["total"])
    pairs: list[tuple[str, ...]] = []
    same: list[bool] = []
    items: set[str] = set()
    for answer in _answers(ask, collection):
        ids = (answer["item_id"], answer["other_id"])
        one, other = (texts.get(name) for name in ids)
        if one and other and one != other:
            pairs.append((one, other))
            same.append(answer["answer"] == "same")
            items.update(ids)
    if not pairs:
        raise ConfigurationError(
            f"collection {collection!r} has no answer about two items with different texts: give some with"
            " `recommender review`"
        )
    return Answered(answered(pairs, same), tuple(item_digest(collection, name) for name in sorted(items)), pool)


def _answers(ask: Ask, collection: str) -> list[dict[str, Any]]:
    """All answers, the first first."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = ask(Answers, collection=collection, after=after, limit=_ANSWERS_AT_ONCE)
        found += page["answers"]
        after = page["next"]
        if after is None:
            return found[::-1]


def _compared(item: dict[str, Any]) -> str:
    """The text that the encoder was given."""
    return clean(compared_text(item))
