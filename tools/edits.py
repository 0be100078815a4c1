"""Copies of a text: edited by somebody who means the same, or with one thing changed that makes it another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from recommender_engine.matching.text.vocabulary import FUNCTION_WORDS
from tools.contrasts import DIFFERENT, SAME, Edit

_WORD = re.compile(r"[^\W\d_]{3,}")
_NUMBER = re.compile(r"\d+")
_CLAUSE = re.compile(r"(?:, (?!and\b|or\b|but\b)|\. +|; )")
# Words that may be left out without saying something else: no negation, no direction, no condition is among them.
_SAYS_NOTHING = """
    a an the this that these my our your please just very really also kindly der die das den dem ein eine einen bitte
    le la les un une el los las una por favor il lo gli het een uma prosze
"""
SAYS_NOTHING = frozenset(_SAYS_NOTHING.split())
GREETINGS = ("Hi, ", "Hello, ", "Please help: ", "Again: ", "Re: ", "Urgent: ")
CLOSINGS = (" Thanks", " Thank you!", " Please advise.", " Best regards", " - any news?", " asap")
TAGS = ("ref {}", "order {}", "no. {}", "(item {})", "#{}", "case {}", "model {}", "size {}", "host srv-{}", "v{}.1")


class Edits:
    """Draws edits.

    Args:
        texts: where replacements are taken from.
        draw: source of chance.
    """

    def __init__(self, texts: Sequence[str], draw: np.random.Generator) -> None:
        counted = Counter(word for text in texts for word in set(_WORD.findall(text.lower())))
        self._words = sorted(word for word, count in counted.items() if 2 <= count <= 60 and word not in FUNCTION_WORDS)
        self._draw = draw

    def same(self, text: str) -> tuple[str, str]:
        """The text and an edited copy."""
        one = other = self._tagged(text) if self._chance(0.4) else text
        if self._chance(0.4) and (counterpart := self._drawn(SAME, one)):
            one, other = counterpart
        other = self._reworded(other)
        return one, self._framed(other) if other == one else other

    def reworded(self, text: str) -> str:
        """A copy of the text as somebody else would send it; never the same."""
        other = self._reworded(text)
        return self._framed(other) if other == text else other

    def different(self, text: str) -> tuple[str, str]:
        """The text and a copy in which one thing makes it another: of the kinds of `DIFFERENT`, a number, or a word."""
        if self._chance(0.65) and (contrast := self._drawn(DIFFERENT, text)):
            one, other = contrast
        elif _NUMBER.search(text) and self._chance(0.6):
            one, other = text, _NUMBER.sub(lambda match: self._other_number(match[0]), text, count=1)
        elif self._chance(0.45):
            one = self._tagged(text)
            last = list(_NUMBER.finditer(one))[-1 if not one.endswith(".1") else -2]
            other = one[: last.start()] + self._other_number(last[0]) + one[last.end() :]
        else:
            one, other = text, self._with_other_word(text)
        if self._chance(0.5):
            one, other = other, one
        return one, self._framed(other) if self._chance(0.2) else other

    def _drawn(self, edits: Mapping[str, Edit], text: str) -> tuple[str, str] | None:
        """The text and its copy by an edit drawn among those that have something to change."""
        for name in self._draw.permutation(list(edits)).tolist():
            made = edits[name](text, self._draw)
            if made is not None and made[0] != made[1]:
                return made
        return None

    def _reworded(self, text: str) -> str:
        for edit in (self._without_small_words, self._with_typo, self._framed, self._reordered):
            if self._chance(0.5):
                text = edit(text)
        return text

    def _chance(self, share: float) -> bool:
        return bool(self._draw.random() < share)

    def _pick(self, choices: Sequence[str]) -> str:
        return choices[int(self._draw.integers(len(choices)))]

    def _tagged(self, text: str) -> str:
        number = int(self._draw.integers(1, 10 ** int(self._draw.integers(2, 8))))
        return f"{text} {self._pick(TAGS).format(number)}"

    def _other_number(self, number: str) -> str:
        """One that differs in little: the next one, or another last digit."""
        step = int(self._draw.integers(1, 10))
        return str(int(number[-15:]) + step).zfill(len(number))

    def _with_other_word(self, text: str) -> str:
        told = [match for match in _WORD.finditer(text) if match[0].lower() not in FUNCTION_WORDS]
        if not told:
            return f"{text} {self._pick(self._words)}"
        place = told[int(self._draw.integers(len(told)))]
        others = [word for word in self._words if word != place[0].lower()]
        return text[: place.start()] + self._pick(others) + text[place.end() :]

    def _without_small_words(self, text: str) -> str:
        kept = [word for word in text.split() if word.lower() not in SAYS_NOTHING or self._chance(0.5)]
        return " ".join(kept) or text

    def _with_typo(self, text: str) -> str:
        words = [match for match in _WORD.finditer(text) if len(match[0]) > 4]
        if not words:
            return text.lower()
        place = words[int(self._draw.integers(len(words)))]
        at = place.start() + int(self._draw.integers(1, len(place[0]) - 1))
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]

    def _framed(self, text: str) -> str:
        return self._pick(GREETINGS) + text if self._chance(0.5) else text + self._pick(CLOSINGS)

    def _reordered(self, text: str) -> str:
        """Its clauses in another order. Words alone are not moved: who does what to whom is said by their order."""
        clauses = _CLAUSE.split(text)
        if len(clauses) < 2 or not all(clauses):
            return text
        at = int(self._draw.integers(1, len(clauses)))
        return ", ".join([*clauses[at:], *clauses[:at]])
