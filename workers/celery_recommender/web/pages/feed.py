"""The live feed: events as they come, by server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from celery_recommender.web.pages.parts import page
from celery_recommender.web.security.access import Who
from celery_recommender.web.security.visitors import LogInFirst, Refused, Visitor, Visitors
from celery_recommender.web.service.feed import MOST_KEPT, Event, Feed, TooManyReaders
from celery_recommender.web.shown.event_rows import row_of
from celery_recommender.web.shown.rendering import Rendering, language_of

router = APIRouter()

_EVERY_S = 0.3  # a burst goes out in as few messages
_ALIVE_EVERY_S = 10.0
_ENDS_AFTER_S = 900.0  # the browser connects again
_CHECKED_EVERY_S = 5.0


@router.get("/feed")
def feed_page(request: Request, visitor: Who, collection: Annotated[str, Query(max_length=256)] = "") -> HTMLResponse:
    """The page; its rows come by `feed_stream`."""
    return page(request, "feed.html", collection=collection, most=MOST_KEPT)


@router.get("/feed/stream")
async def feed_stream(
    request: Request, visitor: Who, collection: Annotated[str, Query(max_length=256)] = ""
) -> Response:
    """Rows as HTML, several to a message: ``{"rows": [...], "missed": 0}``."""
    feed: Feed = request.app.state.feed
    rendering: Rendering = request.app.state.rendering
    language = language_of(request)

    def wanted(event: Event) -> bool:
        about = event["data"].get("collection")
        return visitor.sees(about) and (not collection or about == collection)

    async def messages() -> AsyncIterator[str]:
        ends_s = time.monotonic() + _ENDS_AFTER_S
        checked_s, told_s = time.monotonic(), 0.0
        try:
            with feed.reader(wanted) as reader:
                while (now_s := time.monotonic()) < ends_s and not await request.is_disconnected():
                    if now_s - checked_s > _CHECKED_EVERY_S:
                        checked_s = now_s
                        if not await run_in_threadpool(_is_still, request, visitor):
                            return
                    events, missed = reader.take()
                    if events:
                        rows = [rendering.text("feed_row.html", language, row=row_of(event)) for event in events]
                        yield f"event: rows\ndata: {json.dumps({'rows': rows, 'missed': missed})}\n\n"
                        told_s = now_s
                    elif now_s - told_s > _ALIVE_EVERY_S:
                        yield ": alive\n\n"
                        told_s = now_s
                    await asyncio.sleep(_EVERY_S)
        except TooManyReaders:
            yield "retry: 15000\n\n"

    return StreamingResponse(messages(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _is_still(request: Request, visitor: Visitor) -> bool:
    """Whether the visitor is logged in with the same role and collections; not where Redis cannot say."""
    visitors: Visitors = request.app.state.visitors
    try:
        return visitors.of(request) == visitor
    except (LogInFirst, Refused, RedisError):
        return False
