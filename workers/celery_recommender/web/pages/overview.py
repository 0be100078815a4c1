"""The first page: what each collection holds."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from celery_recommender.web.pages.parts import AtDesk, page
from celery_recommender.web.security.access import Who

router = APIRouter()


@router.get("/")
def overview(request: Request, visitor: Who, desk: AtDesk) -> HTMLResponse:
    """The page; its table asks for itself every few seconds."""
    return page(request, "overview.html", health=desk.health())


@router.get("/overview")
def collections(request: Request, visitor: Who, desk: AtDesk) -> HTMLResponse:
    """The table of collections."""
    found: list[dict[str, Any]] = [
        {"name": name, **facts}
        for stats in desk.ask_everywhere("recommender.stats")
        for name, facts in stats["collections"].items()
        if visitor.sees(name)
    ]
    return page(request, "overview_part.html", collections=sorted(found, key=lambda one: str(one["name"])))
