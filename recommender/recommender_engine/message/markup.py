"""HTML as it is read: whether a text is any, and its lines with the part of the mail that they belong to."""

from __future__ import annotations

import html
import re
from collections import Counter
from typing import Literal, NamedTuple

from lxml import etree

from recommender_engine.message.elements import BLOCKS, BREAKS, CELLS, KNOWN, SILENT, TAG, is_html

LIBRARY = "lxml-" + ".".join(map(str, etree.LXML_VERSION)) + "-" + ".".join(map(str, etree.LIBXML_COMPILED_VERSION))
"""What reads the mark-up: another release may read it otherwise."""

Part = Literal["quotes", "signatures"]

DEEPEST = 400
"""Elements in each other; a text with more is left as it is. A closing tag is looked for among all that are open."""

DASHES = "-- "
"""The line above a signature; its blank is part of it."""

_PIECE = 4096  # characters passed to the parser in one call
_PARAGRAPHS = frozenset({"p", "blockquote", "table", "ul", "ol", "h1", "h2", "h3", "h4"})
_ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}[0-9]{0,2}|#[0-9]{2,7}|#[xX][0-9a-fA-F]{2,6});")
_SIGN = re.compile(r"<(?!/?[A-Za-z!?])")
_DECLARATION = re.compile(r"<!\[[^<>]*>|<\?[^<>]*>")
_SPACES = re.compile(r"[ \t\r\n\f\u00a0]+")
_LINE_END = re.compile(r"\r\n|\r|\n")
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)


class Line(NamedTuple):
    """A line of a message.

    Attributes:
        text: without line breaks.
        part: the part that the mark-up names, if the writer did not write it.
    """

    text: str
    part: Part | None = None


class Named(NamedTuple):
    """What programs call the parts of a mail.

    Attributes:
        quotes, signatures: names of classes and ids, in lower case.
    """

    quotes: frozenset[str]
    signatures: frozenset[str]


def read(text: str, named: Named) -> list[Line] | str | None:
    """The visible text of a text with mark-up.

    Returns:
        Its lines, if it is HTML; otherwise the text with its entities decoded; ``None`` if it has neither.
    """
    if is_html(text):
        return _lines(text, named)
    if "&" not in text or _ENTITY.search(text) is None:
        return None
    decoded = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    if decoded == text:
        return None
    if "<" not in text and is_html(decoded):  # the whole text is escaped HTML
        return _lines(decoded, named) or decoded
    return decoded


class _TooDeep(Exception):
    pass


def _lines(text: str, named: Named) -> list[Line] | None:
    """The lines of HTML; ``None`` if it cannot be read, or nothing is there to be seen."""
    shown = _DECLARATION.sub("", _without_comments(text.replace("\0", "")))
    prepared = _SIGN.sub("&lt;", TAG.sub(_known_only, _with_breaks(shown)))
    reader = _Reader(named)
    parser = etree.HTMLParser(target=reader, huge_tree=True)
    try:
        for start in range(0, len(prepared), _PIECE):
            parser.feed(prepared[start : start + _PIECE])
        parser.close()
    except (_TooDeep, etree.LxmlError, AssertionError):
        return None
    lines = reader.finished()
    return lines if any(line.text for line in lines) else None


def _without_comments(text: str) -> str:
    """A pattern would look for the end of each comment anew where none of them ends."""
    kept, behind = [], 0
    while (start := text.find("<!--", behind)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[behind:start])
        behind = end + 3
    return "".join((*kept, text[behind:]))


def _with_breaks(text: str) -> str:
    """The text with ``<br>`` for line ends that stand in no block: a plain signature below HTML, words in bold.

    A line end next to a tag that breaks the line is ignored. A block that is not closed is a break.
    """
    pieces: list[str] = []
    behind = depth = 0
    broken = True
    closing = Counter(found[2].lower() for found in TAG.finditer(text) if found[1])
    inside: Counter[str] = Counter()
    for found in TAG.finditer(text):
        name = found[2].lower()
        block = not found[3] and (name in BLOCKS or name in CELLS or name in SILENT)
        breaks = block or name in BREAKS
        said = text[behind : found.start()]
        pieces += [said if depth else _plain(said, broken=broken, breaks=breaks), found[0]]
        if block and found[1]:
            closing[name] -= 1
            depth -= inside[name] > 0
            inside[name] -= inside[name] > 0
        elif block and closing[name] > inside[name]:
            depth += 1
            inside[name] += 1
        behind, broken = found.end(), breaks
    said = text[behind:]
    return "".join((*pieces, said if depth else _plain(said, broken=broken, breaks=True)))


