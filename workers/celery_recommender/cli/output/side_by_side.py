"""Two texts beside each other, with what differs marked."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from rich.console import Console
from rich.table import Table
from rich.text import Text

from celery_recommender.cli.common import printable

_WORD = re.compile(r"\s+|[^\W_]+|.", re.DOTALL)
_MARK = "bold reverse"
# More words are compared as two sets: to align them takes time by the square of their number.
_MOST_ALIGNED = 2_000


def side_by_side(one: str, other: str, names: tuple[str, str], console: Console) -> Table:
    """A table of two columns; words that the other text does not have in that place stand out.

    On a console without styles they stand in square brackets.

    Args:
        one: the first text.
        other: the second.
        names: what the columns are called.
        console: where it is to be shown.
    """
    table = Table(show_edge=False, pad_edge=False, expand=True)
    for name in names:
        table.add_column(printable(name), ratio=1, overflow="fold")
    brackets = console.color_system is None
    table.add_row(*(_marked(words, apart, brackets=brackets) for words, apart in differing(one, other)))
    return table


def differing(one: str, other: str) -> tuple[tuple[list[str], list[bool]], tuple[list[str], list[bool]]]:
    """Both texts split into words and what is between them, and of each piece whether it is part of a difference."""
    mine, theirs = _WORD.findall(one), _WORD.findall(other)
    keys, their_keys = [piece.casefold().strip() for piece in mine], [piece.casefold().strip() for piece in theirs]
    if len(mine) + len(theirs) > _MOST_ALIGNED:
        known, their_known = set(keys), set(their_keys)
        apart = [bool(key) and key not in their_known for key in keys]
        return (mine, apart), (theirs, [bool(key) and key not in known for key in their_keys])
    apart, their_apart = [True] * len(mine), [True] * len(theirs)
    for here, there, size in SequenceMatcher(None, keys, their_keys, autojunk=False).get_matching_blocks():
        apart[here : here + size] = [False] * size
        their_apart[there : there + size] = [False] * size
    return (mine, apart), (theirs, their_apart)


def _marked(words: list[str], apart: list[bool], *, brackets: bool) -> Text:
    text, marked = Text(), False
    stands_out = [differs and not word.isspace() for word, differs in zip(words, apart, strict=True)]
    for place, word in enumerate(words):
        inside = stands_out[place] or (word.isspace() and marked and any(stands_out[place + 1 : place + 2]))
        if brackets and inside != marked:
            text.append("[" if inside else "]")
        marked = inside
        text.append_text(_shown(word, _MARK if stands_out[place] else ""))
    if brackets and marked:
        text.append("]")
    return text


def _shown(word: str, style: str) -> Text:
    if word.isspace():
        return Text("\n" if "\n" in word else " ")
    return Text(printable(word).plain, style=style)
