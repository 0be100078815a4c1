"""Dependencies of the pages: the visitor, roles, collections, the CSRF token."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Form, Query, Request
from starlette.concurrency import run_in_threadpool

from celery_recommender.web.security.users import Role
from celery_recommender.web.security.visitors import Refused, Visitor, Visitors

CSRF_HEADER = "x-csrf-token"
_MOST_FIELDS = 200


async def visitor_of(request: Request) -> Visitor:
    """The visitor; the same object for the whole request."""
    visitors: Visitors = request.app.state.visitors
    known: Visitor | None = getattr(request.state, "visitor", None)
    if known is None:
        known = await run_in_threadpool(visitors.of, request)
        request.state.visitor = known
    return known


Who = Annotated[Visitor, Depends(visitor_of)]


async def require_csrf(request: Request, visitor: Who) -> None:
    """See to it that a form comes from a page of this visitor.

    Raises:
        Refused: it does not.
    """
    await _require_csrf(request, visitor, files=0)


async def require_csrf_of_upload(request: Request, visitor: Who) -> None:
    """The same for a form with a file."""
    await _require_csrf(request, visitor, files=1)


async def _require_csrf(request: Request, visitor: Visitor, files: int) -> None:
    sent: Any = request.headers.get(CSRF_HEADER)
    if sent is None or files:
        form = await request.form(max_files=files, max_fields=_MOST_FIELDS)
        sent = form.get("csrf", "") if sent is None else sent
    if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), visitor.csrf.encode()):
        raise Refused("refused_csrf")


def require(role: Role) -> Callable[[Visitor], Visitor]:
    """A dependency that refuses visitors of a lesser role."""

    def check(visitor: Who) -> Visitor:
        if not visitor.role.includes(role):
            raise Refused("refused_role")
        return visitor

    return check


def _seen(visitor: Visitor, collection: str) -> str:
    if not visitor.sees(collection):
        raise Refused("refused_collection")
    return collection


def asked_collection(visitor: Who, collection: Annotated[str, Query(min_length=1, max_length=256)] = "default") -> str:
    """The collection that an address names."""
    return _seen(visitor, collection)


def posted_collection(visitor: Who, collection: Annotated[str, Form(min_length=1, max_length=256)]) -> str:
    """The collection that a form names."""
    return _seen(visitor, collection)


AskedCollection = Annotated[str, Depends(asked_collection)]
Posted = Annotated[str, Depends(posted_collection)]
ANSWERS = [Depends(require(Role.ANSWER)), Depends(require_csrf)]
"""Dependencies of a route that answers."""
UPLOADS = [Depends(require(Role.ANSWER)), Depends(require_csrf_of_upload)]
"""Dependencies of a route that takes a file: its role is checked before the body is read."""
CONFIGURES = [Depends(require(Role.CONFIGURE)), Depends(require_csrf)]
"""Dependencies of a route that changes settings, or drops messages."""
