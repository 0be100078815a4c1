"""One item: its text, its verdict with reasons, similar items, and answers about it."""

from __future__ import annotations

import ast
import re
import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from celery_recommender.web.pages.parts import AtDesk, page, shown_text
from celery_recommender.web.security.access import ANSWERS, Asked, Posted, Who
from celery_recommender.web.shown.rendering import link
from recommender_engine.items import CommandIgnored, CommandRejected

router = APIRouter()

_SIMILAR = 10
_CHAIN = re.compile(r"""(?:^|([=≠]) )('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^'"=≠]+)""")

Id = Annotated[str, Query(min_length=1, max_length=512)]
PostedId = Annotated[str, Form(min_length=1, max_length=512)]


@router.get("/item")
def item(
    request: Request, visitor: Who, collection: Asked, desk: AtDesk, id_: Annotated[str, Query(alias="id")]
) -> HTMLResponse:
    """The item as it stands, beside the one that its verdict speaks of."""
    view = desk.items([id_], collection).get(id_)
    if view is None:
        return page(request, "told.html", 404, code="no_item", detail=id_)
    similar = desk.ask("recommender.recommend", id_, collection=collection, limit=_SIMILAR) or []
    matched = view["matched_id"] and desk.items([view["matched_id"]], collection).get(view["matched_id"])
    values: dict[str, Any] = {"view": view, "text": shown_text(view), "matched": matched, "similar": similar}
    other = shown_text(matched) if matched else ""
    return page(request, "item.html", collection=collection, other=other, key=secrets.token_hex(16), **values)


@router.post("/answer", dependencies=ANSWERS)
def answer(
    request: Request,
    visitor: Who,
    collection: Posted,
    desk: AtDesk,
    one: PostedId,
    said: Annotated[Literal["same", "different", "unsure", "right", "wrong"], Form(alias="answer")],
    key: Annotated[str, Form(pattern="^[0-9a-f]{32}$")],
    other: Annotated[str, Form(max_length=512)] = "",
    back: Annotated[Literal["item", "group", "answers"], Form()] = "item",
) -> Response:
    """Send an answer; then the page that it came from, or what contradicts it."""
    about_one = said in {"right", "wrong"}
    outcome = desk.answer(one, said, None if about_one else other, collection, visitor.name, f"web/{key}")
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
