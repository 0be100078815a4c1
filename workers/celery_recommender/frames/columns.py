"""The columns that a row gets beside its own: of an enriched file and of a data frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from celery_recommender.records import Finding, Remark

ADDED = (
    "band",
    "duplicate_of",
    "group",
    "canonical_id",
    "matched_id",
    "probability",
    "similarity",
    "reason",
    "similar_ids",
    "novelty",
    "error",
)
"""Their names."""

_COSTS_SOMETHING = (Finding.BAD_DATE, Finding.EMPTY_DATE, Finding.PRICE_AS_TEXT, Finding.CUT_ID)
_OF_ITEM = [
    name for name in ADDED if name not in ("reason", "similar_ids", "novelty", "error")
]  # as `get` answers them


def added_cells(
    *,
    view: Mapping[str, Any] | None = None,
    similar: Sequence[str] | None = None,
    novelty: float | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    """The cells of one row by the names in ``ADDED``.

    Args:
        view: the item with its verdict, as ``recommender.get`` answers it; ``None`` for a row without one.
        similar: ids of similar items, best first.
        novelty: of the item when it arrived, in [0, 1].
        error: why the row has no verdict, or what of it was not used.
    """
    added: dict[str, Any] = dict.fromkeys(ADDED)
    if view is not None:
        added |= {name: view[name] for name in _OF_ITEM}
        added |= {"reason": why(view) or None, "similar_ids": similar, "novelty": novelty}
    return added | {"error": error}


def noted(remarks: Iterable[Remark]) -> str | None:
    """What of a row was not used, in a sentence; ``None`` where all of it was."""
    return "; ".join(remark.text for remark in remarks if remark.kind in _COSTS_SOMETHING) or None


def why(verdict: Mapping[str, Any]) -> str:
    """The reasons of a verdict in one sentence; empty if there are none."""
    return verdict.get("explanation") or "; ".join(reason["text"] for reason in verdict["reasons"])
