"""Whether as many items are duplicates as used to be."""

from __future__ import annotations

import math

RECENT, PAST = 500, 20_000
"""Over about how many items a share is taken: each counts a little less than the one after it."""

_LEAST = 2 * RECENT
_MARGIN = 0.002  # a share is never taken to be nearer to 0 or 1 than this


class Drift:
    """Share of duplicates among the recent items against that among those of the past; in memory, since the start.

    Both are exponentially weighted (EWMA), with weights 1/500 and 1/20,000.

    Attributes:
        recent: share among about the last 500 items, in [0, 1].
        past: the same among about the last 20,000.
        items: counted so far.
    """

    def __init__(self) -> None:
        self.recent = self.past = 0.0
        self.items = 0

    def count(self, *, duplicate: bool) -> None:
        """An item has been decided."""
        self.items += 1
        self.recent += max(1 / self.items, 1 / RECENT) * (duplicate - self.recent)
        self.past += max(1 / self.items, 1 / PAST) * (duplicate - self.past)

    @property
    def score(self) -> float:
        """How far the recent share is from that of the past, in standard errors; 0 before 1,000 items.

        Of independent items of an unchanged share it stays within about 5. A weight of 1/n has the variance of a mean
        of 2n - 1 items.
        """
        if self.items < _LEAST:
            return 0.0
        share = min(max(self.past, _MARGIN), 1 - _MARGIN)
        return (self.recent - self.past) / math.sqrt(share * (1 - share) / (2 * RECENT - 1))
