"""Copies of a text: edited by somebody who means the same, or with one thing changed that makes it another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from recommender.matching.vocabulary import FUNCTION_WORDS

_WORD = re.compile(r"[^\W\d_]{3,}")
_NUMBER = re.compile(r"\d+")
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
        one = self._tagged(text) if self._chance(0.4) else text
        other = one
        for edit in (self._without_small_words, self._with_typo, self._framed, self._reordered):
            if self._chance(0.5):
                other = edit(other)
        return one, self._framed(other) if other == one else other

    def reworded(self, text: str) -> str:
        """An edited copy of the text."""
        return self.same(text)[1]

    def different(self, text: str) -> tuple[str, str]:
        """The text and a copy in which one number, code or telling word is another."""
        if _NUMBER.search(text) and self._chance(0.6):
            one, other = text, _NUMBER.sub(lambda match: self._other_number(match[0]), text, count=1)
        elif self._chance(0.45):
            one = self._tagged(text)
            last = list(_NUMBER.finditer(one))[-1 if not one.endswith(".1") else -2]
            other = one[: last.start()] + self._other_number(last[0]) + one[last.end() :]
        else:
            one, other = text, self._with_other_word(text)
        return one, self._framed(other) if self._chance(0.2) else other

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
        return text[: place.start()] + self._pick(self._words) + text[place.end() :]

    def _without_small_words(self, text: str) -> str:
        kept = [word for word in text.split() if word.lower() not in FUNCTION_WORDS or self._chance(0.5)]
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
        words = text.split()
        at = int(self._draw.integers(len(words)))
        return " ".join(words[at:] + words[:at])
