"""Files that are something else than their name says, or hold their rows deeper than where rows are looked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recommender.items.placeholders import bare
from workers.records.formats import RecordFormat

_MARKUP = re.compile(r"<(!doctype\s+html|html|head|body|table|\?xml)\b|\{\\(rtf)", re.IGNORECASE)
_JSON = re.compile(r'\{\s*"(?:[^"\\\n]|\\.)*+"\s*:|\[\s*[{\[]\s*"')
_DEEPEST = 4


def something_else(text: str, file_format: RecordFormat) -> str | None:
    """What a text file is that cannot be of its format, with what to do about it; ``None``: nothing speaks against it.

    Args:
        text: its beginning.
        file_format: that its name, or a person, says.
    """
    text = text.lstrip("\ufeff \t\r\n")
    if (found := _MARKUP.match(text)) is not None:
        kind = "RTF" if found[2] else "XML" if found[1].lower() == "?xml" else "HTML"
        return f"{kind}: open it in the program that it is for, and save it as .xlsx, CSV or JSON"
    if file_format.is_delimited and _JSON.match(text) is not None:
        return "JSON: give it a name that ends in .json, or say --format json"
    return None


def rows_inside(value: Mapping[str, Any]) -> str | None:
    """Where the rows seem to stand in the only object of a file, if that object is no row itself.

    One with an id is a row, whatever it holds.
    """
    if any(bare(name) == "id" and not isinstance(one, dict | list) for name, one in value.items()):
        return None
    if len(value) > 1 and all(isinstance(one, dict) and one for one in value.values()):
        return "its keys"
    return next((f"'{'.'.join(path)}'" for path in _lists(value, ())), None)


def _lists(value: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Where lists of several objects or lists stand, those nearest to the surface first."""
    for name, one in value.items():
        if isinstance(one, list) and _are_rows(one):
            yield (*above, name)
    for name, one in value.items():
        if isinstance(one, dict) and len(above) < _DEEPEST:
            yield from _lists(one, (*above, name))


def _are_rows(values: Sequence[Any]) -> bool:
    return len(values) > 1 and (
        all(isinstance(one, dict) for one in values) or all(isinstance(one, list) for one in values)
    )
