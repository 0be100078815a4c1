"""Text of values, words and shares in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

LISTED = 10
_SHOWN = 3


def listed(values: Sequence[str], left_out: int = 0) -> str:
    """The first three values, and the number of the others."""
    more = len(values) + left_out - _SHOWN
    return ", ".join(values[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def share_of(share: float, weight: float) -> str:
    """A share as a percentage: ``only 18%`` where a low share counts against the pair."""
    shown = f"{share:.0%}"
    return f"only {shown}" if weight < 0 and shown != "100%" else shown
