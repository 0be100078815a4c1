"""The review queue: one pair at a time, answered by keyboard."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, Response
from redis.exceptions import RedisError

from celery_recommender.broker.commands.admission import Overloaded
from celery_recommender.web.pages.answers import chain_of, refusal
from celery_recommender.web.pages.parts import page
from celery_recommender.web.security.access import ANSWERS, AskedCollection, Posted, Who
from celery_recommender.web.security.visitors import Visitor
from celery_recommender.web.service.claims import Given, Held, Pair
from celery_recommender.web.service.review import Card, Reviewer, ReviewService
from celery_recommender.web.service.service import OwnerAway

router = APIRouter()

Order = Literal["worth", "probability", "arrival"]
Id = Annotated[str, Form(min_length=1, max_length=512)]
AskedId = Annotated[str, Query(min_length=1, max_length=512)]


def _queue(request: Request) -> ReviewService:
    queue: ReviewService = request.app.state.review
    return queue


Queue = Annotated[ReviewService, Depends(_queue)]


@router.get("/review")
def review_page(request: Request, visitor: Who, collection: AskedCollection, order: Order = "worth") -> HTMLResponse:
    """The page; its card comes by `card`."""
    return page(request, "review.html", collection=collection, order=order)


@router.get("/review/card")
def card(
    request: Request, visitor: Who, collection: AskedCollection, queue: Queue, order: Order = "worth"
) -> HTMLResponse:
    """The next pair, claimed."""
    return _next(request, visitor, queue, collection, order)


@router.get("/review/held")
def held(
    request: Request,
    visitor: Who,
    collection: AskedCollection,
    queue: Queue,
    one: AskedId,
    other: AskedId,
    order: Order = "worth",
) -> Response:
    """Whether the pair of the card is still this reviewer's: nothing if so, else the next pair."""
    try:
        found = queue.claims.held(Pair(collection, one, other), visitor.browser)
    except RedisError:  # the card stays: its answer is sent when the server is back
        return Response(status_code=204)
    if found.state in {"mine", "free", "given"}:  # what is given here is on its way
        return Response(status_code=204)
    return _next(request, visitor, queue, collection, order, taken=found)


@router.post("/review/answer", dependencies=ANSWERS)
def answer(
    request: Request,
    visitor: Who,
    collection: Posted,
    queue: Queue,
    one: Id,
    other: Id,
    said: Annotated[Literal["same", "different", "unsure", "skip"], Form(alias="answer")],
    key: Annotated[str, Form(pattern="^[0-9a-f]{32}$")],
    apart: Annotated[bool, Form()],
    order: Annotated[Order, Form()] = "worth",
) -> HTMLResponse:
    """Take an answer, and give the next pair; or say what contradicts it, or that it came too late."""
    pair, who = Pair(collection, one, other), _reviewer(visitor)
    try:
        taken = queue.taken(pair, who)
        if taken is not None:
            return _next(request, visitor, queue, collection, order, taken=taken)
        if said == "skip":
            queue.claims.skip(pair, visitor.browser)
            return _next(request, visitor, queue, collection, order)
        told = refusal(queue.answer(Given(pair, said, apart), who, key))
    except (RedisError, Overloaded):
        # The key makes the answer count once, so the same card can send it again.
        return _away(request, collection, order, "answer_not_sent", again=(Given(pair, said, apart), key))
    if told is not None:
        links = [(*link, secrets.token_hex(16)) for link in chain_of(told[1])] if told[0] == "contradiction" else []
        values: dict[str, Any] = {"collection": collection, "order": order, "links": links}
        return page(request, "card_refused.html", code=told[0], detail=told[1], **values)
    return _next(request, visitor, queue, collection, order)


@router.post("/review/undo", dependencies=ANSWERS)
def undo(
    request: Request, visitor: Who, collection: Posted, queue: Queue, order: Annotated[Order, Form()] = "worth"
) -> HTMLResponse:
    """Take the last answer back, and show its pair again."""
    try:
        found = queue.undo(_reviewer(visitor), visitor.sees)
    except OwnerAway as error:
        return _away(request, collection, order, f"owner_{error.state}")
    except (RedisError, Overloaded):
        return _away(request, collection, order, "owner_unreachable")
    if found is None:
        return _next(request, visitor, queue, collection, order)
    return _shown(request, visitor, queue, found, order, undone=True)


def _reviewer(visitor: Visitor) -> Reviewer:
    return Reviewer(visitor.browser, visitor.name)


def _next(
    request: Request, visitor: Visitor, queue: ReviewService, collection: str, order: str, taken: Held | None = None
) -> HTMLResponse:
    try:
        found = queue.next_card(collection, order, _reviewer(visitor)) if visitor.may("answer") else None
        if found is None:
            given = queue.claims.count_given(visitor.browser)
            return page(request, "card_empty.html", collection=collection, order=order, given=given, taken=taken)
        return _shown(request, visitor, queue, found, order, taken=taken)
    except OwnerAway as error:
        return _away(request, collection, order, f"owner_{error.state}")
    except RedisError:
        return _away(request, collection, order, "owner_unreachable")


def _shown(
    request: Request,
    visitor: Visitor,
    queue: ReviewService,
    found: Card,
    order: str,
    *,
    taken: Held | None = None,
    undone: bool = False,
) -> HTMLResponse:
    given = queue.claims.count_given(visitor.browser)
    values: dict[str, Any] = {"collection": found.pair.collection, "order": order, "taken": taken, "undone": undone}
    return page(request, "card.html", card=found, given=given, **values)


def _away(
    request: Request, collection: str, order: str, code: str, again: tuple[Given, str] | None = None
) -> HTMLResponse:
    """A card that asks for the next pair by itself until it gets one."""
    return page(request, "card_away.html", collection=collection, order=order, code=code, again=again)
