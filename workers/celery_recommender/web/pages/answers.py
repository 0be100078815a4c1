"""What people answered: who, when, and the way to take it back."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from celery_recommender.web.pages.parts import AtDesk, page
from celery_recommender.web.security.access import Asked, Who

router = APIRouter()

_PAGE = 100


@router.get("/answers")
def answers(
    request: Request,
    visitor: Who,
    collection: Asked,
    desk: AtDesk,
    after: Annotated[str | None, Query(max_length=2000)] = None,
) -> HTMLResponse:
    """Answers of a collection, the newest first, a page at a time."""
    found = desk.ask("recommender.answers", collection=collection, after=after, limit=_PAGE)
    keyed = [(answer, secrets.token_hex(16)) for answer in found["answers"]]
    return page(request, "answers.html", collection=collection, answers=keyed, more=found["next"])
