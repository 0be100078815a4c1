"""Roman numerals."""

from __future__ import annotations

import re

_ROMAN = re.compile(r"(?=[ivx])x{0,3}(?:ix|iv|v?i{0,3})\Z")


def roman(token: str) -> int:
    """Value of a Roman numeral up to 39; 0 for other tokens."""
    if not _ROMAN.match(token):
        return 0
    worth = {"i": 1, "v": 5, "x": 10}
    figures = [worth[letter] for letter in token]
    return sum(
        -figure if place + 1 < len(figures) and figures[place + 1] > figure else figure
        for place, figure in enumerate(figures)
    )
