"""Which encoding the text of a file has: by its mark, by its zeros, by being UTF-8, or guessed.

A file is looked at from its beginning to its end, for letters outside ASCII may come late. What is guessed, is guessed
from the lines that are not UTF-8, so that a file that mixes UTF-8 with something older is read line by line.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass
from typing import Protocol

import chardet

from recommender_engine.errors import ConfigurationError

HEAD_BYTES = 256 * 1024
_CHUNK_BYTES = 1024 * 1024
_SAMPLE_BYTES = 64 * 1024
_ENOUGH_LINES = 10_000
_WRONG_SHARE = 0.1
"""A named encoding that fails for more of the lines than this is refused."""

_LINES_READ_TWICE = 200
_FEWEST_EBCDIC_BYTES = 16
_FEWEST_READ_TWICE = 2

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# How likely each is among the files that spreadsheets, shops and databases export; what is rare has to fit better.
_LIKELY = {
    "cp1252": 1.0,
    "cp932": 0.9,
    "cp949": 0.9,
    "gb18030": 0.9,
    "big5hkscs": 0.85,
    "cp1250": 0.8,
    "cp1251": 0.8,
    "iso8859-2": 0.75,
    "euc_jis_2004": 0.7,
    "cp1253": 0.6,
    "cp1254": 0.6,
    "cp1255": 0.6,
    "cp1256": 0.6,
    "mac-roman": 0.6,
    "cp850": 0.5,
    "cp866": 0.5,
    "koi8-r": 0.5,
    "koi8-u": 0.45,
    "cp437": 0.45,
    "cp852": 0.45,
    "cp1257": 0.4,
    "cp874": 0.4,
    "iso8859-7": 0.4,
    "iso8859-15": 0.4,
}
_SEVERAL_BYTES = frozenset({"cp932", "cp949", "gb18030", "big5hkscs", "euc_jis_2004"})
_SURE = 2.0
"""A guess is certain when it fits this many times better than the next with another text."""

_FEW = 6
_INSIDE_WORDS = "\u2019\u00b7\u00ad"
_BEHIND_WORDS = (
    "\u00b0\u00b2\u00b3\u00ae\u2122\u00a9\u2026\u00a7\u2013\u2014\u2030\u20ac\u00a3\u2019\u201d\u201c\u00bb\u00b7"
)
_NEVER_BEFORE_WORDS = "\u00b1\u00b6\u00bc\u00be\u00b9\u00b3\u00a6\u00b7"
_FOREIGN_WORD = re.compile(r"[^\W\d_\u0000-\u024f]{2}")


class Bytes(Protocol):
    """Unzipped bytes."""

    def read(self, size: int, /) -> bytes:
        """The next ones."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Statistics of the bytes of a file.

    Attributes:
        head: the first of them.
        utf8: lines that hold more than ASCII, and are UTF-8.
        other: lines that are not UTF-8.
        sample: of those.
    """

    head: bytes
    utf8: int
    other: int
    sample: bytes


@dataclass(frozen=True, slots=True)
class TextEncoding:
    """How bytes become text.

    Attributes:
        name: the codec for all lines.
        other: the codec for lines that ``name`` cannot read.
        written: the codec for a file that is written alike.
        mark: the byte order mark at the beginning.
        guessed: whether another encoding fits nearly as well.
        doubt: evidence against the named encoding, or against the decoded text.
    """

    name: str = "utf-8"
    other: str | None = None
    written: str = "utf-8"
    mark: bytes = b""
    guessed: bool = False
    doubt: str | None = None


def survey(stream: Bytes) -> Survey:
    """Read the bytes to their end, or until there is enough to go by."""
    head = stream.read(HEAD_BYTES)
    if _by_mark(head) or _by_zeros(head):
        return Survey(head, 0, 0, b"")
    utf8 = other = 0
    sample = bytearray()
    data = head
    while data:
        following = stream.read(_CHUNK_BYTES)
        cut = (data.rfind(b"\n") + 1 or len(data) - _torn(data)) if following else len(data)
        if not data[:cut].isascii():
            good, bad = _sorted_lines(data[:cut])
            utf8, other = utf8 + good, other + len(bad)
            for line in bad:
                sample += line[: _SAMPLE_BYTES - len(sample)]
        if len(sample) >= _SAMPLE_BYTES and utf8 + other >= _ENOUGH_LINES:
            break
        data = data[cut:] + following
    return Survey(head, utf8, other, bytes(sample))


def find_encoding(found: Survey, named: str | None, name: str) -> TextEncoding:
    """The encoding of a file.

    Args:
        found: its survey.
        named: the encoding that was named.
        name: of the file, for errors.

    Raises:
        ConfigurationError: there is no such encoding, or the file plainly has another one.
    """
    mark, marked = _by_mark(found.head) or (b"", None)
    if named is not None:
        return _checked(found, _known(named), mark, marked, name)
    if marked is not None:
        return TextEncoding(marked, None, marked, mark, doubt=_said_twice(found.head.removeprefix(mark)))
    if (wide := _by_zeros(found.head)) is not None:
        return TextEncoding(wide, None, wide)
    if not found.other:
        return TextEncoding(doubt=_said_twice(found.head))
    if _is_ebcdic(found.head):
        raise ConfigurationError(
            f"{name} seems to be in EBCDIC, as mainframes write it: --encoding cp037, cp273 or cp500 reads it"
        )
    guess, sure = guess_encoding(found.sample)
    if guess in _SEVERAL_BYTES and found.utf8 < found.other:
        return TextEncoding(guess, None, guess, guessed=not sure)
    # Text of one byte per letter is never UTF-8 by chance: what is, is.
    return TextEncoding("utf-8", guess, "utf-8" if found.utf8 else guess, guessed=not sure)


def _said_twice(head: bytes) -> str | None:
    """Whether letters look as if UTF-8 had been read as cp1252 and saved as UTF-8: nearly each line makes sense so."""
    lines = [line for line in head.decode("utf-8", "ignore").splitlines() if not line.isascii()][:_LINES_READ_TWICE]
    twice = sum(_was_utf8(line) for line in lines)
    if twice < _FEWEST_READ_TWICE or twice < (1 - _WRONG_SHARE) * len(lines):
        return None
    return "but its letters seem to have been read as cp1252 before it was saved: export it anew"


def _was_utf8(line: str) -> bool:
    for name in ("cp1252", "latin-1"):
        try:
            return line.encode(name).decode("utf-8") != line
        except UnicodeError:
            continue
    return False


def _is_ebcdic(head: bytes) -> bool:
    """Whether there are no blanks and line ends, and nearly all is letters, digits and blanks once read as EBCDIC."""
    if len(head) < _FEWEST_EBCDIC_BYTES or b" " in head or b"\n" in head:
        return False
    text = head.decode("cp037")
    usual = sum(char.isascii() and (char.isalnum() or char in " ,;.\n\r\t") for char in text)
    return usual >= (1 - _WRONG_SHARE) * len(text)


def guess_encoding(sample: bytes) -> tuple[str, bool]:
    """The encoding that fits best to lines that are not UTF-8, and whether it is sure."""
    scores: dict[str, tuple[float, str]] = {}
    found = chardet.detect_all(sample, ignore_threshold=True, include_encodings=list(_LIKELY), compat_names=False)
    best = max((one["confidence"] for one in found), default=0.0) or 1.0
    for one in found:
        name = one["encoding"]
        try:
            text = sample.decode(name or "ascii")
        except UnicodeDecodeError:
            continue
        letters = sum(not char.isascii() for char in text) or 1
        fits = (1 - min(1.0, _oddities(text) / letters)) ** 2
        if name in _SEVERAL_BYTES:
            fits *= min(1.0, letters / _FEW)  # a word of another language makes two or three such characters by chance
        scores[name or "ascii"] = ((one["confidence"] / best) ** 1.5 * _LIKELY.get(name or "", 0.1) * fits, text)
    if not scores:
        return "cp1252", False
    name = max(scores, key=lambda key: scores[key][0])
    score, text = scores[name]
    rival = max((other for other, different in scores.values() if different != text), default=0.0)
    return name, score >= _SURE * rival


def _by_mark(head: bytes) -> tuple[bytes, str] | None:
    return next(((mark, name) for mark, name in _MARKS if head.startswith(mark)), None)


def _by_zeros(head: bytes) -> str | None:
    """UTF-16 and UTF-32 without a mark: line ends, digits and delimiters have their zeros at the same places."""
    zeros = head.count(0)
    if zeros < 2 or zeros * 50 < len(head):
        return None
    for name, width, at in (("utf-32-le", 4, 0), ("utf-32-be", 4, 3), ("utf-16-le", 2, 0), ("utf-16-be", 2, 1)):
        ascii_at = head[at::width]
        zeros_at = [head[place::width].count(0) for place in range(width) if place != at]
        if ascii_at.count(0) * 20 <= min(zeros_at) and min(zeros_at) * width * 20 >= len(head) and _decodes(head, name):
            return name
    return None


def _decodes(head: bytes, name: str) -> bool:
    try:
        text = codecs.getincrementaldecoder(name)().decode(head)
    except UnicodeDecodeError:
        return False
    if "\0" in text.rstrip("\0"):
        return False
    # UTF-8 with a zero here and there has its line ends at any place.
    return "\r" in text or text.count("\n") * 10 > 9 * head.count(b"\n") > 0


def _torn(data: bytes) -> int:
    """How many bytes at the end belong to a character that is not whole."""
    for back in range(1, min(4, len(data)) + 1):
        if data[-back] >= 0xC0:
            return back
        if data[-back] < 0x80:
            break
    return 0


def _sorted_lines(data: bytes) -> tuple[int, list[bytes]]:
    """How many lines are UTF-8 beyond ASCII, and those that are not UTF-8."""
    lines = [line for line in re.split(rb"[\r\n]+", data) if not line.isascii()]
    try:
        data.decode()
    except UnicodeDecodeError:
        bad = [line for line in lines if not _is_utf8(line)]
        return len(lines) - len(bad), [line + b"\n" for line in bad]
    return len(lines), []


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _known(named: str) -> str:
    try:
        codec = codecs.lookup(named.strip())
        "a".encode(codec.name)  # codecs such as base64 and rot13 turn text into something else
    except (LookupError, ValueError):
        raise ConfigurationError(
            f"unknown encoding {named!r}; known are utf-8, utf-16, cp1252, iso8859-2, shift_jis, gb18030 and the "
            "others that Python has"
        ) from None
    return "utf-8" if codec.name == "utf-8-sig" else codec.name


def _checked(found: Survey, named: str, mark: bytes, marked: str | None, name: str) -> TextEncoding:
    """The named encoding, if the file does not speak against it."""
    if marked is not None:
        if not marked.startswith(named):
            raise ConfigurationError(
                f"{name} is not {named}: it begins with the mark of {marked}; leave out --encoding"
            )
        return TextEncoding(marked, None, marked, mark)
    wide = _by_zeros(found.head)
    if named.startswith(("utf-16", "utf-32")):
        if wide is None or not wide.startswith(named):
            seems = wide or ("utf-8" if not found.other else guess_encoding(found.sample)[0])
            raise ConfigurationError(f"{name} is not {named}, it seems to be {seems}; leave out --encoding")
        return TextEncoding(wide, None, wide)
    if wide is not None:
        raise ConfigurationError(f"{name} is not {named}, it seems to be {wide}; leave out --encoding")
    if named in ("utf-8", "ascii"):
        _check_utf8(found, named, name)
        return TextEncoding(named, None, named)
    wrong = [line for line in found.sample.splitlines() if "�" in line.decode(named, "replace")]
    if len(wrong) > _WRONG_SHARE * (1 + found.sample.count(b"\n")):
        raise ConfigurationError(
            f"{name} is not {named}: there are bytes in it that mean nothing; leave out --encoding"
        )
    doubt = "though all of it is UTF-8" if found.utf8 and not found.other else None
    return TextEncoding(named, None, named, doubt=doubt)


def _check_utf8(found: Survey, named: str, name: str) -> None:
    wrong = found.other + (found.utf8 if named == "ascii" else 0)
    if wrong > _WRONG_SHARE * (found.utf8 + found.other):
        seems = guess_encoding(found.sample)[0] if found.other else "utf-8"
        raise ConfigurationError(f"{name} is not {named}, it seems to be {seems}; leave out --encoding")


def _oddities(text: str) -> float:
    """How many characters outside ASCII stand in unlikely positions."""
    padded = f" {text} "
    alone = 0 if _FOREIGN_WORD.search(text) else sum(char.isalpha() and char > "\u024f" for char in text)
    if alone:  # letters of another script, and not one word of it
        return float(alone)
    return sum(
        _oddity(before, char, after)
        for before, char, after in zip(padded, text, padded[2:], strict=False)
        if not char.isascii()
    )


def _oddity(before: str, char: str, after: str) -> float:
    kind = unicodedata.category(char)
    if kind[0] == "C":
        return 2.0
    if kind[0] == "L":
        capital_inside = char.isupper() and before.isalpha() and (before.islower() or after.islower())
        mixed = any(other.isalpha() and _script(other) != _script(char) for other in (before, after))
        return float(capital_inside or mixed or (char in "ªº" and before.isalpha()))
    if before.isalpha() and after.isalpha() and char not in _INSIDE_WORDS:
        return 1.0
    inside = (before.isalpha() and char not in _BEHIND_WORDS) or (after.isalpha() and char in _NEVER_BEFORE_WORDS)
    return 0.7 * (inside or "\u2500" <= char <= "\u259f")  # frames of old terminals


def _script(char: str) -> str:
    return unicodedata.name(char, "?").partition(" ")[0]
