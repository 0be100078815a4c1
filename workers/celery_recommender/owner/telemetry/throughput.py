"""How many commands the owner decides per second: bulk producers and refused producers wait accordingly."""

from __future__ import annotations

_SMOOTHING_S = 3.0


class Throughput:
    """Commands per second of work, smoothed over some seconds of it; waiting for commands does not count.

    Attributes:
        per_s: the throughput so far; 0 before the first batch.
    """

    def __init__(self) -> None:
        self.per_s = 0.0

    def count(self, commands: int, seconds: float) -> None:
        """So many have been committed in so much time."""
        seconds = max(seconds, 1e-6)
        share = min(1.0, seconds / _SMOOTHING_S) if self.per_s else 1.0
        self.per_s += share * (commands / seconds - self.per_s)

    def facts(self) -> dict[str, float]:
        """For the status."""
        return {"commands_per_s": round(self.per_s, 1)}
