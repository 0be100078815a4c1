"""Dead letters: show, send again, drop."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from celery_recommender.web.pages.parts import page
from celery_recommender.web.security.access import CONFIGURES, Who
from celery_recommender.web.security.visitors import Refused, Visitor
from celery_recommender.web.service.letters import Filed, Letters, NotReplayable

router = APIRouter()

_PAGE = 50
_SHOWN_BYTES = 64 * 1024

Id = Annotated[str, Form(max_length=64)]


def _letters(request: Request) -> Letters:
    letters: Letters = request.app.state.letters
    return letters


Filing = Annotated[Letters, Depends(_letters)]


@router.get("/letters")
def letters_page(
    request: Request, visitor: Who, letters: Filing, after: Annotated[str, Query(max_length=64)] = ""
) -> HTMLResponse:
    """The letters, newest first."""
    try:
        found, more = letters.page(after, _PAGE)
    except ValueError:
        return page(request, "told.html", 404, code="not_found", detail=after)
    seen = [filed for filed in found if visitor.sees(filed.letter.data["collection"])]
    return page(request, "letters.html", letters=seen, more=more)


@router.get("/letter")
def letter_page(
    request: Request, visitor: Who, letters: Filing, partition: str, id_: Annotated[str, Query(alias="id")]
) -> HTMLResponse:
    """One letter with its payload."""
    filed = letters.get(partition, id_)
    if filed is None:
        return page(request, "told.html", 404, code="no_letter", detail=id_)
    _require_seen(visitor, filed)
    payload = filed.letter.payload[:_SHOWN_BYTES].decode(errors="backslashreplace")
    return page(request, "letter.html", filed=filed, payload=payload)


@router.post("/letter/replay", dependencies=CONFIGURES)
def replay(
    request: Request, visitor: Who, letters: Filing, partition: Id, id_: Annotated[Id, Form(alias="id")]
) -> Response:
    """Send one again."""
    filed = letters.get(partition, id_)
    if filed is None:
        return page(request, "told.html", 404, code="no_letter", detail=id_)
    _require_seen(visitor, filed)
    try:
        letters.replay(filed)
    except NotReplayable as error:
        return page(request, "told.html", 409, code="not_replayable", detail=str(error))
    return RedirectResponse("/letters", 303)


@router.post("/letter/drop", dependencies=CONFIGURES)
def drop(
    request: Request, visitor: Who, letters: Filing, partition: Id, id_: Annotated[Id, Form(alias="id")]
) -> Response:
    """Delete one."""
    filed = letters.get(partition, id_)
    if filed is not None:
        _require_seen(visitor, filed)
        letters.drop(filed)
    return RedirectResponse("/letters", 303)


def _require_seen(visitor: Visitor, filed: Filed) -> None:
    if not visitor.sees(filed.letter.data["collection"]):
        raise Refused("refused_collection")
