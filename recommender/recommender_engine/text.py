"""The canonical form of a text, and the fingerprint by which exact repeats are known."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from recommender_engine.items import limits
from recommender_engine.items.marks import legible

# Characters that carry no meaning for comparison: format characters (zero-width, bidi marks, soft hyphen, BOM) but not
# the two joiners that change how Indic scripts and emoji read; control characters other than white space.
_JOINERS = "\u200c\u200d"
_SPACES = re.compile(r"\s+")
MOST_COMPOSED = limits.MAX_TEXT_BYTES
"""Characters of the composed form that are compared. A ligature of three bytes can stand for eighteen characters."""

_RUN_OF_JOINERS = re.compile(f"[{_JOINERS}]+")


def clean(text: str) -> str:
    """What is embedded: compatibility-composed (NFKC), invisible characters gone, white space single.

    Case is kept, since some models read it. A composed form is truncated at `MOST_COMPOSED`. Empty when nothing
    visible is left.
    """
    if text.isascii():  # composed, and nothing in it joins
        return _SPACES.sub(" ", text.translate(_ASCII_CONTROLS)).strip()
    composed = unicodedata.normalize("NFKC", legible(text))[:MOST_COMPOSED]
    invisible = {ord(c): None for c in set(composed) if _is_invisible(c)}
    visible = composed.translate(invisible) if invisible else composed
    joined = _RUN_OF_JOINERS.sub(_joining, visible)
    # What stood apart may compose now.
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", legible(joined))).strip()


_INVISIBLE = frozenset({"Cf", "Cc", "Cs"})


def _is_invisible(character: str) -> bool:
    return character not in _JOINERS and not character.isspace() and unicodedata.category(character) in _INVISIBLE


def _joining(run: re.Match[str]) -> str:
    """A whole run of joiners as it stays: beside white space, ASCII or an edge it joins nothing.

    A pattern that looks at both sides would start anew at each joiner of a run: its time goes by the square.
    """
    text, start, end = run.string, *run.span()
    letters = (start > 0 and _is_letter(text[start - 1])) and (end < len(text) and _is_letter(text[end]))
    return run[0] if letters else ""


def _is_letter(character: str) -> bool:
    return not character.isascii() and not character.isspace()


_ASCII_CONTROLS = {
    code: None for code in range(128) if unicodedata.category(chr(code)) == "Cc" and not chr(code).isspace()
}


def fingerprint(cleaned: str) -> bytes:
    """SHA-256 of a cleaned text with case folded: equal for texts that differ in nothing a reader would call a word."""
    # Folding can take a text out of the composed form, so compose again.
    folded = unicodedata.normalize("NFKC", cleaned.casefold())
    return hashlib.sha256(folded.encode()).digest()
