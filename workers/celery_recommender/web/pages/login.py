"""Log in and out, and how the owners are."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from celery_recommender.web.pages.parts import AtService, page
from celery_recommender.web.security.access import Who, require_csrf
from celery_recommender.web.security.users import Busy
from celery_recommender.web.security.visitors import COOKIE, SESSION, Visitors

router = APIRouter()

Given = Annotated[str, Form(max_length=256)]


@router.get("/login")
def login_page(request: Request) -> Response:
    """The form."""
    visitors: Visitors = request.app.state.visitors
    return page(request, "login.html", failed="") if visitors.users else RedirectResponse("/", 303)


@router.post("/login")
def login(request: Request, user: Given, password: Given) -> Response:
    """Begin a session. Where this request comes from is checked for all that change something (``Guard``)."""
    visitors: Visitors = request.app.state.visitors
    if visitors.users is None:
        return RedirectResponse("/", 303)
    if not visitors.sessions.may_try(user):
        return page(request, "login.html", 429, failed="login_too_often")
    try:
        found = visitors.users.verified(user, password)
    except Busy:
        return page(request, "login.html", 429, failed="login_busy")
    if found is None:
        return page(request, "login.html", 401, failed="login_failed")
    visitors.sessions.forget_attempts(user)
    request.scope[SESSION] = visitors.sessions.begin(f"{found.mark} {user}")
    return RedirectResponse("/", 303)


@router.post("/logout", dependencies=[Depends(require_csrf)])
def logout(request: Request) -> Response:
    """End the session."""
    visitors: Visitors = request.app.state.visitors
    visitors.sessions.end(request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE)
    return response


@router.get("/status")
def status(request: Request, visitor: Who, service: AtService) -> HTMLResponse:
    """How the owners are: a part that every page asks for every two seconds."""
    return page(request, "status.html", health=service.health())
