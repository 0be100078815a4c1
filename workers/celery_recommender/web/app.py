"""The application: its routers, and what its pages share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import Depends, FastAPI
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles

from celery_recommender.client import Client
from celery_recommender.settings import Settings
from celery_recommender.web import probes
from celery_recommender.web.api import reference
from celery_recommender.web.api.app import PREFIX, create_api
from celery_recommender.web.jobs import enriching, mapping, replaying
from celery_recommender.web.jobs.runner import Runner
from celery_recommender.web.jobs.store import JobStore
from celery_recommender.web.pages import (
    answers,
    bulk,
    collection,
    feed,
    files,
    items,
    letters,
    login,
    overview,
    review,
    search,
)
from celery_recommender.web.security.access import visitor_of
from celery_recommender.web.security.cookies import Cookies
from celery_recommender.web.security.exposure import is_loopback
from celery_recommender.web.security.guard import Guard
from celery_recommender.web.security.sessions import Sessions
from celery_recommender.web.security.visitors import Visitors
from celery_recommender.web.service.bulk import BulkService
from celery_recommender.web.service.claims import Claims
from celery_recommender.web.service.feed import Feed
from celery_recommender.web.service.letters import Letters
from celery_recommender.web.service.review import ReviewService
from celery_recommender.web.service.service import Service
from celery_recommender.web.shown.rendering import STATIC, Rendering
from celery_recommender.web.shown.strings import LANGUAGES
from celery_recommender.web.telling import tell_errors

_ROUTERS = (overview, review, bulk, items, search, feed, answers, collection, files, letters, reference)
_THREADS = 32
_STOPS_WITHIN_S = 2.0
_YEAR_S = 31_536_000
_MIB = 1 << 20
_FORM_BYTES = 64 * 1024  # of an upload beside its file


def create_app(settings: Settings, client: Client) -> FastAPI:
    """The application, for a server of ours or for tests.

    Args:
        settings: of this process.
        client: sends commands and asks questions; closed with the application.
    """
    app = FastAPI(title="recommender", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan)
    state = app.state
    state.settings = settings
    state.service = Service(settings, client)
    state.feed = Feed(client)
    claims = Claims(client.redis, client.keys.web)
    state.review = ReviewService(state.service, claims)
    state.bulk = BulkService(state.service, claims, client.redis, client.keys.web)
    state.jobs = JobStore(client.redis, client.keys.web, settings.web_files_mib * _MIB, settings.web_files_hours)
    state.runner = Runner(
        state.jobs,
        {
            enriching.KIND: enriching.enriching(state.service),
            replaying.KIND: replaying.replaying(state.service, settings),
            mapping.KIND: mapping.mapping(state.service),
        },
    )
    state.letters = Letters(client.redis, settings)
    sessions = Sessions(client.redis, client.keys.web, settings.web_session_hours)
    state.visitors = Visitors(settings, sessions)
    state.rendering = Rendering()
    for page in _ROUTERS:
        app.include_router(page.router, dependencies=[Depends(visitor_of)])
    app.include_router(login.router)
    app.include_router(probes.router)
    state.api = create_api(state.service, state.visitors)
    app.mount(PREFIX, state.api)
    app.mount("/static", _Static(directory=STATIC), name="static")
    app.add_middleware(Cookies, visitors=state.visitors, languages=LANGUAGES)
    larger = {"/files": state.jobs.most_file_bytes + _FORM_BYTES}
    loopback = is_loopback(settings.web_host)
    app.add_middleware(Guard, hosts=settings.web_hosts, loopback=loopback, larger=larger, api=PREFIX)
    tell_errors(app)
    return app


class _Static(StaticFiles):
    """Static files, whose addresses change with their content."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        """A file."""
        response = super().file_response(*args, **options)
        response.headers["cache-control"] = f"public, max-age={_YEAR_S}, immutable"
        return response


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
    app.state.runner.start()
    yield
    app.state.runner.stop(_STOPS_WITHIN_S)
    app.state.feed.close()
    app.state.letters.close()
    app.state.service.client.close()
