"""Finds the lines to cut from a message: quotations, signatures, disclaimers, automatic notices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from recommender_engine.message.markup import DASHES, Line
from recommender_engine.message.phrases import COLONS, LONGEST, Phrases, is_spoken, words

Rule = Literal["quotes", "forwards", "signatures", "disclaimers", "auto_replies"]

LEAST_ABOVE = 4
"""Words that must stand above a mail that was passed on for them to be the message; else what was passed on is."""

_HEADERS = 3  # of different kinds, in a block of them
_ANNOUNCEMENT = 60  # characters of the line above one
_BLOCK = 12  # lines that a block of headers has at most
_WRAPPED = 3  # most lines of an attribution
_SIGNATURE = 12  # non-empty lines after a closing or the signature sign
_ANNOUNCED = 8  # lines of an automatic notice
_SMALL_PRINT = 4000  # characters of a paragraph that may be some
_UNWRAPPED = 100  # characters from which on a line is a paragraph of its own: programs wrap before
_PASSED_ON = 3  # times that a mail is looked at which was passed on by itself
_SIGN = (DASHES, "--\u00a0")
_SIGNS = ("--", "\u2014")


def cut(lines: Sequence[Line], phrases: Phrases) -> list[Rule | None]:
    """The rule that cuts each line; ``None`` for lines that stay."""
    cutting = _Cutting(lines, phrases)
    cutting.marked_up()
    cutting.quoted()
    cutting.below_heads()
    cutting.automatic()
    cutting.small_print()
    cutting.signed()
    cutting.small_print()  # before a signature, or after it
    return cutting.by


class _Cutting:
    def __init__(self, lines: Sequence[Line], phrases: Phrases) -> None:
        self._texts = [line.text.strip() for line in lines]
        self._lines = lines
        self._phrases = phrases
        self._compares_files = any(text.startswith("< ") for text in self._texts)
        self.by: list[Rule | None] = [None] * len(lines)

    def marked_up(self) -> None:
        """Parts that the mark-up names."""
        for place, line in enumerate(self._lines):
            self.by[place] = line.part

    def quoted(self) -> None:
        """Lines after ``>``, with their attribution."""
        place = 0
        while place < len(self._texts):
            if not self._texts[place].startswith(">"):
                place += 1
                continue
            end = place
            while end < len(self._texts) and (self._texts[end].startswith(">") or self._empty_between(end)):
                end += 1
            above = self._attributed(place)
            if above < place or self._is_spoken(place, end):
                self._mark(above, end, "quotes")
            place = end

    def below_heads(self) -> None:
        """A mail that was answered or passed on, below its head."""
        start = 0
        for _ in range(_PASSED_ON):
            head = self._head(start)
            if head is None:
                return
            first, behind, rule = head
            if self._said(0, first) >= (1 if rule == "quotes" else LEAST_ABOVE):
                self._mark(first, len(self._texts), rule)
                return
            self._mark(first, behind, rule)
            start = behind

    def signed(self) -> None:
        """Signatures: after their sign, by a program, or after a closing with an address or number."""
        filled = [place for place, text in enumerate(self._texts) if text and self.by[place] in (None, "signatures")]
        for number, place in enumerate(filled):
            text, left = self._texts[place], filled[number + 1 : number + 2 + _SIGNATURE]
            if self.by[place] is None and self._phrases.signs(text):
                self._mark(place, place + 1, "signatures")
            elif (
                text in _SIGNS and self._is_signature(left, explicit=self._lines[place].text.lstrip().startswith(_SIGN))
            ) or (self._phrases.closes(text) and self._is_signature(left, explicit=False)):
                self._mark(place, len(self._texts), "signatures")
                return

    def automatic(self) -> None:
        """Automatic notices anywhere, and warnings at the beginning."""
        there = self._paragraphs()
        for first, end in there:
            if end - first <= _ANNOUNCED and self._phrases.automatic(self._joined(first, end)):
                self._mark(first, end, "auto_replies")
        for first, end in there[:2]:
            if self._phrases.banner(self._joined(first, end)):
                self._mark(first, end, "disclaimers")

    def small_print(self) -> None:
        """Disclaimers, at the end."""
        for first, end in reversed(self._paragraphs()):
            last = end
            while last > first and len(self._texts[last - 1]) >= _UNWRAPPED and self._is_small_print(last - 1, last):
                last -= 1
            if last == end and self._is_small_print(first, end):
                last = first
            self._mark(last, end, "disclaimers")
            if last > first:
                return

    def _is_small_print(self, first: int, end: int) -> bool:
        said = self._joined(first, end)
        return len(said) <= _SMALL_PRINT and self._phrases.small_print(said)

    # -- quotations ----------------------------------------------------------------------------------------------------

    def _empty_between(self, place: int) -> bool:
        return not self._texts[place] and place + 1 < len(self._texts) and self._texts[place + 1].startswith(">")

    def _attributed(self, place: int) -> int:
        """The first line of the attribution above a line; the line itself if there is none."""
        last = place - 1
        while last >= 0 and last >= place - 2 and not self._texts[last]:
            last -= 1
        whole = (first for first in range(max(last - _WRAPPED + 1, 0), last + 1) if self._attributes(first, last + 1))
        return next(whole, place)

    def _attributes(self, first: int, end: int) -> bool:
        """Whether some lines are one attribution: programs wrap it, and do not break off a sentence."""
        texts = self._texts[first:end]
        if not texts[-1].rstrip("*_ ").endswith(COLONS):
            return False
        if not all(texts) or any(by is not None for by in self.by[first:end]):
            return False
        said = " ".join(text.lstrip("> ") for text in texts)
        return self._phrases.attribution(said) and (len(texts) == 1 or self._phrases.attributes_from(texts[0]))

    def _is_spoken(self, first: int, end: int) -> bool:
        """Whether several lines after ``>`` are sentences, and no prompt, listing or diff."""
        quoted = [text.lstrip("> ") for text in self._texts[first:end] if text.strip("> ")]
        spoken = sum(is_spoken(one) for one in quoted)
        return not self._compares_files and len(quoted) > 1 and 2 * spoken >= len(quoted)

    def _head(self, start: int) -> tuple[int, int, Rule] | None:
        """The next head: its first line, the line after it, and the rule that removes the text below."""
        for place in range(start, len(self._texts)):
            text = self._texts[place]
            if self.by[place] is not None or not text or len(text) > LONGEST:
                continue
            separator = self._phrases.separator(text)
            if separator is not None:
                below = self._headers(self._filled(place + 1)) or place + 1
                return place, below, "forwards" if separator == "forwarded" else "quotes"
            if self._phrases.header(text) == "from" and (behind := self._headers(place)):
                return self._announced(place), behind, "forwards"
            for end in range(place + 1, min(place + _WRAPPED, len(self._texts)) + 1):
                if self._attributes(place, end) and self._phrases.dated(self._joined(place, end)):
                    return place, end, "quotes"
        return None

    def _announced(self, place: int) -> int:
        """The line that announces a block of headers; the first line of the block if there is none."""
        above = place - 1
        while above >= 0 and above >= place - 2 and not self._texts[above]:
            above -= 1
        said = self._texts[above] if above >= 0 else ""
        announces = said and (not said.strip("_-=* ") or (said.endswith(COLONS) and len(said) <= _ANNOUNCEMENT))
        return above if announces and self.by[above] is None else place

    def _filled(self, place: int) -> int:
        while place < len(self._texts) and not self._texts[place]:
            place += 1
        return place

    def _headers(self, first: int) -> int | None:
        """The line after a block of headers; ``None`` if there is no block."""
        kinds, place, blanks = set(), first, 0
        while place < min(first + _BLOCK, len(self._texts)) and blanks < 2:
            kind = self._phrases.header(self._texts[place])
            if kind is None and self._texts[place] and not self._texts[place - 1].endswith((",", ";")):
                break
            blanks = 0 if self._texts[place] else blanks + 1
            kinds.add(kind)
            place += 1
        kinds.discard(None)
        kinds.discard("others")
        return place if len(kinds) >= _HEADERS and "from" in kinds else None

    # -- signatures ----------------------------------------------------------------------------------------------------

    def _is_signature(self, left: Sequence[int], *, explicit: bool) -> bool:
        """Whether the remaining lines are few, and have contact details."""
        if explicit or not left or len(left) > _SIGNATURE:
            return explicit and len(left) <= _SIGNATURE
        texts = [self._texts[place] for place in left]
        short = all(len(text) <= LONGEST // 2 for text in texts)
        return len(left) > 1 and short and any(self._phrases.reaches(text) for text in texts)

    # -- shared --------------------------------------------------------------------------------------------------------

    def _paragraphs(self) -> list[tuple[int, int]]:
        """Where paragraphs that stay begin and end."""
        found: list[tuple[int, int]] = []
        first: int | None = None
        for place in range(len(self._texts) + 1):
            stays = place < len(self._texts) and self.by[place] is None and self._texts[place]
            if stays and first is None:
                first = place
            elif not stays and first is not None:
                found.append((first, place))
                first = None
        return found

    def _joined(self, first: int, end: int) -> str:
        return " ".join(self._texts[first:end])

    def _said(self, first: int, end: int) -> int:
        """Words that stay, of some lines."""
        return sum(words(self._texts[place]) for place in range(first, end) if self.by[place] is None)

    def _mark(self, first: int, end: int, rule: Rule) -> None:
        for place in range(first, end):
            if self.by[place] is None:
                self.by[place] = rule
