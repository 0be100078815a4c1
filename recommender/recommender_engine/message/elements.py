"""The elements of HTML, and whether a text is any: signs, generics, code and traces are none."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


INLINE = _names(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark nobr q s samp small span strike"
    " strong sub sup time tt u var wbr"
)
BREAKS = _names("br hr")
BLOCKS = _names(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure"
    " footer form h1 h2 h3 h4 h5 h6 header html legend li main menu nav ol p pre section summary table tbody tfoot"
    " thead tr ul"
)
CELLS = _names("td th")
SILENT = _names("head title script style template xml noscript object svg math select textarea iframe")
"""Elements whose content is not read."""
KNOWN = INLINE | BREAKS | BLOCKS | CELLS | SILENT
KNOWN |= _names("img meta link base input button option col colgroup picture source area map video audio")

# Each scan for the end of a tag stops at the next one, so that all of them together read the text once.
TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)((?::[A-Za-z0-9]+)?)(?=[\s/>])([^<>]*)>")
_DOCUMENT = re.compile(r"\s*(?:<\?xml[^<>]*>\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_STRUCTURE = _names("br p div tr li")
_FENCES = frozenset("`'\"")
MOST_TAGS = 8000
"""A text with more is left as it is; a long newsletter has some 3,000."""
_MOST_UNKNOWN = 3  # known tags for each unknown one, where little else shows that it is HTML


def is_html(text: str) -> bool:
    """Whether a text is HTML and does not only speak of it.

    A document is. A fragment is if most of its tags are known ones and it is built by them: it begins and ends with
    tags, or its lines break by tags, or its elements are closed and only emphasise words.
    """
    if "<" not in text or ">" not in text or text.count("<") > MOST_TAGS:
        return False
    if _DOCUMENT.match(text):
        return True
    tags = _Tags(text)
    if tags.first is None or tags.unknown > tags.known or not tags.closed + tags.tight:
        return False
    begins = not text[: tags.first].strip()
    if begins and not text[tags.last :].strip() and (tags.closed or tags.structure > 1):
        return True
    if _MOST_UNKNOWN * tags.unknown > tags.known:
        return False
    if (begins and tags.closed) or tags.structure > _breaks_between(text):
        return True
    return tags.closed == tags.emphasis and tags.closed > 0 and tags.known == 2 * tags.closed


class _Tags:
    """The tags of a text, counted; those between signs of quotation are spoken of and do not count.

    Attributes:
        known, unknown: tags that HTML defines, and others.
        closed: elements that begin and end; ``emphasis`` those among them that are part of a line.
        tight: breaks and paragraphs that are no word among others.
        structure: tags that begin a line.
        first, last: where the first known one begins, and the last ends; ``None`` and 0 without any.
    """

    def __init__(self, text: str) -> None:
        self.known = self.unknown = self.closed = self.emphasis = self.tight = self.structure = self.last = 0
        self.first: int | None = None
        self._open: Counter[str] = Counter()
        for found in TAG.finditer(text):
            start, end = found.span()
            before, behind = text[max(start - 1, 0) : start], text[end : end + 1]
            if found[3] or (before in _FENCES and behind in _FENCES):
                continue
            name = found[2].lower()
            if name not in KNOWN:
                self.unknown += 1
                continue
            self.known += 1
            self.first, self.last = (start if self.first is None else self.first), end
            if found[1]:
                self._closes(name)
            else:
                self._opens(name, before, behind)

    def _closes(self, name: str) -> None:
        if self._open[name]:
            self._open[name] -= 1
            self.closed += 1
            self.emphasis += name in INLINE

    def _opens(self, name: str, before: str, behind: str) -> None:
        self._open[name] += 1
        if before == behind == " ":
            return  # a word among others
        self.structure += name in _STRUCTURE
        self.tight += name in BREAKS or (name == "p" and not before.isalnum())


def _breaks_between(text: str) -> int:
    """Line breaks that are not next to a tag."""
    return sum(
        not one.rstrip().endswith(">") and not other.lstrip().startswith("<")
        for one, other in pairwise(text.strip().splitlines())
    )
