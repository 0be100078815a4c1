"""Arrivals over time, as even rows of counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

BANDS = ("duplicate", "review", "similar", "new")
_SPANS = {"hours": timedelta(hours=1), "days": timedelta(days=1)}


def series(rates: Mapping[str, Sequence[Mapping[str, Any]]], span: str, count: int) -> list[list[tuple[str, int]]]:
    """Counts by band of the latest hours or days, the earliest first, also where nothing arrived.

    Args:
        rates: ``hours`` and ``days`` of an overview.
        span: which of the two.
        count: how many, up to the one of the latest arrival.
    """
    found = {datetime.fromisoformat(one["start"]): one["bands"] for one in rates[span]}
    if not found:
        return []
    last = max(found)
    starts = [last - _SPANS[span] * place for place in reversed(range(count))]
    return [[(band, int(found.get(start, {}).get(band, 0))) for band in BANDS] for start in starts]
