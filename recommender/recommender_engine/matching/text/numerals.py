"""Roman numerals."""

from __future__ import annotations

import re

_ROMAN = re.compile(r"(?=[ivx])x{0,3}(?:ix|iv|v?i{0,3})\Z")


def roman(token: str) -> int:
    """Value of a Roman numeral up to 39; 0 for other tokens."""
    if not _ROMAN.match(token):
        return 0
    values = {"i": 1, "v": 5, "x": 10}
    figures = [values[letter] for letter in token]
    return sum(
        -figure if index + 1 < len(figures) and figures[index + 1] > figure else figure
        for index, figure in enumerate(figures)
    )
