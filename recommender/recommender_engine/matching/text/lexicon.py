"""Words that change the meaning of a text: shipped ones, in one file of ``languages`` each, and those of collections.

In a file, commas separate words or phrases of one meaning, slashes separate meanings that exclude each other, and
semicolons separate lists of those. All are folded like texts.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

from recommender_engine.items import WordLists
from recommender_engine.matching.text.terms import fold
from recommender_engine.matching.text.tokens import Mark, words_of_phrase

# Lists without exclusive meanings; the key of a phrase is the phrase itself.
_PLAIN = (
    "negation", "failing", "auxiliary", "joining", "minus", "for", "with", "from", "to", "packs", "packs_of", "pieces",
    "clock", "accessories", "editions",
)  # fmt: skip
_CONDITIONS = ("refurbished", "used", "opened", "for parts", "of second quality", "only the packaging")
# Lists whose words tell the language of a text.
_OF_A_LANGUAGE = frozenset(
    {"common", "pieces", "months", "minus", "for", "from", "to", "with", "negation", "auxiliary"}
)
# Lists that tell reports of incidents from other texts.
_OF_INCIDENTS = ("now", "absence")
_OF_NOW = re.compile(r"[^\W_]+|#")
# Of collections with words of their own: about a megabyte each.
_MOST_LEXICONS = 32

Phrase = tuple[str, ...]


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
    """The words of all shipped files, and of one collection.

    Attributes:
        meanings: of phrases, as tuples of words.
        lengths: of the phrases that begin with a word, descending.
        languages: in which a word is common.
        now: phrases that describe the present, by the first word.
        absence: phrases of people who are away, by the first word.
    """

    meanings: Mapping[Phrase, tuple[Meaning, ...]]
    lengths: Mapping[str, tuple[int, ...]]
    languages: Mapping[str, frozenset[str]]
    now: Mapping[str, tuple[Phrase, ...]]
    absence: Mapping[str, tuple[Phrase, ...]]

    def marks(self, tokens: tuple[str, ...]) -> dict[str, list[Mark]]:
        """Marks in a text, the longest phrase at each token, by the name of the list."""
        found: dict[str, list[Mark]] = {}
        start = 0
        while start < len(tokens):
            end = start + 1
            for length in self.lengths.get(tokens[start], ()):
                phrase = tokens[start : start + length]
                meanings = self.meanings.get(phrase)
                if meanings:
                    end = start + len(phrase)  # at the end of a text it may be shorter than asked for
                    for meaning in meanings:
                        found.setdefault(meaning.kind, []).append(Mark(meaning.key, start, end, meaning.language))
                    break
            start = end
        return found


class _Listed(NamedTuple):
    """A phrase of a list.

    Attributes:
        name: of the list.
        phrase: its words.
        meaning: ``None`` for a list that marks nothing.
        language: of the file.
    """

    name: str
    phrase: Phrase
    meaning: Meaning | None
    language: str


def lexicon(words: tuple[WordLists, ...] = ()) -> Lexicon:
    """The words of all shipped files, in the order of their names, and those of a collection.

    Args:
        words: of the collection; equal ones give the same object while it is kept.
    """
    return _of_collection(words) if words else _shipped()


def words_of_now(text: str) -> Phrase:
    """Words of a folded text; a number of one or two digits, such as an hour, becomes ``#``."""
    return tuple(["#" if word.isdecimal() and len(word) < 3 else word for word in _OF_NOW.findall(text)])


@lru_cache(maxsize=1)
def _files() -> tuple[_Listed, ...]:
    """The phrases of the shipped files."""
    found = sorted(files(__package__).joinpath("languages").iterdir(), key=lambda one: one.name)
    wordlists = [tomllib.loads(one.read_text(encoding="utf-8")) for one in found if one.name.endswith(".toml")]
    return tuple([listed for one in wordlists for listed in _listed(one, one["language"])])


@lru_cache(maxsize=1)
def _shipped() -> Lexicon:
    return _lexicon(_files())


