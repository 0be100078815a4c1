"""Routes that list, page by page: items, pairs that want an answer, groups, answers, collections."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from celery_recommender.web.api.callers import AskedCollection, AtService, Looks
from celery_recommender.web.api.problems import MISSING, gives, missing
from celery_recommender.web.service.service import ANSWER_TIMEOUT_S, OwnerAway

router = APIRouter(tags=["lists"])

Bands = Annotated[list[str] | None, Query(alias="band", max_length=8)]
After = Annotated[str | None, Query(max_length=1024, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200)]
Words = Annotated[str | None, Query(max_length=1000, description="Only items with these words.")]


@router.get("/items/list", responses={**gives("ItemPage"), **MISSING}, operation_id="list_items")
def list_items(
    caller: Looks,
    collection: AskedCollection,
    service: AtService,
    bands: Bands = None,
    order: Literal["arrival", "probability"] = "arrival",
    descending: bool = True,
    after: After = None,
    limit: Limit = 50,
    text: Words = None,
) -> JSONResponse:
    """Items of a collection as they stand now."""
    options = {"bands": bands, "order": order, "descending": descending, "after": after, "limit": limit, "text": text}
    return _page(service.ask("recommender.list", collection=collection, **options))


@router.get("/review", responses={**gives("ReviewPage"), **MISSING}, operation_id="review")
def review(
    caller: Looks,
    collection: AskedCollection,
    service: AtService,
    order: Literal["worth", "probability", "arrival"] = "worth",
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSONResponse:
    """Pairs that want a person's answer; by default those first whose answer teaches most."""
    return _page(service.ask("recommender.review", collection=collection, order=order, after=after, limit=limit))


@router.get("/group", responses={**gives("GroupPage"), **MISSING}, operation_id="group")
def group(
    caller: Looks,
    collection: AskedCollection,
    service: AtService,
    item_id: Annotated[str, Query(alias="id", min_length=1, max_length=256)],
    after: After = None,
    limit: Limit = 50,
) -> JSONResponse:
    """The group of an item, with its members."""
    return _page(service.ask("recommender.group", item_id, collection=collection, after=after, limit=limit))


@router.get("/answers", responses=gives("AnswerPage"), operation_id="answers")
def answers(
    caller: Looks, collection: AskedCollection, service: AtService, after: After = None, limit: Limit = 50
) -> JSONResponse:
    """Answers of people about the items of a collection, the newest first."""
    return _page(service.ask("recommender.answers", collection=collection, after=after, limit=limit))


@router.get("/collections", operation_id="collections")
def collections(caller: Looks, service: AtService) -> JSONResponse:
    """Counts of each collection that the caller may see, by name."""
    try:
        found = service.client.overview(timeout_s=ANSWER_TIMEOUT_S)["collections"]
    except TimeoutError:
        raise OwnerAway("silent") from None
    return JSONResponse({"collections": [one for one in found if caller.sees(one["name"])]})


def _page(page: dict[str, Any] | None) -> JSONResponse:
    return missing() if page is None else JSONResponse(page)
