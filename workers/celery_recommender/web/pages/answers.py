"""What people answer: send it, list it with who and when, take it back."""

from __future__ import annotations

import ast
import re
import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from celery_recommender.web.pages.parts import AtService, page
from celery_recommender.web.security.access import ANSWERS, AskedCollection, Posted, Who
from celery_recommender.web.shown.rendering import link
from recommender_engine.items import CommandIgnored, CommandRejected

router = APIRouter()

_PAGE = 100
_CHAIN = re.compile(r"""(?:^|([=≠]) )('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^'"=≠]+)""")

PostedId = Annotated[str, Form(min_length=1, max_length=512)]


@router.get("/answers")
def answers(
    request: Request,
    visitor: Who,
    collection: AskedCollection,
    service: AtService,
    after: Annotated[str | None, Query(max_length=2000)] = None,
) -> HTMLResponse:
    """Answers of a collection, the newest first, a page at a time."""
    found = service.ask("recommender.answers", collection=collection, after=after, limit=_PAGE)
    keyed = [(answer, secrets.token_hex(16)) for answer in found["answers"]]
    return page(request, "answers.html", collection=collection, answers=keyed, more=found["next"])


@router.post("/answer", dependencies=ANSWERS)
def answer(
    request: Request,
    visitor: Who,
    collection: Posted,
    service: AtService,
    one: PostedId,
    said: Annotated[Literal["same", "different", "unsure", "right", "wrong"], Form(alias="answer")],
    key: Annotated[str, Form(pattern="^[0-9a-f]{32}$")],
    other: Annotated[str, Form(max_length=512)] = "",
    back: Annotated[Literal["item", "group", "answers"], Form()] = "item",
) -> Response:
    """Send an answer; then the page that it came from, or what contradicts it."""
    about_one = said in {"right", "wrong"}
    outcome = service.answer(one, said, None if about_one else other, collection, visitor.name, f"web/{key}")
    told = refusal(outcome)
    if told is not None:
        links = [(*link_, secrets.token_hex(16)) for link_ in chain_of(told[1])] if told[0] == "contradiction" else []
        return page(request, "told.html", 409, code=told[0], detail=told[1], links=links, collection=collection)
    if back == "answers":
        return RedirectResponse(link("/answers", collection=collection), 303)
    return RedirectResponse(link(f"/{back}", collection=collection, id=one), 303)


def refusal(outcome: dict[str, Any] | None) -> tuple[str, str] | None:
    """Why an answer does not hold: a code and a sentence; ``None`` when it holds, or waits for its owner."""
    if outcome is None:
        return None
    data = outcome["data"]
    if outcome["type"] == CommandRejected.type:
        return data["code"] if data["code"] == "contradiction" else "rejected", data["message"]
    if outcome["type"] == CommandIgnored.type:
        return "no_item", data["item_id"]
    return None


def chain_of(message: str) -> list[tuple[str, str, str]]:
    """The earlier answers that a contradiction names, each with its sign: ``'T-17' = 'T-4'`` and so on.

    Args:
        message: of the rejection; its ids are literals of Python's.
    """
    found = _CHAIN.findall(message.partition("people said before that ")[2])
    ids = [str(ast.literal_eval(literal)) if literal[:1] in "'\"" else "" for _, literal in found]
    signs = [sign for sign, _ in found]
    return [(one, sign, other) for one, sign, other in zip(ids, signs[1:], ids[1:], strict=False) if one and other]
