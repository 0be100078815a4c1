"""The application of the door, mounted under the page's, and its OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from celery_recommender.web.api import browsing, commands, questions
from celery_recommender.web.api.bodies import BODIES, REF
from celery_recommender.web.api.commands import COMMAND_ROUTES
from celery_recommender.web.api.problems import Problem, tell_problems
from celery_recommender.web.api.queries import strict_query
from celery_recommender.web.api.waiting import Waiting
from celery_recommender.web.security.visitors import Visitors
from celery_recommender.web.service.service import Service

PREFIX = "/api/v1"
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "No key, or an unknown one."},
    403: {"model": Problem, "description": "The key does not permit it."},
    413: {"model": Problem, "description": "Too large."},
    415: {"model": Problem, "description": "The body is not JSON."},
    422: {"model": Problem, "description": "Invalid; the error names the field."},
    429: {"model": Problem, "description": "Too much waits; `Retry-After` says when to try again."},
    503: {"model": Problem, "description": "No worker, or no server of the streams; `Retry-After`."},
}


class _Api(FastAPI):
    """An application whose document has the schemas of the engine's commands and answers."""

    def openapi(self) -> dict[str, Any]:
        """The document."""
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title, version=self.version, description=self.description, routes=self.routes
            )
            found = document.setdefault("components", {}).setdefault("schemas", {})
            found.update(_schemas())
            document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"key": []}]
            document["servers"] = [{"url": PREFIX}]
            self.openapi_schema = document
        return self.openapi_schema


def create_api(service: Service | None, visitors: Visitors | None) -> FastAPI:
    """The application of the door.

    Args:
        service: that asks and sends; ``None`` where only the document is wanted.
        visitors: that knows keys; likewise.
    """
    from recommender_engine import __version__

    api = _Api(
        title="Recommender",
        version=__version__,
        description="Commands and questions as JSON. A body of a command is its data in the stream, word for word.",
        docs_url=None,
        redoc_url=None,
        responses=_PROBLEMS,
        dependencies=[Depends(strict_query)],
    )
    if service is not None:
        api.state.service, api.state.visitors, api.state.waiting = service, visitors, Waiting(service)
    api.include_router(commands.router)
    api.include_router(questions.router)
    api.include_router(browsing.router)
    tell_problems(api)
    return api


def _schemas() -> dict[str, Any]:
    """Schemas of bodies and answers. The engine's rooms are imported here: a page needs none of them."""
    from recommender_engine.items import HitRate
    from recommender_engine.pipeline.queries.comparing import ComparedPair
    from recommender_engine.pipeline.queries.incident_views import IncidentView
    from recommender_engine.pipeline.queries.listing import GroupPage, ItemPage
    from recommender_engine.pipeline.queries.review_queue import ReviewPage
    from recommender_engine.pipeline.queries.search.searching import FoundItem
    from recommender_engine.pipeline.queries.views import AnswerPage, ItemView
    from recommender_engine.pipeline.recommend.listed import Listed

    asked: list[type[BaseModel]] = [*BODIES, *(route.command for route in COMMAND_ROUTES)]
    pages: list[type[BaseModel]] = [ItemPage, ReviewPage, GroupPage, AnswerPage]
    answers: list[type[BaseModel]] = [*pages, FoundItem, Listed, ComparedPair, ItemView, IncidentView, HitRate]
    _, bodies = models_json_schema([(model, "validation") for model in asked], ref_template=REF)
    _, views = models_json_schema([(model, "serialization") for model in answers], ref_template=REF)
    found: dict[str, Any] = {**views["$defs"], **bodies["$defs"]}
    return found
