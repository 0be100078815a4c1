"""How many entries of a stream to read at once."""

from __future__ import annotations

from collections.abc import Sequence


class ReadSize:
    """How many entries to read at once, so that they take about as much memory as we want.

    The server bounds one value, if at all, by tens of megabytes, and a read cannot be bounded by bytes. So few are read
    at first, twice as many each time while they are small, and one by one where they are large. More than a few at once
    would not be faster where each is decoded: reading runs beside deciding, which takes far longer.

    Args:
        most: at once; by default `MOST`.

    Attributes:
        count: entries to ask for next.
    """

    MOST = 16
    TARGET_BYTES = 4 << 20

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self.count = 1

    def saw(self, sizes: Sequence[int]) -> None:
        """These many bytes had the entries of the last read."""
        most = self.MOST if self._most is None else self._most
        fitting = self.TARGET_BYTES // max(sizes) if sizes and max(sizes) else most
        self.count = max(1, min(2 * self.count, fitting, most))
