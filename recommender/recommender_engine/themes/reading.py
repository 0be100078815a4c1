"""Items of a collection for `find_themes`, from the pages of an export."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from recommender_engine.pipeline.queries.export import ExportPage
from recommender_engine.themes.finding import MOST_ITEMS, ThemeItem

Export = Callable[[str, int, int], ExportPage | None]
"""Like ``Recommender.export``: a page of a collection, after a number, of the newest so many."""


def exported(export: Export, collection: str, last: int = MOST_ITEMS) -> Iterator[ThemeItem] | None:
    """The items of a collection in order of arrival; ``None`` when there is no such collection.

    They are read page by page: commands may be decided in between.

    Args:
        export: gives the pages.
        collection: its name.
        last: the newest so many items.
    """
    page = export(collection, 0, last)
    return None if page is None else _items(export, collection, last, page)


def _items(export: Export, collection: str, last: int, page: ExportPage | None) -> Iterator[ThemeItem]:
    while page is not None:
        for item in page.items:
            yield theme_item(item.id, item.compared or item.text, item.fields, item.vector)
        page = None if page.next is None else export(collection, page.next, last)


def theme_item(id_: str, text: str | None, fields: Mapping[str, str] | None, vector: str) -> ThemeItem:
    """An item as an export has it: what is compared as its text, if that is not all of it; ``vector`` in Base64."""
    content = text if text is not None else "\n".join((fields or {}).values())
    return ThemeItem(id_, content, np.frombuffer(base64.b64decode(vector), "<f4"))
