"""What a line of a message is, by the phrases of the rules: each question takes time by the length of the line."""

from __future__ import annotations

import re
from typing import Literal

from recommender_engine.message.markup import Named
from recommender_engine.message.rules import Rules

LONGEST = 300
"""Characters of a line that a program writes above a quotation; a longer one is a sentence."""

COLONS = (":", "\uff1a")
Separator = Literal["answered", "forwarded"]
Kind = Literal["mail", "product"]
"""What an item is by the names of its fields."""

_HEADER = re.compile(r"[*_]{0,2}([^\W\d_][\w'\u2019 -]{0,20}?)[*_]{0,2}[ \u00a0]?[:\uff1a][*_]{0,2}(?:\s|$)")
_RULED = re.compile(r"[-_=*\s]{3,}(\S.*)")
_REACHED = re.compile(
    r"[\w.+-]@[\w-]|https?://|\bwww\.|[+(]?\d[\d ()/.-]{6,}\d|\b(?:tel|phone|mobile?|mob|fax|telefon|téléphone"
    r"|teléfono|telefono|telefoon|telefone|gmbh|ltd|inc|llc|s\.?a\.?r\.?l|s\.r\.l|s\.a|b\.v|sp\. z o\.o|lda)\b",
    re.IGNORECASE,
)
_DATED = re.compile(r"\d{1,2}[:.h]\d{2}|\b(?:19|20)\d\d\b|@")
_WORD = re.compile(r"[^\W\d_]{2,}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_MEASURED = re.compile(
    r"v?\d+(?:[.,/x\u00d7]\d+)+|\d+\s?(?:[x\u00d7]\s?\d|[\"'\u2033%\u00b0]|(?:[mck\u00b5]?m|[mk]?g|[mc]?l|[mk]?[wva]|m?ah|[kmg]?hz|[kmgt]b"
    r"|in|inch|ft|oz|lbs?|px|p|pcs|st(?:ck)?)\b)",
    re.IGNORECASE,
)
_TITLE = 200  # characters of a line that are looked at for what kind of line it is
_LONG_CLOSING = 60
_SPOKEN = 3
_GROUPS_OF_SMALL_PRINT = 3
_PUNCTUATION = ".,;:!?()\"'\u201c\u201d\u00ab\u00bb"


def plain(text: str) -> str:
    """Lower case, white space single."""
    return " ".join(text.casefold().split())


def words(text: str) -> int:
    """How many words of letters there are; a sign of a script that writes none apart counts as one."""
    return sum(1 for _ in _WORD.finditer(text))


def is_spoken(line: str) -> bool:
    """Whether a line has words as a sentence has them: prompts, listings and measures have fewer."""
    return sum(word.strip(_PUNCTUATION).isalpha() for word in line.split()) >= _SPOKEN or words(line) > len(line) // 2


