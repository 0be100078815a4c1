"""Queries of addresses: what is no parameter of a route, or no text, is refused rather than ignored."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from fastapi import Request
from fastapi.routing import APIRoute

from recommender_engine.errors import InvalidCommand


def strict_query(request: Request) -> None:
    """A dependency of every route.

    Raises (by the dependency):
        InvalidCommand: a parameter is misspelt, or is not UTF-8; it names it.
    """
    try:
        unquote_to_bytes(request.scope["query_string"]).decode()
    except UnicodeDecodeError:
        raise InvalidCommand("not_utf8", "the query is not UTF-8") from None
    known = _parameters(request)
    for name in request.query_params:
        if name not in known:
            raise InvalidCommand("unknown_field", f"{name[:64]}: there is no such parameter", name[:64])


def _parameters(request: Request) -> set[str]:
    """Those that the document lists for the route."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return set()
    operation = request.app.openapi()["paths"][route.path][request.method.lower()]
    return {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
