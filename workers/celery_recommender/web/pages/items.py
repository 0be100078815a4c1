"""The items of a collection by band, one item with its verdict, and the group of an item."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from celery_recommender.texts import compared_text
from celery_recommender.web.pages.parts import AtService, page
from celery_recommender.web.security.access import AskedCollection, Who

router = APIRouter()

_PAGE = 50
_SIMILAR = 10

Band = Literal["", "duplicate", "review", "similar", "new"]
Order = Literal["arrival", "probability"]
After = Annotated[str | None, Query(max_length=2000)]


@router.get("/items")
def items(
    request: Request,
    visitor: Who,
    collection: AskedCollection,
    service: AtService,
    band: Band = "",
    order: Order = "arrival",
    text: Annotated[str, Query(max_length=500)] = "",
    after: After = None,
) -> HTMLResponse:
    """A page of items."""
    asked = {"bands": [band] if band else None, "order": order, "text": text.strip() or None}
    found = service.ask("recommender.list", collection=collection, after=after, limit=_PAGE, **asked)
    listed = found or {"items": [], "next": None}
    part = "items_part.html" if after is not None and "hx-request" in request.headers else "items.html"
    return page(request, part, collection=collection, band=band, order=order, text=text, found=listed)


@router.get("/item")
def item(
    request: Request,
    visitor: Who,
    collection: AskedCollection,
    service: AtService,
    id_: Annotated[str, Query(alias="id")],
) -> HTMLResponse:
    """The item as it stands, beside the one that its verdict speaks of."""
    view = service.items([id_], collection).get(id_)
    if view is None:
        return page(request, "told.html", 404, code="no_item", detail=id_)
    similar = service.ask("recommender.recommend", id_, collection=collection, limit=_SIMILAR) or []
    matched = view["matched_id"] and service.items([view["matched_id"]], collection).get(view["matched_id"])
    values: dict[str, Any] = {"view": view, "text": compared_text(view), "matched": matched, "similar": similar}
    other = compared_text(matched) if matched else ""
    return page(request, "item.html", collection=collection, other=other, key=secrets.token_hex(16), **values)


@router.get("/group")
def group(
    request: Request,
    visitor: Who,
    collection: AskedCollection,
    service: AtService,
    id_: Annotated[str, Query(alias="id", min_length=1, max_length=512)],
    after: After = None,
) -> HTMLResponse:
    """The group of an item, with what splits it and joins it with another."""
    found = service.ask("recommender.group", id_, collection=collection, after=after, limit=_PAGE)
    if found is None:
        return page(request, "told.html", 404, code="no_item", detail=id_)
    members = [(member, secrets.token_hex(16)) for member in found["members"]]
    return page(
        request, "group.html", collection=collection, found=found, members=members, key=secrets.token_hex(16), id=id_
    )
