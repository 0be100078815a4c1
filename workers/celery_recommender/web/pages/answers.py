"""What people answered: who, when, and the way to take it back."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from celery_recommender.web.pages.parts import AtDesk, page
from celery_recommender.web.security.access import Asked, Who

router = APIRouter()

_SHOWN = 200


@router.get("/answers")
def answers(request: Request, visitor: Who, collection: Asked, desk: AtDesk) -> HTMLResponse:
    """The newest answers of a collection."""
    found = desk.ask("recommender.answers", collection=collection)
    newest = found[: -_SHOWN - 1 : -1]
    keyed = [(answer, secrets.token_hex(16)) for answer in newest]
    return page(request, "answers.html", collection=collection, answers=keyed, total=len(found))
