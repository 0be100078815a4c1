"""Where two texts agree and where they contradict each other, from the ranges that reasons carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

Mark = Literal["", "shared", "differs"]
_MOST_RANGES = 500


class Piece(NamedTuple):
    """A piece of a text with its mark."""

    text: str
    mark: Mark


def pieces(text: str, reasons: Iterable[Mapping[str, Any]], side: Literal["here", "there"]) -> list[Piece]:
    """A text in pieces; joined they are the text. Where reasons overlap, a difference stands out.

    Args:
        text: that was compared.
        reasons: of the verdict, each with ``detail``, whose ranges are ``here_at`` and ``there_at``.
        side: which of the two texts it is.
    """
    marks: list[Mark] = [""] * len(text)
    for mark in ("shared", "differs"):
        for start, end in _ranges(reasons, side, mark):
            for place in range(max(0, start), min(end, len(text))):
                marks[place] = mark
    found: list[Piece] = []
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or marks[place] != marks[start]:
            found.append(Piece(text[start:place], marks[start]))
            start = place
    return found


def mark_of(reason: Mapping[str, Any]) -> Mark:
    """Whether a reason says that the texts agree, that they differ, or neither."""
    code = str(reason["code"])
    if code.endswith(("_differs", "_differ", "_different")) or code == "group_disagrees":
        return "differs"
    shared = code.startswith("same_") or code.endswith(("_shared", "_alike", "_same"))
    return "shared" if shared or code in {"identical_text", "mutual_match"} else ""


def _ranges(
    reasons: Iterable[Mapping[str, Any]], side: str, mark: Literal["shared", "differs"]
) -> Sequence[tuple[int, int]]:
    found = []
    for reason in reasons:
        if mark_of(reason) == mark:
            for given in reason.get("detail", {}).get(f"{side}_at") or ():
                start, end = given
                found.append((int(start), int(end)))
    return found[:_MOST_RANGES]
