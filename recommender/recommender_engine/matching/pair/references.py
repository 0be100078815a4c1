"""Codes of a text that only refer to another record: "see ticket 4488120", "wie in INC-48213".

Two texts that refer to the same record need not be about the same thing. Phrases that refer, and nouns for records,
are in ``references.toml``.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib.resources import files

from recommender_engine.matching.text.lexicon import lexicon
from recommender_engine.matching.text.terms import fold

_SIGNS = re.compile(r"[\W_]+")
_WORD = re.compile(r"[^\W_]+")
# A key of a tracker, or a long number.
_CODE = re.compile(r"(?<![^\W_])(?:[^\W\d_][^\W_]*[-_]?\d{3,}|\d{5,})(?![^\W_])")
_AND = re.compile(r"\s*(?:[,/&+]|,?\s(?:and|und|et|y|e|en|i))\s*")
# Characters before a code that are read: the phrase is the end of them, but for a few nouns and common words.
_BEFORE = 80
_MOST_BETWEEN = 3
_END = re.compile(r"[!?;\n]")

Phrase = tuple[str, ...]


def referred(folded: str) -> frozenset[str]:
    """The codes of a text, without signs, that only refer to another record wherever the text names them.

    Args:
        folded: the text, as `fold` makes it.
    """
    found: set[str] = set()
    others: set[str] = set()
    last, refers = 0, False
    for match in _CODE.finditer(folded):
        listed = refers and _AND.fullmatch(folded, last, match.start()) is not None
        refers = listed or _is_referred(folded[max(match.start() - _BEFORE, last) : match.start()])
        (found if refers else others).add(_SIGNS.sub("", match[0]))
        last = match.end()
    return frozenset(found - others)


def _is_referred(before: str) -> bool:
    """Whether the text before a code ends with a phrase that refers, but for common words and nouns for records."""
    words = tuple(_WORD.findall(_END.split(before)[-1]))
    phrases, records = _lists()
    for _ in range(_MOST_BETWEEN + 1):
        if any(words[start:] in phrases for start in range(len(words))):
            return True
        if not words or not (words[-1] in records or words[-1] in lexicon().languages):
            return False
        words = words[:-1]
    return False


@lru_cache(maxsize=1)
def _lists() -> tuple[frozenset[Phrase], frozenset[str]]:
    """The phrases, and the nouns, of all languages."""
    data = tomllib.loads(files(__package__).joinpath("references.toml").read_text(encoding="utf-8")).values()
    phrases = frozenset([phrase for one in data for phrase in _phrases(one["refers"])])
    return phrases, frozenset([phrase[-1] for one in data for phrase in _phrases(one["records"])])


def _phrases(listed: str) -> list[Phrase]:
    return [tuple(_WORD.findall(fold(phrase))) for phrase in listed.split(",")]