class Phrases:
    """Knows lines by the phrases of the rules."""

    def __init__(self, rules: Rules) -> None:
        phrases = rules.phrases
        self._headers = {
            name: kind for kind in ("from", "sent", "to", "others", "subject") for name in phrases("headers", kind)
        }
        self._separators: dict[str, Separator] = {
            **dict.fromkeys(phrases("separators", "answered"), "answered"),
            **dict.fromkeys(phrases("separators", "forwarded"), "forwarded"),
        }
        self._begins = tuple(sorted(set(phrases("attribution", "begins"))))
        self._ends = tuple(sorted(set(phrases("attribution", "ends"))))
        self._middles = phrases("attribution", "middles")
        self._sent_from = phrases("signatures", "sent_from")
        self._closings = frozenset(phrases("signatures", "closings"))
        self._small_print = rules.tables["disclaimers"]["groups"]
        self._one_line = phrases("disclaimers", "lines")
        self._banners = phrases("disclaimers", "banners")
        self._notes = phrases("automatic", "notes")
        self._absences = phrases("automatic", "absences")
        prefixes = "|".join(
            sorted(
                map(re.escape, (*phrases("subject", "prefixes"), *phrases("subject", "ambiguous"))),
                key=len,
                reverse=True,
            )
        )
        marks = "|".join(sorted(map(re.escape, phrases("subject", "marks")), key=len, reverse=True))
        self._prefix = re.compile(
            rf"\s*(?:(?P<word>{prefixes})(?P<number>\[\d{{1,3}}\]|\(\d{{1,3}}\)|\^\d{{1,3}})?\s?[:\uff1a]\s+"
            rf"|[\[(](?:{marks})[\])]:?\s*)",
            re.IGNORECASE,
        )
        self._ambiguous = frozenset(phrases("subject", "ambiguous"))
        self.subjects = frozenset(phrases("headers", "subject"))
        self.named = Named(frozenset(phrases("markup", "quotes")), frozenset(phrases("markup", "signatures")))

    def prefix(self, line: str, kind: Kind | None = None) -> int:
        """How many characters of the line are marks of an answer or a mail that was passed on.

        One mark alone may be a word of a title (``PD: 65 W``, ``TR: 90 mm fork``): it counts in a mail, and elsewhere
        only before what can be a subject.
        """
        last = len(line.rstrip())
        found: list[re.Match[str]] = []
        while (one := self._prefix.match(line, found[-1].end() if found else 0)) and one.end() < last:
            found.append(one)
        if not found:
            return 0
        end = found[-1].end()
        # The French set a space before the colon; where a title does so in lower case it is none of a mail.
        if " :" in line[:end] and line[:end].islower():
            return 0
        if kind == "mail" or len(found) > 1 or found[0]["number"]:
            return end
        return end if self._is_subject(found[0]["word"], line[end : end + _TITLE], kind) else 0

    def _is_subject(self, mark: str | None, rest: str, kind: Kind | None) -> bool:
        """Whether the text after one prefix can be the subject of a mail; ``None``: the prefix is that of a server."""
        if kind == "product" or mark is None:
            return kind != "product"
        title = rest.partition("\n")[0]
        if mark.casefold() in self._ambiguous:
            return words(title) > 1 and not any(character.isdigit() for character in title)
        return _MEASURED.match(title) is None

    def header(self, line: str) -> str | None:
        """The kind of a line of headers: ``from``, ``sent``, ``to``, ``subject``, ``others``."""
        found = _HEADER.match(line)
        return None if found is None else self._headers.get(plain(found[1]))

    def separator(self, line: str) -> Separator | None:
        """Whether the line is above a mail that was answered or forwarded."""
        if len(line) > LONGEST:
            return None
        ruled = _RULED.match(line)
        if ruled is not None:
            return self._separators.get(plain(ruled[1].rstrip("-_=* \t:")))
        if not line.rstrip("*_>< ").endswith(COLONS):
            return None
        said = plain(line).strip("*_>< ")
        return self._separators.get(said[:-1].rstrip()) if said.endswith(COLONS) else None

    def attribution(self, line: str) -> bool:
        """Whether the line attributes the quotation below to its author."""
        if len(line) > LONGEST or not line.rstrip("*_ ").endswith(COLONS):
            return False
        said = plain(line).strip("*_ ")[:-1].rstrip()
        if said.endswith(self._ends):
            return said.startswith(self._begins) or _DATED.search(said) is not None
        return said.startswith(self._begins) and any(one in said for one in self._middles) and _told_when(said)

    def attributes_from(self, line: str) -> bool:
        """Whether a line can be the first of an attribution of several lines."""
        said = plain(line)
        return said.startswith(self._begins) and not said.endswith((".", "!", "?"))

    def dated(self, line: str) -> bool:
        """Whether it has a time or an address."""
        return _DATED.search(line) is not None

    def signs(self, line: str) -> bool:
        """Whether a program signs with the line."""
        return len(line) <= LONGEST and plain(line).lstrip("<[(*_ ").startswith(self._sent_from)

    def closes(self, line: str) -> bool:
        """Whether the line ends a letter."""
        return len(line) <= _LONG_CLOSING and plain(line).strip(" ,.!;\u2013-") in self._closings

    def reaches(self, line: str) -> bool:
        """Whether the line has contact details, or the legal form of a company."""
        return len(line) <= LONGEST and _REACHED.search(line) is not None

    def small_print(self, paragraph: str) -> bool:
        """Whether a paragraph is a disclaimer."""
        said = plain(paragraph)
        if len(said) <= LONGEST and any(one in said for one in self._one_line):
            return True
        return sum(any(word in said for word in group) for group in self._small_print) >= _GROUPS_OF_SMALL_PRINT

    def banner(self, paragraph: str) -> bool:
        """Whether a paragraph is a server's warning of a mail from outside."""
        if len(paragraph) > 2 * LONGEST:
            return False
        said = plain(paragraph)[:LONGEST]
        return any(one in said for one in self._banners)

    def automatic(self, paragraph: str) -> bool:
        """Whether a paragraph is an automatic notice: no-reply or out of office."""
        if len(paragraph) > 2 * LONGEST:
            return False
        said = plain(paragraph).lstrip("*-_[(#> ")
        return said.startswith(self._notes) or any(one in said for one in self._absences)


def _told_when(said: str) -> bool:
    return _DATED.search(said) is not None or any(character.isdecimal() for character in said)
