"""Ids of items as the rows of a frame have them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from celery_recommender.frames.libraries import Added, Cells

_LARGEST = 2**63 - 1
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")


class Labels:
    """Gives ids back as they stand in the frame: whole numbers where all of them are whole numbers there, else texts.

    Args:
        by_id: the value in the frame by id of the item.
        others: ids of items that may be named and are not in the frame.
    """

    def __init__(self, by_id: Mapping[str, Any], others: Iterable[str] = ()) -> None:
        found = {**{id_: int(id_) if _WHOLE.fullmatch(id_) else id_ for id_ in others}, **by_id}
        whole = all(_is_whole(value) for value in found.values())
        self._whole: Mapping[str, int] | None = found if whole and found else None

    def column(self, ids: Sequence[str | None]) -> Added:
        """A column with an id in each cell."""
        if self._whole is None:
            return Added(ids, Cells.TEXT)
        return Added([None if id_ is None else self._whole[id_] for id_ in ids], Cells.WHOLE)

    def lists(self, ids: Sequence[Sequence[str] | None]) -> Added:
        """A column with a list of ids in each cell."""
        if self._whole is None:
            return Added([None if cell is None else list(cell) for cell in ids], Cells.TEXTS)
        whole = self._whole
        return Added([None if cell is None else [whole[id_] for id_ in cell] for cell in ids], Cells.WHOLES)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST
