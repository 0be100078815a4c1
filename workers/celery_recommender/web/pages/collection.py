"""A collection: its settings with sliders that show what others would change, and its pictures."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from celery_recommender.web.jobs import mapping, replaying
from celery_recommender.web.jobs.store import JobStore
from celery_recommender.web.pages.files import AtStore, wake
from celery_recommender.web.pages.parts import AtService, page
from celery_recommender.web.security.access import ANSWERS, CONFIGURES, AskedCollection, Posted, Who
from celery_recommender.web.security.visitors import Visitor
from celery_recommender.web.service.service import Service
from celery_recommender.web.shown.rates import BANDS
from celery_recommender.web.shown.rendering import link
from recommender_engine.items import CommandRejected

router = APIRouter()

MOVED = ("target_precision", "review_from", "review_budget")
"""The settings that the page changes; all others are kept."""
_EXAMPLES = 5


class Wanted:
    """The settings of the form, as the query or the form has them.

    Args:
        target: precision of the flagged items, in thousandths.
        review: probability from which a person looks, in hundredths.
        review_auto: whether that is left to the matcher.
        budget: share of the items that may be in review, in hundredths.
        budget_off: whether any number may be.
    """

    def __init__(self, *, target: int, review: int, review_auto: bool, budget: int, budget_off: bool) -> None:
        self.values: dict[str, Any] = {
            "target_precision": target / 1000,
            "review_from": None if review_auto else review / 100,
            "review_budget": None if budget_off else budget / 100,
        }


def _asked(
    target: Annotated[int, Query(ge=500, le=999)],
    review: Annotated[int, Query(ge=1, le=99)] = 50,
    review_auto: bool = False,
    budget: Annotated[int, Query(ge=1, le=100)] = 15,
    budget_off: bool = False,
) -> Wanted:
    return Wanted(target=target, review=review, review_auto=review_auto, budget=budget, budget_off=budget_off)


def _posted(
    target: Annotated[int, Form(ge=500, le=999)],
    review: Annotated[int, Form(ge=1, le=99)] = 50,
    review_auto: Annotated[bool, Form()] = False,
    budget: Annotated[int, Form(ge=1, le=100)] = 15,
    budget_off: Annotated[bool, Form()] = False,
) -> Wanted:
    return Wanted(target=target, review=review, review_auto=review_auto, budget=budget, budget_off=budget_off)


AskedSettings = Annotated[Wanted, Depends(_asked)]
PostedSettings = Annotated[Wanted, Depends(_posted)]


@router.get("/settings")
def settings_page(request: Request, visitor: Who, collection: AskedCollection, service: AtService) -> HTMLResponse:
    """The page; its figures follow the sliders by `preview`."""
    now = service.ask("recommender.preview", collection=collection)
    if now is None:
        return page(request, "told.html", 404, code="no_collection", detail=collection)
    settings = now["settings"]
    values: dict[str, Any] = {
        "settings": settings,
        "mark": mark_of(settings),
        "others": {name: value for name, value in settings.items() if name not in MOVED},
        "shown": _shown(service, collection, settings, {name: settings[name] for name in MOVED}),
    }
    return page(request, "settings.html", collection=collection, **values)


@router.get("/settings/preview")
def preview(
    request: Request, visitor: Who, collection: AskedCollection, service: AtService, wanted: AskedSettings
) -> HTMLResponse:
    """How many items would be in each band, with some of those that would move."""
    now = service.ask("recommender.preview", collection=collection)
    if now is None:
        return page(request, "told.html", 404, code="no_collection", detail=collection)
    shown = _shown(service, collection, now["settings"], wanted.values)
    return page(request, "settings_preview.html", collection=collection, shown=shown)


@router.post("/settings", dependencies=CONFIGURES)
def save(
    request: Request,
    visitor: Who,
    collection: Posted,
    service: AtService,
    wanted: PostedSettings,
    mark: Annotated[str, Form(pattern="^[0-9a-f]{64}$")],
) -> Response:
    """Save the three settings; all others stay as they are."""
    now = service.ask("recommender.preview", collection=collection)
    if now is None:
        return page(request, "told.html", 404, code="no_collection", detail=collection)
    if mark_of(now["settings"]) != mark:
        return page(request, "told.html", 409, code="settings_changed", detail="")
    outcome = service.configure(collection, {**now["settings"], **wanted.values})
    if outcome is not None and outcome["type"] == CommandRejected.type:
        return page(request, "told.html", 409, code="settings_rejected", detail=outcome["data"]["message"])
    return RedirectResponse(link("/settings", collection=collection), 303)


def mark_of(settings: dict[str, Any]) -> str:
    """Tells settings from others: those that a form was made from from those that hold when it is sent."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _shown(service: Service, collection: str, settings: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Counts of now and of then, the histogram with both borders, and examples.

    Both are previews by stated probabilities. What other settings change is the difference of the two, so that what a
    preview leaves out (groups, answers) stays as it is.
    """
    before, after = (_preview(service, collection, one) for one in (settings, wanted))
    then = {band: max(0, before["bands"][band] + after["preview"][band] - before["preview"][band]) for band in BANDS}
    return {
        "now": before["bands"],
        "then": then,
        "histogram": after["histogram"],
        "borders": (before["duplicate_from"], after["duplicate_from"], wanted["review_from"]),
        "measured": after["duplicate_from"] is None or after["duplicate_from"] < 1,
        "wanted": wanted,
        "examples": _examples(service, collection, before["duplicate_from"], after["duplicate_from"]),
    }


def _preview(service: Service, collection: str, settings: dict[str, Any]) -> dict[str, Any]:
    asked = {name: settings[name] for name in ("target_precision", "review_from")}
    found: dict[str, Any] = service.ask("recommender.preview", collection=collection, **asked)
    return found


def _examples(service: Service, collection: str, before: float | None, after: float | None) -> list[tuple[str, Any]]:
    """Some items between the two borders, nearest to the new one first, each with the band in which it would be."""
    if before is None or after is None or before == after:
        return []
    falls = after < before
    band, other = ("review", "duplicate") if falls else ("duplicate", "review")
    low, high = sorted((before, after))
    found = service.ask(
        "recommender.list", collection=collection, bands=[band], order="probability", descending=falls, limit=50
    )
    between = [one for one in found["items"] if low <= one["probability"] < high]
    return [(other, one) for one in between[-_EXAMPLES:][::-1]]


@router.post("/settings/replay", dependencies=CONFIGURES)
def replay(request: Request, visitor: Who, collection: Posted, store: AtStore, wanted: PostedSettings) -> HTMLResponse:
    """Begin to decide the newest items again under the settings of the form; nothing is stored."""
    return _begun(request, visitor, store, replaying.KIND, collection, {"wanted": wanted.values})


@router.get("/map")
def map_page(
    request: Request, visitor: Who, collection: AskedCollection, service: AtService, store: AtStore
) -> HTMLResponse:
    """Pictures: the histogram at once, and the map that was drawn last."""
    now = service.ask("recommender.preview", collection=collection)
    if now is None:
        return page(request, "told.html", 404, code="no_collection", detail=collection)
    drawn = [job for job in store.all() if (job.kind, job.collection) == (mapping.KIND, collection)]
    job = drawn[-1] if drawn else None
    return page(request, "map.html", collection=collection, now=now, job=job, most=mapping.LAST)


@router.post("/map", dependencies=ANSWERS)
def draw(request: Request, visitor: Who, collection: Posted, store: AtStore) -> HTMLResponse:
    """Begin to draw the map anew."""
    return _begun(request, visitor, store, mapping.KIND, collection, {})


def _begun(
    request: Request, visitor: Visitor, store: JobStore, kind: str, collection: str, options: dict[str, Any]
) -> HTMLResponse:
    """A new job in place of the one of this kind and collection."""
    for one in store.all():
        if (one.kind, one.collection) == (kind, collection):
            store.remove(one.id)
    job = store.add(kind, collection, visitor.name, "waiting", options)
    wake(request)
    return page(request, "job.html", collection=collection, job=job)
