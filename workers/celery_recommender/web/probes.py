"""Probes for supervisors: no user, no session, nothing of what the page shows."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError

router = APIRouter()


@router.get("/livez")
def livez() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"live": True})


@router.get("/readyz")
def readyz(request: Request) -> JSONResponse:
    """Redis answers: pages can be shown, answers can be taken. A worker may be away; pages say so."""
    try:
        request.app.state.service.client.redis.ping()
    except RedisError:
        return JSONResponse({"ready": False, "reason": "Redis does not answer"}, 503)
    return JSONResponse({"ready": True})
