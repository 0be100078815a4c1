"""The newest items of a collection, page by page, for work on all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from celery_recommender.web.jobs.runner import Failed, Work
from celery_recommender.web.service.service import Service


def pages(service: Service, work: Work, last: int) -> Iterator[dict[str, Any]]:
    """The pages of an export, see ``recommender.export``.

    Args:
        service: asks.
        work: whose collection is read.
        last: the newest so many items.

    Raises:
        Failed: there is no such collection, or nothing in it.
    """
    after, done = 0, 0
    while after is not None:
        page = service.ask("recommender.export", collection=work.job.collection, after=after, last=last)
        if page is None or not page["total"]:
            raise Failed("no_collection")
        done += len(page["items"])
        work.tell("reading", done, max(page["total"], done))
        yield page
        after = page["next"]