def _plain(said: str, *, broken: bool, breaks: bool) -> str:
    """Plain text between two tags, with its line ends as breaks.

    Args:
        said: the text.
        broken: whether the tag before it breaks the line.
        breaks: whether the tag after it does.
    """
    if _LINE_END.search(said) is None or said.lstrip().startswith("<!"):
        return said
    start = len(said) - len(said.lstrip()) if broken else 0
    end = max(len(said.rstrip("\r\n")) if breaks else len(said), start)
    return _LINE_END.sub("<br>", said[start:end])


def _known_only(found: re.Match[str]) -> str:
    """A tag that HTML does not have is text: a type parameter, a placeholder, an element of XML."""
    return found[0] if found[3] or found[2].lower() in KNOWN else found[0].replace("<", "&lt;")


class _Reader:
    """Collects what the parser reports; the parser calls its methods."""

    def __init__(self, named: Named) -> None:
        self._named = named
        self._open: list[tuple[str, bool, Part | None]] = []
        self._silent = 0
        self._preformatted = 0
        self._parts: list[Part | None] = [None]
        self._lines: list[Line] = []
        self._words: list[str] = []
        self._held_open = False  # by a blank that does not break: the empty line of an office program

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if len(self._open) >= DEEPEST:
            raise _TooDeep
        silent = tag in SILENT or _HIDDEN.search(attributes.get("style", "")) is not None
        part = self._part_of(tag, attributes)
        if tag in BREAKS:
            self._break()
        elif tag in BLOCKS:
            self._separate("div" if attributes.get("class", "").lower().startswith("mso") else tag)
        elif tag in CELLS:
            self._words.append(" ")
        self._open.append((tag, silent, part))
        self._silent += silent
        self._preformatted += tag == "pre"
        if part is not None:
            self._separate(tag)
            self._parts.append(part)

    def end(self, tag: str) -> None:
        """The last element that began ends."""
        if not self._open:
            return
        name, silent, part = self._open.pop()
        if tag in BLOCKS or part is not None:
            self._separate("div")  # the next one is separated if needed
        self._silent -= silent
        self._preformatted -= name == "pre"
        if part is not None:
            self._parts.pop()

    def data(self, text: str) -> None:
        """Text of the element."""
        if self._silent:
            return
        if not self._preformatted:
            self._held_open = self._held_open or "\u00a0" in text
            self._words.append(_SPACES.sub(" ", text))
            return
        first, *others = text.split("\n")
        self._words.append(first)
        for other in others:
            self._break()
            self._words.append(other)

    def comment(self, text: str) -> None:
        """Comments are dropped."""

    def close(self) -> None:
        """The text ends."""
        self._break()

    def finished(self) -> list[Line]:
        """The lines, with no more than one empty one between two others."""
        lines: list[Line] = []
        for line in self._lines:
            if line.text or (lines and lines[-1].text):
                lines.append(line)
        while lines and not lines[-1].text:
            lines.pop()
        return lines

    def _break(self) -> None:
        said = _SPACES.sub(" ", "".join(self._words)).lstrip()
        self._words.clear()
        self._held_open = False
        self._lines.append(Line(said if said == DASHES else said.rstrip(), self._parts[-1]))

    def _separate(self, tag: str) -> None:
        """End the line at the begin or end of a block; paragraphs are separated by an empty line."""
        if any(word.strip() for word in self._words) or self._held_open:
            self._break()
        self._words.clear()
        if tag in _PARAGRAPHS:
            self._lines.append(Line("", self._parts[-1]))

    def _part_of(self, tag: str, attributes: dict[str, str]) -> Part | None:
        if not attributes:
            return None
        if tag == "blockquote" and attributes.get("type", "").lower() == "cite":
            return "quotes"
        names = f"{attributes.get('class', '')} {attributes.get('id', '')} {attributes.get('data-smartmail', '')}"
        for name in names.lower().split():
            plain = name.removeprefix("x_").rstrip("0123456789").rstrip("_-")
            if plain in self._named.quotes or name in self._named.quotes:
                return "quotes"
            if plain in self._named.signatures or name in self._named.signatures:
                return "signatures"
        return None
