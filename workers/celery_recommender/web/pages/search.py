"""Search by meaning and words, and the comparison of two texts."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse

from celery_recommender.texts import compared_text, highlights_of
from celery_recommender.web.pages.parts import AtService, page
from celery_recommender.web.security.access import AskedCollection, Posted, Who, require_csrf
from celery_recommender.web.shown.highlights import Piece

router = APIRouter()

_PAGE = 20
_MOST = 1000
_SHOWN = 600

Text = Annotated[str, Form(max_length=98_304)]


class Hit(NamedTuple):
    """A hit of a search, with its text in pieces."""

    id: str
    score: float
    group: str
    pieces: list[Piece]


@router.get("/search")
def search(
    request: Request,
    visitor: Who,
    collection: AskedCollection,
    service: AtService,
    q: Annotated[str, Query(max_length=10_000)] = "",
    offset: Annotated[int, Query(ge=0, le=_MOST - _PAGE)] = 0,
) -> HTMLResponse:
    """Hits, best first, a page at a time; the form alone without a question."""
    found: list[dict[str, Any]] = []
    if q.strip():
        found = service.ask("recommender.search", q, collection=collection, limit=_PAGE, offset=offset)
    hits = [Hit(hit["id"], hit["score"], hit["group"], _marked(hit)) for hit in found]
    more = offset + _PAGE if len(hits) == _PAGE and offset + 2 * _PAGE <= _MOST else None
    values: dict[str, Any] = {"q": q, "collection": collection, "hits": hits, "more": more, "offset": offset}
    part = "hx-request" in request.headers
    return page(request, "search_part.html" if part else "search.html", **values)


@router.get("/compare")
def compare_page(
    request: Request,
    visitor: Who,
    collection: AskedCollection,
    one: Annotated[str, Query(max_length=512)] = "",
    other: Annotated[str, Query(max_length=512)] = "",
) -> HTMLResponse:
    """The form; ``one`` and ``other`` are ids that it begins with."""
    return page(request, "compare.html", collection=collection, one=one, other=other, verdict=None)


@router.post("/compare", dependencies=[Depends(require_csrf)])
def compare(
    request: Request, visitor: Who, collection: Posted, service: AtService, one: Text, other: Text, kind: Text = "text"
) -> HTMLResponse:
    """The verdict on two texts, or on two stored items."""
    texts = {"one": one, "other": other}
    if kind == "id":
        views = service.items([one, other], collection)
        sides: list[Any] = [{"id": side} for side in (one, other)]
        texts = {name: compared_text(views[side]) for name, side in texts.items() if side in views}
    else:
        sides = [one, other]
    verdict = service.ask("recommender.compare", *sides, collection=collection) if len(texts) > 1 else None
    values: dict[str, Any] = {"collection": collection, "one": one, "other": other, "kind": kind}
    return page(request, "compare.html", verdict=verdict, texts=texts, missing=verdict is None, **values)


def _marked(hit: dict[str, Any]) -> list[Piece]:
    """The beginning of a hit's text, with the terms of the question marked."""
    text, found, start = compared_text(hit)[:_SHOWN], [], 0
    for mark in highlights_of(hit):
        if start <= mark["start"] < mark["end"] <= len(text):
            found += [Piece(text[start : mark["start"]], ""), Piece(text[mark["start"] : mark["end"]], "shared")]
            start = mark["end"]
    return [piece for piece in [*found, Piece(text[start:], "")] if piece.text]
