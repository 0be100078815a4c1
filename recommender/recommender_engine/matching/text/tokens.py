"""Tokens of a text: words, numbers, dates and signs."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import NamedTuple

_DIGIT = re.compile(r"\d")
_CROSS = re.compile(r"(?<=\d) ?[x\u00d7*] ?(?=\d)")
_VERSION = re.compile(r"(?<![^\W_])v(?=\d)")
_SIZES = re.compile(r"(?<![^\W_])([2-6])x(?=[ls](?!\w))")
_TOKEN = re.compile(
    r"(?<!\S)(?P<plain>[a-z]++)(?!\S)"  # first, because nearly all tokens of most texts match it
    r"|(?P<stamp>\d{4}-\d\d-\d\d[ t]\d\d:\d\d:\d\d[\d.,z+:-]*)"
    r"|(?<![\w.,:/-])(?P<date>\d{4}-\d\d?-\d\d?|\d\d?\.\d\d?\.\d{4}|\d\d?/\d\d?/\d{4})(?![\w/-])"
    r"|(?<![\w.,:])(?P<colon>\d{1,5}:\d{1,6}(?: \d{3}(?!\d))?(?::\d\d)?)(?![\d:])"
    r"|(?<![\w.,:])(?P<clock>\d\d?h(?:\d\d)?)(?!\w)"
    r"|(?<![^\W_])(?P<mark>(?:[^\W\d_]{1,2}|0)(?:[+#]{1,3}|-(?=[\s,.;)]|$)))(?![^\W_])"
    r"|(?P<number>(?:(?<![^\s(\[])[+\u2212\u2013-] ?)?(?<![^\W_])\d+(?:[.,'\u2019]\d+)*)"
    r"|(?P<word>[^\W_]+(?:['\u2019][^\W\d_]+)*)"
    r"|(?P<arrow>\u2192|[-=]>)"
    r"|(?P<symbol>[^\w\s\x00-\x7f\u2010-\u2027\u00a0-\u00bf]|[%€$£@&])"
)


class Mark(NamedTuple):
    """A word or phrase of the lexicon in a text.

    Attributes:
        key: see `Meaning`.
        start: index of the first token.
        end: index after the last token.
        language: of this meaning; empty for all.
    """

    key: str
    start: int
    end: int
    language: str


class Token(NamedTuple):
    """A word, number, date, time of day or sign.

    Attributes:
        kind: the name of its form in the pattern.
        text: folded.
        attached: whether it follows the token before it without a blank.
    """

    kind: str
    text: str
    attached: bool


def tokens_of(folded: str, known: Container[str] = ()) -> list[Token]:
    """The tokens of a text, as `fold` makes it, in reading order.

    Args:
        folded: the text.
        known: words with an apostrophe that are one token; others are several.
    """
    found: list[Token] = []
    last = -1
    running = folded
    if _DIGIT.search(folded):
        running = _CROSS.sub(" \u00d7 ", _VERSION.sub("", _SIZES.sub(lambda size: "x" * int(size[1]), folded)))
    for match in _TOKEN.finditer(running):
        kind, text = match.lastgroup or "", match[0]
        attached = match.start() == last
        last = match.end()
        if kind == "plain":
            kind = "word"
        elif kind == "word":
            text = text.replace("\u2019", "'")
            if "'" in text and text not in known:
                found.extend(Token("word", part, False) for part in text.split("'") if part)
                continue
        found.append(Token(kind, text, attached))
    return found


def words_of_phrase(folded: str) -> tuple[str, ...]:
    """The tokens of a phrase of a word list; its first word may have an apostrophe."""
    first, _, _ = folded.strip().replace("\u2019", "'").partition(" ")
    return tuple([one.text for one in tokens_of(folded, {first})])
