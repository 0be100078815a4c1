"""The message that a stated precision is not measured yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from celery_recommender.cli.common import counted

KINDS = {
    "long_prose": "long prose",
    "short_prose": "short prose",
    "with_codes": "names with codes",
    "without_codes": "names without codes",
}
"""Kinds of text, for people."""

_VIEWS = {"stream": "in a stream", "alone": "alone"}


def missing_in_words(promise: Mapping[str, Any]) -> str:
    """What opens a band that is closed."""
    if promise["missing"] is None:
        return "no answers can measure it"
    return f"at least {counted(promise['missing'], 'more answer')}"


def verdict_in_words(found: Mapping[str, Any]) -> str:
    """How far one kind of text is measured, as `recommender.calibrate` answers."""
    promise = found["promise"]
    what = f"{KINDS[promise['kind']]} in a stream, target precision {found['target_precision']:g}"
    if promise["measured"]:
        answers = f"{counted(promise['answers'], 'answer')}, {found['same']:,} of them the same thing"
        return f"{what}: the band is open from {promise['begins_at']:.2f}; {answers}"
    if promise["missing"] is None:
        return f"{what}: closed, and no answers can measure it"
    progress = f"{promise['answers']:,} of at least {promise['answers'] + promise['missing']:,} answers"
    opens_at = found["opens_at"]
    ahead = "" if opens_at is None else f"; the band opens at about {opens_at:.2f} if the rest are the same thing"
    return f"{what}: {progress}{ahead}"


def told_of_closed(promises: Sequence[Mapping[str, Any]]) -> str:
    """Which bands are closed, and what opens them, in one line; ``-`` where none is."""
    lines = []
    for (_, missing), group in groupby(_in_order(promises), key=lambda one: (one["view"], missing_in_words(one))):
        of = list(group)
        lines.append(f"{', '.join(KINDS[one['kind']] for one in of)} {_VIEWS[of[0]['view']]}: {missing}")
    return "; ".join(lines) or "-"


def _in_order(promises: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The view of a stream first, and within a view what needs the same next to each other."""
    return sorted(promises, key=lambda one: (one["view"] == "alone", missing_in_words(one)))
