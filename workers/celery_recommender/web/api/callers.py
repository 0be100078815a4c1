"""Dependencies of the door: the caller, its role, the collections it may name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Query, Request
from starlette.concurrency import run_in_threadpool

from celery_recommender.web.security.users import Role
from celery_recommender.web.security.visitors import Refused, Visitor, Visitors
from celery_recommender.web.service.service import Service


async def caller_of(request: Request) -> Visitor:
    """The caller, by its key, by the proxy, or on loopback without users the account that runs the process."""
    visitors: Visitors = request.app.state.visitors
    return await run_in_threadpool(visitors.calling, request)


def calls(role: Role) -> Callable[[Visitor], Visitor]:
    """A dependency that refuses callers of a lesser role."""

    def check(caller: Annotated[Visitor, Depends(caller_of)]) -> Visitor:
        if not caller.role.includes(role):
            raise Refused("refused_role")
        return caller

    return check


def seen(caller: Visitor, collection: str) -> str:
    """The collection, if the caller may name it."""
    if not caller.sees(collection):
        raise Refused("refused_collection")
    return collection


Looks = Annotated[Visitor, Depends(calls(Role.LOOK))]


def _asked(caller: Looks, collection: Annotated[str, Query(min_length=1, max_length=256)] = "default") -> str:
    return seen(caller, collection)


AskedCollection = Annotated[str, Depends(_asked)]
"""The collection that the query names."""


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


AtService = Annotated[Service, Depends(_service)]
