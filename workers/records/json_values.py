"""JSON values one after the other, in brackets or not, over as many lines as they like; one at a time in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from workers.records.byte_input import KEPT_CHARS, MAX_LINE_CHARS

_WRAPPERS = frozenset(
    {"articles", "data", "docs", "documents", "elements", "entries", "events", "hits", "issues", "items", "list"}
    | {"messages", "nodes", "objects", "orders", "postings", "posts", "products", "questions", "records", "results"}
    | {"reviews", "rows", "tickets", "value", "values"}
)
_CHUNK_CHARS = 64 * 1024
_LOOK_BACK_CHARS = 1024
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*+"|[{}\[\]"]')
_BETWEEN = re.compile(r"[\s,\[\]\ufeff]*+")
_SCALAR = re.compile(r'"(?:[^"\\\n]|\\.)*+"|[^\s,\[\]{}]++')


class Text(Protocol):
    """Text that can be read in pieces."""

    def readline(self, size: int, /) -> str:
        """Up to the end of a line, or so many characters."""


@dataclass(frozen=True, slots=True)
class Value:
    """The text of one value.

    Attributes:
        line: where it begins, from 1.
        text: of it; of one that is too long the beginning.
        too_long: whether it is.
    """

    line: int
    text: str
    too_long: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """How the values of a file stand.

    Attributes:
        lines: each on a line of its own, and nothing else.
        array: in brackets.
        wrapper: the key of the object that holds the list.
        start: characters before the values.
    """

    lines: bool = True
    array: bool = False
    wrapper: str | None = None
    start: int = 0


def shape_of(head: str) -> Shape:
    """How the values of a file stand that begins with ``head``."""
    text = head.lstrip("\ufeff \t\r\n")
    first = text.partition("\n")[0].strip()
    if text.startswith("["):
        inside = text[1:].lstrip()
        if _is_whole(first):  # lists on lines, or the whole array on one
            array = json.loads(first)
            alone = not text.partition("\n")[2].strip()
            return Shape(False, array=True) if alone or any(isinstance(one, dict) for one in array) else Shape()
        return Shape(False, array=True) if inside[:1] in ("{", "]", "") else Shape()
    if not text.startswith("{"):
        return Shape()
    wrapped = _wrapper(text)
    if wrapped is not None and (not _is_whole(first) or not text.partition("\n")[2].strip()):
        return Shape(False, True, wrapped[0], len(head) - len(text) + wrapped[1])
    spread = not _is_whole(first) and (first == "{" or _begins_whole(text))
    return Shape(False) if spread or (first.endswith("},") and _is_whole(first[:-1])) else Shape()


class Values(Iterator[Value]):
    """The values, each with its text; what is broken ends where the next value begins.

    Args:
        text: the file, from its beginning.
        shape: how the values stand in it.
    """

    def __init__(self, text: Text, shape: Shape) -> None:
        self._text = text
        self._wrapped = shape.wrapper is not None
        self._buffer = ""
        self._at = shape.start
        self._line = 1
        self._ended = False
        self._indent: str | None = ""  # of the line that the value begins; none where it stands behind another

    def __next__(self) -> Value:
        self._skip()
        if self._at >= len(self._buffer):
            raise StopIteration
        end, too_long = self._end()
        text = self._buffer[self._at : end]
        value = Value(self._line, text[:KEPT_CHARS] if too_long else text, too_long)
        self._take(end)
        return value

    def _skip(self) -> None:
        """Go to where the next value begins."""
        while True:
            found = _BETWEEN.match(self._buffer, self._at) if self._at <= len(self._buffer) else None
            end = self._at if found is None else found.end()
            if self._wrapped and found is not None and "]" in found[0]:
                self._close()
                return
            if found is not None and end < len(self._buffer):
                _, end_of_line, last = found[0].rpartition("\n")
                if end_of_line or self._indent is not None:
                    self._indent = last if end_of_line and not last.strip() else None
                self._take(end)
                return
            if not self._more():
                self._take(end)
                return

    def _close(self) -> None:
        """The list has ended; what follows it says nothing of rows."""
        self._ended, self._buffer, self._at = True, "", 0

    def _take(self, end: int) -> None:
        self._line += self._buffer.count("\n", 0, end)
        self._buffer = self._buffer[end:]
        self._at = 0

    def _more(self) -> bool:
        if self._ended:
            return False
        piece = self._text.readline(max(_CHUNK_CHARS, len(self._buffer)))  # so that one that is long is not read anew
        self._ended = not piece
        self._buffer += piece
        return bool(piece)

    def _end(self) -> tuple[int, bool]:
        """Where the value ends that begins here, and whether it is too long to be kept."""
        start = self._at
        if self._buffer[start] != "{":
            return self._end_of_scalar(start), False
        inside, at = "", start
        while True:
            found = _TOKEN.search(self._buffer, at)
            if found is None or (found[0] == '"' and self._buffer.find("\n", found.start()) < 0):
                if len(self._buffer) - start > MAX_LINE_CHARS:
                    return self._cut(start), True
                at = len(self._buffer) if found is None else found.start()
                if not self._more():
                    return self._cut(start), False
                continue
            mark, at = found[0], found.end()
            if mark in "}]":
                inside = inside[:-1]
                if not inside:
                    return at, False
            elif mark in "{[":
                if mark == "{" and self._is_next(start, found.start(), inside):
                    return found.start(), False
                inside += mark

    def _end_of_scalar(self, start: int) -> int:
        while (found := _SCALAR.match(self._buffer, start)) is not None and found.end() == len(self._buffer):
            if len(self._buffer) - start > KEPT_CHARS or not self._more():
                break
        return max(start + 1, start if found is None else found.end())

    def _is_next(self, start: int, at: int, inside: str) -> bool:
        """Whether the object that begins here is the next value: then the one before it has no end.

        It stands where those of the list do, or where an object cannot have another: behind no colon.
        """
        if not inside:
            return False
        before = self._buffer[max(0, at - _LOOK_BACK_CHARS) : at]
        if inside[-1] == "{" and not before.rstrip().endswith(":"):
            return True
        edge = "\n" + (self._indent or "")
        deeper = not self._buffer.startswith(edge, start + 1) or self._buffer[start + 1 + len(edge)].isspace()
        return self._indent is not None and deeper and before.endswith(edge)

    def _cut(self, start: int) -> int:
        """The end of a value that has none: where a line begins as that of the value does."""
        following = self._buffer.find("\n" + (self._indent or "") + "{", start + 1)
        return len(self._buffer) if following < 0 else following + 1


def _is_whole(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _begins_whole(text: str) -> bool:
    try:
        json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _wrapper(text: str) -> tuple[str, int] | None:
    """The key of an object that holds a list of objects, and where the list begins, if that is what the file is."""
    depth = 0
    for found in _TOKEN.finditer(text):
        mark = found[0]
        if mark in ("{", "["):
            depth += 1
        elif mark in ("}", "]"):
            depth -= 1
        elif depth == 1 and (list_at := re.compile(r"\s*:\s*\[\s*(?=\{)").match(text, found.end())) is not None:
            name = mark.strip('"')
            if name.casefold() in _WRAPPERS:
                return name, list_at.end()
        if depth == 0:
            break
    return None
