"""Words that change the meaning of a text, by language: one file of ``languages`` each, read once.

In a file, commas separate words or phrases of one meaning, slashes separate meanings that exclude each other, and
semicolons separate lists of those. All are folded like texts.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

from recommender_engine.matching.text.terms import fold

_PART = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d+[^\W_]*|[\u2192]|[-=]>")
# Lists without exclusive meanings; the key of a phrase is the phrase itself.
_PLAIN = (
    "negation", "failing", "auxiliary", "minus", "for", "with", "from", "to", "packs", "packs_of", "pieces", "clock",
    "accessories", "editions",
)  # fmt: skip
_CONDITIONS = ("refurbished", "used", "opened", "for parts", "of second quality", "only the packaging")


class Meaning(NamedTuple):
    """The meaning of a word or phrase.

    Attributes:
        kind: the name of its list.
        key: which of several exclusive meanings; for an opposite, the axis and the pole.
        language: of the file; empty for all languages.
    """

    kind: str
    key: str
    language: str


class Lexicon(NamedTuple):
    """The words of all files.

    Attributes:
        meanings: of phrases, as tuples of words.
        lengths: of the phrases that begin with a word, descending.
        languages: in which a word is common.
    """

    meanings: dict[tuple[str, ...], tuple[Meaning, ...]]
    lengths: dict[str, tuple[int, ...]]
    languages: dict[str, frozenset[str]]


def parts(phrase: str) -> tuple[str, ...]:
    """The words of a phrase, folded."""
    return tuple(_PART.findall(fold(phrase).replace("\u2019", "'")))


@lru_cache(maxsize=1)
def lists() -> tuple[dict[str, str], ...]:
    """The lists of each file by name, in the order of the files' names."""
    found = sorted(files(__package__).joinpath("languages").iterdir(), key=lambda one: one.name)
    return tuple([tomllib.loads(one.read_text(encoding="utf-8")) for one in found if one.name.endswith(".toml")])


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """The words of all languages, in the order of the files' names."""
    meanings: dict[tuple[str, ...], dict[Meaning, None]] = {}
    languages: dict[str, set[str]] = {}
    for wordlist in lists():
        language = wordlist["language"]
        for phrase, meaning in _meanings(wordlist, language):
            meanings.setdefault(phrase, {})[meaning] = None
        if language:
            for name in ("common", "pieces", "months", "minus", "for", "from", "to", "with", "negation", "auxiliary"):
                for phrase in _phrases(wordlist.get(name, "").replace("/", ",")):
                    languages.setdefault(phrase[0], set()).add(language)
    lengths: dict[str, set[int]] = {}
    for phrase in meanings:
        lengths.setdefault(phrase[0], set()).add(len(phrase))
    return Lexicon(
        {phrase: tuple(found) for phrase, found in meanings.items()},
        {word: tuple(sorted(found, reverse=True)) for word, found in lengths.items()},
        {word: frozenset(found) for word, found in languages.items()},
    )


def _phrases(listed: str) -> list[tuple[str, ...]]:
    return [found for phrase in listed.split(",") if (found := parts(phrase))]


def _meanings(wordlist: dict[str, str], language: str) -> Iterator[tuple[tuple[str, ...], Meaning]]:
    for kind in _PLAIN:
        for phrase in _phrases(wordlist.get(kind, "")):
            yield phrase, Meaning(kind, " ".join(phrase), language)
    for kind, name in (("condition", "conditions"), ("month", "months"), ("size", "sizes")):
        for index, phrase in _alternatives(wordlist.get(name, "")):
            key = {"condition": _CONDITIONS[index % len(_CONDITIONS)], "month": str(index + 1)}.get(kind, str(index))
            yield phrase, Meaning(kind, key, language)
    for number in wordlist.get("numbers", "").split(","):
        word, _, value = number.partition(":")
        if phrase := parts(word):
            yield phrase, Meaning("number", value.strip(), language)
    axes = [*wordlist.get("opposites", "").split(";"), wordlist.get("months", "")]
    for axis, listed in enumerate(axes):
        for pole, phrase in _alternatives(listed):
            yield phrase, Meaning("opposite", f"{language}{axis}:{pole}", language)


def _alternatives(listed: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    for index, words in enumerate(listed.split("/")):
        for phrase in _phrases(words):
            yield index, phrase
