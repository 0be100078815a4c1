"""Where the rows of a JSON file stand that is one object: in the list that it holds, perhaps deeper."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from celery_recommender.records.input.byte_input import readable
from celery_recommender.records.values.guessing import is_name_of_id, is_name_of_text
from recommender_engine.items.placeholders import bare

JSON_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*+"|[{}\[\]"]')

_LISTS = frozenset(
    {"articles", "data", "docs", "documents", "elements", "entries", "events", "hits", "issues", "items", "list"}
    | {"messages", "nodes", "objects", "orders", "postings", "posts", "products", "questions", "records", "results"}
    | {"reviews", "rows", "tickets", "value", "values"}
)
_ENVELOPES = _LISTS | {"response", "result", "payload", "body", "page", "d", "content", "export", "output", "root"}
_DEEPEST = 4
_KEY = re.compile(r"\s*:\s*")
_OBJECT_IN_LIST = re.compile(r"\s*(?=\{)")


class Wrapper(NamedTuple):
    """A list of objects inside of an object.

    Attributes:
        path: the keys that lead to it.
        start: characters before its first object.
    """

    path: tuple[str, ...]
    start: int


def wrapper_of(text: str, *, deep: bool) -> Wrapper | None:
    """The list with the rows of a file that is one object, if it is plain which that is.

    It is one right in the object whose key is a usual one, or else the only list of objects, if it is in the objects of
    an answer (``data``, ``response``), or they hold nothing that makes rows of them: no id and no text.

    Args:
        text: the file, from the object on.
        deep: whether other lists than one right in the object under a usual key are looked for.
    """
    names: set[str] = set()
    found = []
    for one in _lists(text, names):
        if len(one.path) == 1 and one.path[0].casefold() in _LISTS:
            return one
        found.append(one)
    if not deep or len(found) != 1 or "id" in map(bare, names):
        return None
    usual = all(name.casefold() in _ENVELOPES for name in found[0].path)
    return found[0] if usual or not any(is_name_of_text(name) or is_name_of_id(name) for name in names) else None


def _lists(text: str, names: set[str]) -> Iterator[Wrapper]:
    """Every list of objects that is reached through objects alone; ``names`` takes the keys of what is none."""
    opened: list[tuple[str, str]] = []  # what has been opened, and under which key
    key = ""
    lists = 0
    for found in JSON_TOKEN.finditer(text):
        mark = found[0]
        if mark in ("}", "]"):
            lists -= mark == "]"
            del opened[-1:]
            if not opened:
                return
        elif mark in ("{", "["):
            opened.append((mark, key))
            lists += mark == "["
            inside = _OBJECT_IN_LIST.match(text, found.end())
            if mark == "[" and lists == 1 and len(opened) <= _DEEPEST + 1 and inside is not None:
                yield Wrapper(tuple(name for _, name in opened[1:]), inside.end())
        elif not lists and (colon := _KEY.match(text, found.end())) is not None:
            key = _said(mark)
            if text[colon.end() : colon.end() + 1] not in ("{", "["):
                names.add(key)


def _said(quoted: str) -> str:
    """The value of a string of JSON; of a broken one its characters."""
    try:
        return readable(str(json.loads(quoted)))
    except ValueError:
        return quoted.strip('"')


def rows_inside(value: Mapping[str, Any]) -> str | None:
    """Where the rows seem to stand in the only object of a file, if that object is no row itself.

    One with an id is a row, whatever it holds.
    """
    if any(bare(name) == "id" and not isinstance(one, dict | list) for name, one in value.items()):
        return None
    if len(value) > 1 and all(isinstance(one, dict) and one for one in value.values()):
        return "its keys"
    sizes = {len(one) if isinstance(one, list) and not any(map(_is_nested, one)) else 0 for one in value.values()}
    if len(value) > 1 and len(sizes) == 1 and min(sizes) > 1:
        return "its keys, as one list for each column"
    return next((f"'{'.'.join(path)}'" for path in _inner_lists(value, ())), None)


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list)


def _inner_lists(value: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Where lists of several objects or lists stand, those nearest to the surface first."""
    for name, one in value.items():
        if isinstance(one, list) and _are_rows(one):
            yield (*above, name)
    for name, one in value.items():
        if isinstance(one, dict) and len(above) < _DEEPEST:
            yield from _inner_lists(one, (*above, name))


def _are_rows(values: Sequence[Any]) -> bool:
    return len(values) > 1 and (
        all(isinstance(one, dict) for one in values) or all(isinstance(one, list) for one in values)
    )
