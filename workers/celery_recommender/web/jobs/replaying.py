"""The exact effect of other settings: the newest items decided again, twice, in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from celery_recommender.replaying import Replayed, Seen, commands, replay
from celery_recommender.settings import Settings
from celery_recommender.texts import compared_text
from celery_recommender.web.jobs.collected import pages
from celery_recommender.web.jobs.runner import Work
from celery_recommender.web.service.service import Service
from recommender_engine.items import CollectionSettings
from recommender_engine.items.commands import ConfigureCollection, validate

KIND = "replay"
LAST = 1000
"""Items that are decided again."""
_SHOWN = 20


def replaying(service: Service, settings: Settings) -> Callable[[Work], dict[str, Any]]:
    """The work of a job of this kind."""
    return lambda work: _replayed(service, settings, work)


def _replayed(service: Service, settings: Settings, work: Work) -> dict[str, Any]:
    collection = work.job.collection
    items: list[dict[str, Any]] = []
    for page in pages(service, work, LAST):
        items += page["items"]
    there = {item["id"] for item in items}
    given = service.ask("recommender.answers", collection=collection)
    answers = [one for one in given if {one["item_id"], one["other_id"]} <= there]
    now = CollectionSettings.model_validate(page["settings"])
    seen = Seen(collection, now, page["dimension"], items, answers)
    changed = {**now.model_dump(mode="json"), **work.job.options["wanted"]}
    wanted = validate(ConfigureCollection, {"collection": collection, "settings": changed}).settings
    total, done = 2 * commands(seen), [0]

    def advance(count: int) -> None:
        done[0] += count
        work.tell("deciding_again", done[0], total)

    decide = partial(replay, seen, advance=advance, message_rules=settings.message_rules)
    before, after = decide(settings=now), decide(settings=wanted)
    texts = {item["id"]: compared_text(item) for item in items}
    others = [id_ for id_ in texts if _verdict(before, id_) != _verdict(after, id_)]
    return {
        "items": len(items),
        "wanted": work.job.options["wanted"],
        "now": _bands(before),
        "then": _bands(after),
        "changed": len(others),
        "changes": [_change(before, after, id_, texts[id_]) for id_ in others[:_SHOWN]],
    }


def _verdict(replayed: Replayed, id_: str) -> tuple[str, str | None]:
    said = replayed.said[id_]
    return said.band.value, said.duplicate_of


def _bands(replayed: Replayed) -> dict[str, int]:
    return dict(Counter(said.band.value for said in replayed.said.values()))


def _change(before: Replayed, after: Replayed, id_: str, text: str) -> dict[str, Any]:
    said = after.said[id_]
    return {
        "id": id_,
        "now": before.said[id_].band.value,
        "then": said.band.value,
        "probability": said.probability,
        "why": said.explanation,
        "text": text[:300],
    }
