"""The review queue in bulk: a preview of the pairs from a probability on, one confirmation, and the way back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from celery_recommender.web.pages.parts import page
from celery_recommender.web.security.access import ANSWERS, AskedCollection, Who, require
from celery_recommender.web.security.users import Role
from celery_recommender.web.service.bulk import MOST_AT_ONCE, BulkService
from celery_recommender.web.service.review import Reviewer
from celery_recommender.web.shown.rendering import link

router = APIRouter()

Token = Annotated[str, Form(pattern="^[0-9a-f]{32}$")]


def _bulk(request: Request) -> BulkService:
    service: BulkService = request.app.state.bulk
    return service


AtBulk = Annotated[BulkService, Depends(_bulk)]


@router.get("/review/bulk", dependencies=[Depends(require(Role.ANSWER))])
def preview(
    request: Request,
    visitor: Who,
    collection: AskedCollection,
    bulk: AtBulk,
    percent: Annotated[int, Query(ge=1, le=100)] = 90,
) -> HTMLResponse:
    """How many pairs are as probable, the twenty least probable of them, and a button that answers all."""
    found = bulk.preview(collection, percent / 100, Reviewer(visitor.browser, visitor.name))
    values: dict[str, Any] = {"percent": percent, "found": found, "most": MOST_AT_ONCE}
    return page(request, "bulk.html", collection=collection, **values)


@router.post("/review/bulk", dependencies=ANSWERS)
def give(request: Request, visitor: Who, bulk: AtBulk, token: Token) -> HTMLResponse:
    """Answer what was shown."""
    done = bulk.give(token, Reviewer(visitor.browser, visitor.name), visitor.sees)
    if done is None:
        return page(request, "told.html", 409, code="bulk_ended", detail="")
    return page(request, "bulk_done.html", collection=done.collection, done=done)


@router.post("/review/bulk/back", dependencies=ANSWERS)
def take_back(
    request: Request, visitor: Who, bulk: AtBulk, token: Token, collection: Annotated[str, Form(max_length=256)]
) -> Response:
    """Take back what the last confirmation answered."""
    if bulk.take_back(token, Reviewer(visitor.browser, visitor.name), visitor.sees) is None:
        return page(request, "told.html", 409, code="bulk_ended", detail="")
    return RedirectResponse(link("/review/bulk", collection=collection), 303)
