"""JSON values one after the other, in brackets or not, over as many lines as they like; one at a time in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from celery_recommender.records.input.byte_input import KEPT_CHARS, MAX_LINE_CHARS
from celery_recommender.records.json.wrappers import JSON_TOKEN, wrapper_of

_CHUNK_CHARS = 64 * 1024
_LOOK_BACK_CHARS = 1024
_TOKEN = JSON_TOKEN
_IN_STRING = re.compile(r'(?:[^"\\\n]|\\.)*+')
_BETWEEN = re.compile(r"[\s,\[\]\ufeff]*+")
_SCALAR = re.compile(r'"(?:[^"\\\n]|\\.)*+"|[^\s,\[\]{}]++')


class Text(Protocol):
    """Text that can be read in pieces."""

    def readline(self, size: int, /) -> str:
        """Up to the end of a line, or a number of characters."""


@dataclass(frozen=True, slots=True)
class Value:
    """The text of one value.

    Attributes:
        line: where it begins, from 1.
        text: of it; of one that is too long the beginning.
        too_long: whether it is.
        behind: whether it comes after the object with the list that is read.
    """

    line: int
    text: str
    too_long: bool = False
    behind: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """How the values of a file stand.

    Attributes:
        lines: each on a line of its own, and nothing else.
        array: in brackets.
        wrapper: the keys that lead to the list, through objects.
        start: characters before the values.
    """

    lines: bool = True
    array: bool = False
    wrapper: tuple[str, ...] = ()
    start: int = 0


def shape_of(head: str, *, deep: bool) -> Shape:
    """How the values of a file stand that begins with ``head``; ``deep``: an object may hold them anywhere."""
    text = head.lstrip("\ufeff\x1e \t\r\n")
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
    wrapped = wrapper_of(text, deep=deep)
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
        self._wrapped = len(shape.wrapper)
        self._buffer = ""
        self._at = shape.start
        self._line = 1
        self._ended = False
        self._behind = False
        self._deeper: bool | None = None
        self._indent: str | None = ""  # of the line that the value begins; none if it follows another on the line

    def __next__(self) -> Value:
        self._skip()
        if self._at >= len(self._buffer):
            raise StopIteration
        line = self._line
        end, kept = self._end()
        text = self._buffer[self._at : end] if kept is None else kept
        self._take(end)
        return Value(line, text, kept is not None, self._behind)

    def _skip(self) -> None:
        """Go to where the next value begins."""
        while True:
            found = _BETWEEN.match(self._buffer, self._at) if self._at <= len(self._buffer) else None
            end = self._at if found is None else found.end()
            if self._wrapped and found is not None and "]" in found[0]:
                self._close(self._buffer.index("]", self._at) + 1)
                continue
            if found is not None and end < len(self._buffer):
                _, end_of_line, last = found[0].rpartition("\n")
                if end_of_line or self._indent is not None:
                    self._indent = last if end_of_line and not last.strip() else None
                self._take(end)
                return
            if not self._more():
                self._take(end)
                return

    def _close(self, at: int) -> None:
        """The list has ended. The rest of its object has no rows; text after the object may have some."""
        self._take(at)
        while self._wrapped:
            found = _TOKEN.search(self._buffer, self._at)
            if found is None or self._is_open(found):
                self._take(len(self._buffer) if found is None else found.start())
                if len(self._buffer) > MAX_LINE_CHARS or not self._more():
                    self._take(len(self._buffer))
                    self._wrapped = 0
                continue
            self._wrapped += (found[0] in "{[") - (found[0] in "}]")
            self._at = found.end()
        self._behind = True

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

    def _end(self) -> tuple[int, str | None]:
        """Where the value ends that begins here; and its beginning, if it is too long to be kept."""
        start = self._at
        if self._buffer[start] != "{":
            return self._end_of_scalar(start), None
        self._deeper = None
        inside, at, kept = "", start, None
        while True:
            found = _TOKEN.search(self._buffer, at)
            if found is None or self._is_open(found):
                at = len(self._buffer) if found is None else found.start()
                kept = self._beginning(start) if kept is None else kept
                if kept is not None:
                    at = start = self._forget(at, in_string=found is not None)
                if not self._more():
                    return self._cut(start), kept
                continue
            mark, at = found[0], found.end()
            if mark in "}]":
                inside = inside[:-1]
                if not inside:
                    return at, kept
            elif mark in "{[":
                if mark == "{" and self._is_next(start, found.start(), inside):
                    return found.start(), kept
                inside += mark

    def _beginning(self, start: int) -> str | None:
        """The part that is kept of a value that has become too long."""
        if len(self._buffer) - start <= MAX_LINE_CHARS:
            return None
        self._deeper = self._is_deeper(start)
        return self._buffer[start : start + KEPT_CHARS]

    def _is_open(self, found: re.Match[str]) -> bool:
        """Whether a string may end in what has not been read yet."""
        return found[0] == '"' and self._buffer.find("\n", found.start()) < 0

    def _forget(self, at: int, *, in_string: bool) -> int:
        """Let go of what has been passed, but for so much as is looked back at, and of the string that is open."""
        end = at
        if in_string:
            inner = _IN_STRING.match(self._buffer, at + 1)
            end = at + 1 if inner is None else inner.end()
        before = max(0, at - _LOOK_BACK_CHARS)
        self._line += self._buffer.count("\n", 0, before)
        self._buffer = self._buffer[before:at] + ('"' if in_string else "") + self._buffer[end:]
        self._at = 0
        return at - before

    def _end_of_scalar(self, start: int) -> int:
        while (found := _SCALAR.match(self._buffer, start)) is not None and found.end() == len(self._buffer):
            if len(self._buffer) - start > KEPT_CHARS or not self._more():
                break
        return max(start + 1, start if found is None else found.end())

    def _is_next(self, start: int, at: int, inside: str) -> bool:
        """Whether the object that begins here is the next value: then the one before it has no end.

        It is at the level of those of the list, or where an object cannot have another: not after a colon.
        """
        if not inside:
            return False
        before = self._buffer[max(0, at - _LOOK_BACK_CHARS) : at]
        if inside[-1] == "{" and not before.rstrip().endswith(":"):
            return True
        deeper = self._is_deeper(start) if self._deeper is None else self._deeper
        return self._indent is not None and deeper and before.endswith("\n" + self._indent)

    def _is_deeper(self, start: int) -> bool:
        """Whether the content of the value is indented more than its beginning."""
        edge = "\n" + (self._indent or "")
        return not self._buffer.startswith(edge, start + 1) or self._buffer[start + 1 + len(edge)].isspace()

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
