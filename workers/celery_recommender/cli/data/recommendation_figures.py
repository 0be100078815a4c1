"""The figures of ``recommender evaluate recommendations``: of the engine and of the baselines, with their progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.progress import Progress

from celery_recommender.cli.common import progress_bar
from celery_recommender.cli.data.evaluation_output import plain, rounded
from recommender_engine.evaluation import RecordedEncoders, embed
from recommender_engine.evaluation.recommendations import (
    Catalogue,
    ItemMethod,
    Method,
    Product,
    Recorded,
    baselines,
    judge_items,
    judge_users,
)
from recommender_engine.items import CollectionSettings
from recommender_engine.message import Messages
from recommender_engine.text import clean

_NO_ITEMS = frozenset({"own_frequency"})
"""Baselines that say nothing of an item alone."""


def figures(
    recorded: Recorded, encoders: RecordedEncoders, settings: CollectionSettings, messages: Messages
) -> dict[str, Any]:
    """Figures of the engine, items as they are and by default, and under ``baselines`` those of the baselines."""
    with progress_bar() as bar:
        judged = _Judged(recorded, _catalogue(recorded, encoders, settings, messages, bar), bar)
        asked = [recorded.history.known, *(one.place for one in recorded.truth.baskets)]
        sent = judged.begun("recommender: commands", _commands(recorded, max(asked)))
        with Product(recorded, encoders, settings, done=sent) as product:
            found = judged.both("recommender", product)
            speed, rejected = product.interactions_per_s, dict(product.rejected)
        sent = judged.begun("by default: commands", _commands(recorded, recorded.history.known))
        with Product(recorded, encoders, settings, as_they_are=False, done=sent) as product:
            found["items"] |= {"defaults": judged.items("by default", product)}
        compared = {
            name: judged.users_alone(name, method) if name in _NO_ITEMS else judged.both(name, method)
            for name, method in baselines(recorded.truth.candidates, judged.things).items()
        }
    return {**found, "interactions_per_s": rounded(speed), "rejected": rejected, "baselines": compared}


@dataclass(frozen=True, slots=True)
class _Judged:
    """Judges methods on one history."""

    recorded: Recorded
    things: Catalogue
    bar: Progress

    def begun(self, what: str, total: int) -> Callable[[int], None]:
        """A line of progress; what it returns advances it."""
        task = self.bar.add_task(what, total=total)
        return lambda count: self.bar.advance(task, count)

    def both(self, name: str, method: Method) -> dict[str, Any]:
        """Lists for items, and then for users: what is known grows from the one to the other."""
        return {"items": self.items(name, method), **self.users_alone(name, method)}

    def items(self, name: str, method: ItemMethod) -> Mapping[str, Any]:
        """Lists for items."""
        done = self.begun(f"{name}: items", len(self.recorded.truth.partners))
        return plain(judge_items(method, self.recorded.history, self.recorded.truth, self.things, done))

    def users_alone(self, name: str, method: Method) -> dict[str, Any]:
        """Lists for users."""
        done = self.begun(f"{name}: baskets", len(self.recorded.truth.baskets))
        return {"users": plain(judge_users(method, self.recorded.history, self.recorded.truth, self.things, done))}


def _commands(recorded: Recorded, interactions: int) -> int:
    """So many commands are sent: the settings, the candidates, the interactions."""
    return 1 + int(recorded.truth.candidates.sum()) + interactions


def _catalogue(
    recorded: Recorded, encoders: RecordedEncoders, settings: CollectionSettings, messages: Messages, bar: Progress
) -> Catalogue:
    task = bar.add_task("embedded", total=len(recorded.items))
    texts = [clean(messages.compared(item, settings).content) for item in recorded.items]
    made = embed(encoders.encoder(settings.model), texts, lambda count: bar.advance(task, count))
    return Catalogue(recorded.items, made)