@lru_cache(maxsize=_MOST_LEXICONS)
def _of_collection(words: tuple[WordLists, ...]) -> Lexicon:
    removed: set[tuple[str, Phrase, str]] = set()
    added: list[_Listed] = []
    for number, one in enumerate(words):
        removed |= {(name, phrase, one.language) for name, phrase in _removed(one.remove.given())}
        lists = {name: listed for name, listed in one.given().items() if isinstance(listed, str)}
        added += _listed(lists, one.language, f"{number}.")
    kept = [
        one
        for one in _files()
        if (one.name, one.phrase, "") not in removed and (one.name, one.phrase, one.language) not in removed
    ]
    return _lexicon([*kept, *added])


def _lexicon(listed: Iterable[_Listed]) -> Lexicon:
    meanings: dict[Phrase, dict[Meaning, None]] = {}
    languages: dict[str, set[str]] = {}
    incidents: dict[str, dict[str, dict[Phrase, None]]] = {name: {} for name in _OF_INCIDENTS}
    lengths: dict[str, set[int]] = {}
    for name, phrase, meaning, language in listed:
        if name in incidents:
            incidents[name].setdefault(phrase[0], {})[phrase] = None
        if meaning is not None:
            meanings.setdefault(phrase, {})[meaning] = None
            lengths.setdefault(phrase[0], set()).add(len(phrase))
        if name == "common" or (language and name in _OF_A_LANGUAGE):
            languages.setdefault(phrase[0], set()).update([language] if language else [])
    return Lexicon(
        {phrase: tuple(found) for phrase, found in meanings.items()},
        {word: tuple(sorted(found, reverse=True)) for word, found in lengths.items()},
        {word: frozenset(found) for word, found in languages.items()},
        *({word: tuple(found) for word, found in incidents[name].items()} for name in _OF_INCIDENTS),
    )


def _phrases(listed: str) -> Iterator[Phrase]:
    for phrase in listed.split(","):
        if found := words_of_phrase(fold(phrase)):
            yield found


def _phrases_of_now(listed: str) -> Iterator[Phrase]:
    for phrase in listed.split(","):
        if found := words_of_now(fold(phrase)):
            yield found


def _removed(lists: Mapping[str, object]) -> Iterator[tuple[str, Phrase]]:
    for name, listed in lists.items():
        for phrase in _phrases_of_now(str(listed)) if name in _OF_INCIDENTS else _phrases(str(listed)):
            yield name, phrase


def _listed(wordlist: Mapping[str, str], language: str, of: str = "") -> Iterator[_Listed]:
    """The phrases of a file.

    Args:
        wordlist: its lists by name.
        language: of the words.
        of: distinguishes its opposites from those of other files.
    """
    for name in (*_PLAIN, "common"):
        for phrase in _phrases(wordlist.get(name, "")):
            meaning = None if name == "common" else Meaning(name, " ".join(phrase), language)
            yield _Listed(name, phrase, meaning, language)
    for name in _OF_INCIDENTS:
        for phrase in _phrases_of_now(wordlist.get(name, "")):
            yield _Listed(name, phrase, None, language)
    yield from _exclusive(wordlist, language, of)


def _exclusive(wordlist: Mapping[str, str], language: str, of: str) -> Iterator[_Listed]:
    """The phrases of lists of meanings that exclude each other."""
    for kind, name in (("condition", "conditions"), ("month", "months"), ("day", "days"), ("size", "sizes")):
        for index, phrase in _alternatives(wordlist.get(name, "")):
            key = {"condition": _CONDITIONS[index % len(_CONDITIONS)], "month": str(index + 1)}.get(kind, str(index))
            yield _Listed(name, phrase, Meaning(kind, key, language), language)
    for number in wordlist.get("numbers", "").split(","):
        word, _, value = number.partition(":")
        for phrase in _phrases(word):
            yield _Listed("numbers", phrase, Meaning("number", value.strip(), language), language)
    axes = [("opposites", listed) for listed in wordlist.get("opposites", "").split(";")]
    axes += [(name, wordlist.get(name, "")) for name in ("months", "days")]
    for axis, (name, listed) in enumerate(axes):
        for pole, phrase in _alternatives(listed):
            yield _Listed(name, phrase, Meaning("opposite", f"{of}{language}{axis}:{pole}", language), language)


def _alternatives(listed: str) -> Iterator[tuple[int, Phrase]]:
    for index, words in enumerate(listed.split("/")):
        for phrase in _phrases(words):
            yield index, phrase
