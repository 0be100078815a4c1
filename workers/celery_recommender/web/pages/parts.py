"""What the pages have in common: how they reach the service and the templates."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse

from celery_recommender.web.service.service import Service


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


AtService = Annotated[Service, Depends(_service)]
Cursor = str | None
"""Where a page of a list begins: what the page before returned."""


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page, or a part of one; see ``Rendering.page``."""
    response: HTMLResponse = request.app.state.rendering.page(request, template, status, **values)
    return response
