"""The canonical form of a text, and the fingerprint by which exact repeats are known."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from recommender.items.marks import legible

# Characters that carry no meaning for comparison: format characters (zero-width, bidi marks, soft hyphen, BOM) but not
# the two joiners that change how Indic scripts and emoji read; control characters other than white space.
_JOINERS = "\u200c\u200d"
_SPACES = re.compile(r"\s+")
_LETTERLESS_JOINERS = re.compile(f"(?<![^\\s\\x00-\\x7f])[{_JOINERS}]+|[{_JOINERS}]+(?![^\\s\\x00-\\x7f])")


def clean(text: str) -> str:
    """What is embedded: compatibility-composed (NFKC), invisible characters gone, white space single.

    Case is kept, since some models read it. Returns an empty string when nothing visible is left.
    """
    if text.isascii():  # composed, and nothing in it joins
        return _SPACES.sub(" ", text.translate(_ASCII_CONTROLS)).strip()
    composed = unicodedata.normalize("NFKC", legible(text))
    visible = "".join(c for c in composed if c in _JOINERS or c.isspace() or unicodedata.category(c) not in _INVISIBLE)
    # Joiners beside white space, ASCII or an edge join nothing.
    joined = _LETTERLESS_JOINERS.sub("", visible)
    # What stood apart may compose now.
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", legible(joined))).strip()


_INVISIBLE = frozenset({"Cf", "Cc", "Cs"})
_ASCII_CONTROLS = {
    code: None for code in range(128) if unicodedata.category(chr(code)) == "Cc" and not chr(code).isspace()
}


def fingerprint(cleaned: str) -> bytes:
    """SHA-256 of a cleaned text with case folded: equal for texts that differ in nothing a reader would call a word."""
    # Folding can take a text out of the composed form, so compose again.
    folded = unicodedata.normalize("NFKC", cleaned.casefold())
    return hashlib.sha256(folded.encode()).digest()
