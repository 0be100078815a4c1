"""Word lists of one collection: words that it adds to the shipped lists, and shipped words that it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field, model_serializer

from recommender_engine.items import limits
from recommender_engine.items.values import Value

_ARROWS = ("\u2192", "->", "=>")
_CONDITIONS, _MONTHS, _DAYS, _SIZES = 6, 12, 7, 11
_DIGITS = 15
_Check = Callable[[str], None]


def _phrases(listed: str) -> list[str]:
    return [phrase for one in listed.split(",") if (phrase := " ".join(one.split()))]


def _one_meaning(listed: str) -> None:
    """``a, b``: phrases of one meaning."""
    for separator in "/;":
        if separator in listed:
            raise ValueError(f"only commas separate phrases here, found {separator!r}")
    for phrase in _phrases(listed):
        shown = repr(phrase[: limits.MAX_NAME_CHARS])
        if not phrase.isprintable():
            raise ValueError(f"{shown} holds a character that cannot be printed")
        if len(phrase) > limits.MAX_NAME_CHARS:
            raise ValueError(f"{shown} is longer than {limits.MAX_NAME_CHARS} characters; commas separate phrases")
        if not any(letter.isalnum() for letter in phrase) and phrase not in _ARROWS:
            raise ValueError(f"{shown} has no letter and no digit")


def _meanings(most: int) -> _Check:
    """``a, b / c``: phrases of meanings that exclude each other, each in its place."""

    def check(listed: str) -> None:
        groups = listed.split("/")
        if len(groups) > most:
            raise ValueError(f"at most {most} meanings, separated by '/', found {len(groups)}")
        for group in groups:
            _one_meaning(group)

    return check


def _opposites(listed: str) -> None:
    """``a / b; c / d``: lists of meanings that exclude each other."""
    for one in listed.split(";"):
        _meanings(limits.MAX_RULES)(one)
        if one.strip() and sum(bool(_phrases(group)) for group in one.split("/")) < 2:
            shown = " ".join(one.split())[: limits.MAX_NAME_CHARS]
            raise ValueError(f"{shown!r} has no opposite: '/' separates the meanings, ';' the lists")


def _numbers(listed: str) -> None:
    """``one:1, two:2``: words with their values."""
    for phrase in _phrases(listed):
        word, _, value = (part.strip() for part in phrase.partition(":"))
        _one_meaning(word)
        if not word or not (value.isascii() and value.isdecimal() and len(value) <= _DIGITS):
            shown = phrase[: limits.MAX_NAME_CHARS]
            raise ValueError(f"{shown!r} is not word:number, as in six:6, with at most {_DIGITS} digits")


def _checked(check: _Check) -> AfterValidator:
    def validate(listed: str) -> str:
        check(listed)
        return listed

    return AfterValidator(validate)


_Phrases = Annotated[str, _checked(_one_meaning)]


class RemovedWords(Value):
    """Words of the shipped lists that a collection leaves out, by the name of the list: see `WordLists`."""

    common: _Phrases = ""
    negation: _Phrases = ""
    failing: _Phrases = ""
    auxiliary: _Phrases = ""
    joining: _Phrases = ""
    minus: _Phrases = ""
    for_: _Phrases = Field(default="", alias="for")
    with_: _Phrases = Field(default="", alias="with")
    from_: _Phrases = Field(default="", alias="from")
    to: _Phrases = ""
    packs: _Phrases = ""
    pieces: _Phrases = ""
    packs_of: _Phrases = ""
    accessories: _Phrases = ""
    editions: _Phrases = ""
    conditions: _Phrases = ""
    opposites: _Phrases = ""
    months: _Phrases = ""
    days: _Phrases = ""
    clock: _Phrases = ""
    numbers: _Phrases = ""
    sizes: _Phrases = ""
    now: _Phrases = ""
    absence: _Phrases = ""

    @model_serializer
    def given(self) -> dict[str, object]:
        """What is not empty, by the names of a file."""
        found: dict[str, object] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value := value.given() if isinstance(value, RemovedWords) else value:
                found[field.alias or name] = value
        return found


class WordLists(RemovedWords):
    """Words that a collection adds to the shipped lists, in the form of a shipped file.

    Commas separate phrases of one meaning, slashes meanings that exclude each other, semicolons lists of those. Phrases
    are folded like texts: case and accents do not matter.

    Attributes:
        common: words that tell the language, and never separate two texts.
        negation: not, never.
        failing: a negation in other words: unable, broken.
        auxiliary: words next to a negation: do, does.
        joining: words in an enumeration, the order of which has no meaning: and, or, nor.
        minus: the word for a negative sign.
        for_: between an accessory and the product: for, fits. ``for`` in a file.
        with_: before what is included: with. ``with`` in a file.
        from_: before an origin. ``from`` in a file.
        to: before a destination.
        packs: pack, box.
        pieces: pieces, tablets.
        packs_of: between a word for a pack and its number: of.
        accessories: accessories and parts.
        editions: editions and trims.
        conditions: six meanings: refurbished / used / opened / for parts / of second quality / only the packaging.
        opposites: meanings that exclude each other.
        months: twelve, in order.
        days: seven, Monday first.
        clock: am, pm.
        numbers: words with their values, ``six:6``.
        sizes: eleven, in order; the fifth is M.
        now: phrases of reports on a current event: since this morning; ``#`` is any number of one or two digits.
        absence: phrases of people who are away: sick, on leave. A text with one reports no event.
        language: of the words, two or three letters; empty for words of any language.
        remove: words of the shipped lists that are left out: those of ``language``, or of all languages if it is empty.
    """

    conditions: Annotated[str, _checked(_meanings(_CONDITIONS))] = ""
    opposites: Annotated[str, _checked(_opposites)] = ""
    months: Annotated[str, _checked(_meanings(_MONTHS))] = ""
    days: Annotated[str, _checked(_meanings(_DAYS))] = ""
    numbers: Annotated[str, _checked(_numbers)] = ""
    sizes: Annotated[str, _checked(_meanings(_SIZES))] = ""
    language: Annotated[str, Field(pattern="^([a-z]{2,3})?$")] = ""
    remove: RemovedWords = RemovedWords()


def _bounded(words: tuple[WordLists, ...]) -> tuple[WordLists, ...]:
    size = sum(len(one.model_dump_json().encode()) for one in words)
    if size > limits.MAX_WORDS_BYTES:
        raise ValueError(f"{size} bytes of JSON; at most {limits.MAX_WORDS_BYTES} for a collection")
    return words


Words = Annotated[tuple[WordLists, ...], Field(strict=False, max_length=limits.MAX_RULES), AfterValidator(_bounded)]
