"""The web application under uvicorn, in a thread of the test, and a browser's half of its forms."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any

import httpx
import uvicorn

from celery_recommender.client import Client
from celery_recommender.settings import Settings
from celery_recommender.web.app import create_app
from celery_recommender.web.punctual import Punctual
from tests.support.waiting import wait_until

NOWHERE = Settings(redis_url="redis://127.0.0.1:1/0")
"""Settings with a server that does not exist, for what needs none."""


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The address of the application with these settings, on a free port of loopback."""
    app = create_app(settings, Client(settings))
    server = uvicorn.Server(
        uvicorn.Config(app, http=Punctual, port=0, log_config=None, proxy_headers=False, timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the application to listen")
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


class Browser(httpx.Client):
    """Keeps cookies, follows redirects, and sends the token that the page before gave."""

    def __init__(self, address: str, **options: Any) -> None:
        super().__init__(base_url=address, follow_redirects=True, timeout=30, **options)

    def page(self, path: str, status: int = 200, **query: str) -> str:
        """The text of a page."""
        found = self.get(path, params=query)
        assert found.status_code == status, found.text
        return found.text

    def give(self, path: str, status: int = 200, **fields: str) -> str:
        """What follows a form that is sent with the token of a page."""
        token = re.search(r'"X-CSRF-Token": "([0-9a-f]+)"', self.page("/feed"))
        assert token is not None
        done = self.post(path, data={"csrf": token[1], **fields})
        assert done.status_code == status, done.text
        return done.text

    def log_in(self, user: str, password: str) -> httpx.Response:
        return self.post("/login", data={"user": user, "password": password})


class Elements(HTMLParser):
    """Elements of a page in order: tag, attributes, and the text behind the tag; what ends has a slash."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.found.append((f"/{tag}", {}, ""))

    def handle_data(self, data: str) -> None:
        if self.found:
            tag, attributes, text = self.found[-1]
            self.found[-1] = tag, attributes, text + data

    def texts(self, tag: str, class_: str | None = None) -> list[str]:
        """Texts of the elements of a tag, and a class if one is given."""
        return [
            text
            for name, attributes, text in self.found
            if name == tag and (class_ is None or class_ in (attributes.get("class") or "").split())
        ]
