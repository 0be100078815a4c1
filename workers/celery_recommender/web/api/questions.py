"""Routes that ask: answered by the owner between two batches."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from celery_recommender.web.api.bodies import (
    CompareBody,
    Compared,
    ListBody,
    Search,
    SearchBody,
    takes,
)
from celery_recommender.web.api.callers import AskedCollection, AtService, Looks, seen
from celery_recommender.web.api.problems import MISSING, Error, gives, missing, told
from recommender_engine.items.list_request import ListRequest

router = APIRouter(tags=["questions"])

MOST_IDS = 200
MOST_DAYS = 90

Ids = Annotated[list[str], Query(alias="id", min_length=1, max_length=MOST_IDS)]


@router.post("/search", openapi_extra=takes(Search), responses=gives("FoundItem", many=True), operation_id="search")
def search(caller: Looks, given: SearchBody, service: AtService) -> JSONResponse:
    """Items for a text, by meaning and words, best first; duplicates once."""
    asked: Search = given.value
    collection = seen(caller, asked.collection)
    options = {"limit": asked.limit, "offset": asked.offset, "filter": asked.filter}
    return JSONResponse(service.ask("recommender.search", asked.text, collection=collection, **options))


@router.post(
    "/recommendations",
    openapi_extra=takes(ListRequest),
    responses={**gives("Listed", many=True), **MISSING},
    operation_id="recommendations",
)
def recommendations(caller: Looks, given: ListBody, service: AtService) -> JSONResponse:
    """A list of recommendations from text and behaviour, best first, with the reason of each."""
    collection = seen(caller, given.value.collection)
    request = {name: value for name, value in given.fields.items() if name != "collection"}
    listed = service.ask("recommender.recommendations", collection=collection, **request)
    return JSONResponse(listed) if listed is not None else missing()


@router.post(
    "/compare",
    openapi_extra=takes(Compared),
    responses={**gives("ComparedPair"), **MISSING},
    operation_id="compare",
)
def compare(caller: Looks, given: CompareBody, service: AtService) -> JSONResponse:
    """The verdict on two texts or items, with its reasons; nothing is stored."""
    collection = seen(caller, given.value.collection)
    sides = [given.fields["one"], given.fields["other"]]
    return JSONResponse(service.ask("recommender.compare", *sides, collection=collection))


@router.get("/items", responses=gives("ItemView", many=True, nullable=True), operation_id="get_items")
def items(caller: Looks, collection: AskedCollection, ids: Ids, service: AtService) -> JSONResponse:
    """Items as they stand, with their verdicts, in the order of the ids; ``null`` where there is none."""
    return JSONResponse(service.ask("recommender.get", ids, collection=collection))


@router.get("/incidents", responses=gives("IncidentView", many=True), operation_id="incidents")
def incidents(caller: Looks, collection: AskedCollection, service: AtService) -> JSONResponse:
    """Groups that grow out of their own baseline now."""
    return JSONResponse(service.ask("recommender.incidents", collection=collection))


@router.get("/hits", responses=gives("HitRate", many=True) | MISSING, operation_id="hits")
def hits(
    caller: Looks, collection: AskedCollection, service: AtService, days: Annotated[int, Query(ge=1, le=MOST_DAYS)] = 28
) -> JSONResponse:
    """What became of the lists of recommendations that were shown, by scenario and arm."""
    found = service.ask("recommender.hits", collection=collection, days=days)
    return missing() if found is None else JSONResponse(found)


@router.get("/outcomes", responses=MISSING, operation_id="outcome")
def outcome(
    caller: Looks,
    collection: AskedCollection,
    key: Annotated[str, Query(min_length=1, max_length=256)],
    service: AtService,
) -> JSONResponse:
    """The event that answered a command of the last 24 hours, by its key."""
    found = service.ask("recommender.outcomes", [key], collection=collection)[0]
    if found is None:
        return told(404, Error(code="not_found", message="no outcome for this key yet", field="key"))
    return JSONResponse(found)


@router.get("/health", operation_id="health")
def health(caller: Looks, service: AtService) -> JSONResponse:
    """How the owner of each partition is: its state, and how many commands wait.

    A key that is limited to some collections gets no count of the items: that of others is in it.
    """
    hidden: dict[str, Any] = {"items": None} if caller.collections else {}
    return JSONResponse([{**one._asdict(), **hidden} for one in service.health()])
