"""The first page: what each collection holds."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from celery_recommender.web.pages.parts import AtService, page
from celery_recommender.web.security.access import Who

router = APIRouter()


@router.get("/")
def overview(request: Request, visitor: Who, service: AtService) -> HTMLResponse:
    """The page; its table asks for itself every few seconds."""
    return page(request, "overview.html", health=service.health())


@router.get("/names")
def names(request: Request, visitor: Who, service: AtService) -> HTMLResponse:
    """Names of collections, for fields that ask for one."""
    return page(request, "names.html", names=[str(one["name"]) for one in service.overview(visitor.sees)])


@router.get("/overview")
def collections(request: Request, visitor: Who, service: AtService) -> HTMLResponse:
    """The table of collections."""
    return page(request, "overview_part.html", collections=service.overview(visitor.sees))
