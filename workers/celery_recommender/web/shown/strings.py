"""The strings of the pages, in each language, from one table (``strings.toml``)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from recommender_engine.files import read_toml

LANGUAGES = ("en", "de")
TABLE = Path(__file__).parents[1] / "strings.toml"


@cache
def table() -> Mapping[str, Mapping[str, str]]:
    """Strings by key, each by language."""
    return read_toml(TABLE)


def string(key: str, language: str, **values: Any) -> str:
    """A string in a language, with ``{name}`` replaced by values.

    Raises:
        KeyError: there is no such string.
    """
    return table()[key][language].format_map(values)


def preferred(accept: str) -> str:
    """The first of our languages in a header ``Accept-Language``, weights observed; English otherwise."""
    weighed: list[tuple[float, str]] = []
    for part in accept.split(",")[:20]:
        name, _, options = part.strip().partition(";")
        weight = options.strip().removeprefix("q=") or "1"
        language = name.strip().lower().partition("-")[0]
        if language in LANGUAGES and weight.isascii() and weight.replace(".", "", 1).isdigit():
            weighed.append((-float(weight), language))
    return min(weighed, key=lambda one: one[0])[1] if weighed else LANGUAGES[0]
