"""The task that finds the themes of a collection: the owner is asked page by page, the rest is done beside it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from celery_recommender.celery.tasks.questions import QuestionTask
from recommender_engine.errors import InvalidCommand

if TYPE_CHECKING:
    from recommender_engine.pipeline.queries.export import ExportPage

_MOST_MEMBERS = 1_000
_AT_WORK = threading.Lock()


class FindThemes(QuestionTask):
    """What the items of a collection are about."""

    name = "recommender.themes"

    def run(
        self, collection: str = "default", last: int | None = None, least: int = 5, members: bool = False
    ) -> dict[str, Any] | None:
        """``items``, ``covered`` and ``themes``, the largest first; see ``recommender_engine.themes.Themes``.

        Commands are decided meanwhile. A process finds themes for one caller at a time.

        Args:
            collection: whose items; the result is ``None`` when there is no such collection.
            last: the newest so many items only; at most, and by default, 100,000.
            least: items of a theme at least, 2 to 1,000.
            members: with the ids of all items of each theme.

        Raises:
            InvalidCommand: an argument is out of range; or themes are being found already (``busy``).
        """
        from recommender_engine.themes import MOST_ITEMS, exported, find_themes

        newest, smallest = _within(last or MOST_ITEMS, MOST_ITEMS, 1, "last"), _within(least, _MOST_MEMBERS, 2, "least")
        if not _AT_WORK.acquire(blocking=False):
            raise InvalidCommand("busy", "the themes of a collection are being found: ask again later", "collection")
        try:
            items = exported(self._page, collection, newest)
            found = None if items is None else find_themes(items, smallest)
        finally:
            _AT_WORK.release()
        hidden = None if members else {"themes": {"__all__": {"members"}}}
        return None if found is None else found.model_dump(mode="json", exclude=hidden)

    def _page(self, collection: str, after: int, last: int) -> ExportPage | None:
        page: ExportPage | None = self.ask(lambda engine: engine.export(collection, after, last), collection)
        return page


def _within(number: Any, most: int, least: int, field: str) -> int:
    if not isinstance(number, int) or not least <= number <= most:
        raise InvalidCommand("invalid_value", f"{field} must be a whole number from {least} to {most:,}", field)
    return number
