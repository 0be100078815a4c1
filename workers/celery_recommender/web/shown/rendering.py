"""Renders templates: every value is escaped, every string comes from the table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from celery_recommender.texts import compared_text
from celery_recommender.web.shown import pictures
from celery_recommender.web.shown.highlights import mark_of, pieces
from celery_recommender.web.shown.rates import series
from celery_recommender.web.shown.strings import LANGUAGES, preferred, string, table

ROOM = Path(__file__).parents[1]
STATIC = ROOM / "static"
NOTHING = "\N{EN DASH}"
NAVIGATION = (
    ("/", "overview", False),
    ("/review", "review", True),
    ("/items", "items", True),
    ("/search", "search", True),
    ("/compare", "compare", True),
    ("/feed", "feed", True),
    ("/answers", "answers", True),
    ("/files", "files", True),
    ("/map", "map", True),
    ("/settings", "settings", True),
    ("/letters", "letters", False),
    ("/api", "api", False),
)
"""Address and name of each page in the bar on top, and whether it is about a collection."""


class Rendering:
    """Templates, with what all of them use."""

    def __init__(self) -> None:
        self.environment = Environment(
            loader=FileSystemLoader(ROOM / "templates"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.globals.update(
            static=_versioned(),
            link=link,
            pieces=pieces,
            mark_of=mark_of,
            pictures=pictures,
            failures={key for key in table() if key.startswith("failed_")},
            series=series,
            languages=LANGUAGES,
            navigation=NAVIGATION,
        )
        self.environment.filters.update(percent=percent, when=when, compared_text=compared_text)

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page, or a part of one, for the visitor of the request.

        Args:
            request: of the visitor, who is not known on the page for logging in.
            template: its name.
            status: of the response.
            values: for the template.
        """
        visitor = getattr(request.state, "visitor", None)
        text = self.text(template, language_of(request), visitor=visitor, path=request.url.path, **values)
        return HTMLResponse(text, status)

    def text(self, template: str, language: str, **values: Any) -> str:
        """A template as text."""
        translate = partial(string, language=language)
        numbers = partial(number, language=language)
        context: Mapping[str, Any] = {"t": translate, "n": numbers, "language": language, **values}
        return self.environment.get_template(template).render(context)


def language_of(request: Request) -> str:
    """The language that the visitor has chosen, or that the browser prefers."""
    chosen = request.query_params.get("lang") or request.cookies.get("recommender_language")
    return chosen if chosen in LANGUAGES else preferred(request.headers.get("accept-language", ""))


def link(path: str, **query: Any) -> str:
    """An address of ours; ids and names go into its query, where every character can stand."""
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def percent(share: float | None) -> str:
    """``0.953`` as ``95 %``; what is not quite certain is not shown as 0 or 100."""
    if share is None:
        return NOTHING
    shown = min(max(share * 100, 1 if share > 0 else 0), 99 if share < 1 else 100)
    return f"{shown:.0f}\N{NO-BREAK SPACE}%"


def number(value: float, language: str) -> str:
    """``12,345`` or ``12.345``."""
    text = f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:,.1f}"
    return text.translate(str.maketrans(",.", ".,")) if language == "de" else text


def when(moment: int | str | None) -> Markup:
    """A time element: milliseconds since 1970, or RFC 3339; the browser's clock is not asked."""
    if moment is None or moment == "":
        return Markup("{}").format(NOTHING)
    at = datetime.fromtimestamp(moment / 1000, UTC) if isinstance(moment, int) else datetime.fromisoformat(moment)
    shown = at.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        shown.isoformat(timespec="seconds"), shown.strftime("%Y-%m-%d %H:%M:%S")
    )


def _versioned() -> Mapping[str, str]:
    """Addresses of static files by name, with the hash of the content: a new release is fetched at once."""
    return {
        path.name: f"/static/{path.name}?v={hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
        for path in sorted(STATIC.iterdir())
        if path.is_file()
    }
