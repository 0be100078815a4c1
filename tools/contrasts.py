"""Small changes to a text that make it another thing, and their counterparts that do not.

Each takes a text and a source of chance and gives the text and its copy, both perhaps with something added, or ``None``
where the text has nothing to change. The kinds are those of ``tests/quality/README.md``; no word list is taken from the
pairs there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

Edit = Callable[[str, np.random.Generator], tuple[str, str] | None]

CONDITIONS = (
    "refurbished", "used", "open box", "B-stock", "for parts", "box only", "damaged packaging", "renewed", "broken",
    "ex-demo", "pre-owned", "faulty", "second hand", "without charger", "gebraucht", "d'occasion", "usado", "usato",
)  # fmt: skip
ACCESSORIES = (
    "case", "cover", "charger", "spare part", "replacement filter", "battery", "bag", "stand", "cable", "manual",
    "remote control", "mounting kit", "strap", "adapter", "lid",
)  # fmt: skip
EDITIONS = (
    "Pro", "Plus", "Max", "Mini", "Lite", "Ultra", "Premium", "Deluxe", "SE", "XT", "Limited Edition", "Sport",
    "Advanced", "Professional", "Student Edition", "Anniversary Edition", "II",
)  # fmt: skip
SIZES = ("XS", "S", "M", "L", "XL", "XXL")
GROUPS = (
    ("men's", "women's"),
    ("small", "large"),
    ("kids", "adults"),
    ("salted", "unsalted"),
    ("sweet", "unsweetened"),
)
SYMBOLS = (
    ("C", "C++"), ("C++", "C#"), ("C#", "F#"), ("A+", "A-"), ("B+", "B-"), ("10 %", "10 €"), ("25 %", "25 $"),
    ("A+", "A+++"), ("5 m", "5 m²"), ("AA", "AAA"),
)  # fmt: skip
ANTONYMS = (
    ("open", "close"), ("on", "off"), ("in", "out"), ("up", "down"), ("left", "right"), ("front", "back"),
    ("enable", "disable"), ("increase", "decrease"), ("before", "after"), ("more", "less"), ("buy", "sell"),
    ("import", "export"), ("upload", "download"), ("lock", "unlock"), ("hot", "cold"), ("top", "bottom"),
    ("sent", "received"), ("with", "without"), ("add", "remove"), ("start", "stop"), ("deposit", "withdraw"),
    ("credit", "debit"), ("activate", "deactivate"), ("large", "small"), ("black", "white"), ("first", "last"),
)  # fmt: skip
PLACES = (
    "Oxford", "Kassel", "Lille", "Murcia", "Parma", "Zwolle", "Coimbra", "Gdansk", "warehouse A", "warehouse C",
    "account one", "account two", "server west", "server east", "EUR", "USD", "PDF", "Excel",
)  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
# One unit and another: what the first is multiplied with.
UNITS = (
    ("l", "ml", 1000.0), ("kg", "g", 1000.0), ("m", "cm", 100.0), ("cm", "mm", 10.0), ("cl", "ml", 10.0),
    ("inch", "cm", 2.54), ("ft", "m", 0.3048), ("lb", "kg", 0.453592), ("GB", "MB", 1000.0), ("kW", "W", 1000.0),
)  # fmt: skip
ADDITIONS = (
    " - free shipping", ", in stock", " (new)", " online", " best price", ", thanks in advance", ", please help",
    " - sent from my phone", " with free delivery",
)  # fmt: skip
MOST_TITLE_WORDS = 10
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|can|could|do|does|did|will|would|should|has|have|had)\b(?! not)", re.IGNORECASE
)
_NEGATED = re.compile(r"\b(is|are|was|were|could|do|does|did|would|should|has|have|had) not\b", re.IGNORECASE)
_CONTRACTED = re.compile(r"\b(is|are|was|were|could|do|does|did|would|should|has|have|had)n'?t\b", re.IGNORECASE)
_DIRECTED = re.compile(r"\b(from|out of) ([\w-]+) (to|into) ([\w-]+)\b", re.IGNORECASE)
_SMALL = re.compile(r"(?<![\w.,:/-])([2-9]|1[0-2])(?![\w.,:/%-])")


def _pick(choices: Sequence[str], draw: np.random.Generator) -> str:
    return choices[int(draw.integers(len(choices)))]


def _two(choices: Sequence[str], draw: np.random.Generator) -> tuple[str, str]:
    one, other = draw.choice(len(choices), 2, replace=False)
    return choices[int(one)], choices[int(other)]


def _either(pairs: Sequence[tuple[str, str]], draw: np.random.Generator) -> tuple[str, str]:
    one, other = pairs[int(draw.integers(len(pairs)))]
    return (one, other) if draw.random() < 0.5 else (other, one)


def _placed(text: str, said: str, draw: np.random.Generator) -> str:
    return f"{said} {text}" if draw.random() < 0.3 else f"{text} {said}"


def _both(text: str, form: str, one: object, other: object) -> tuple[str, str]:
    return f"{text} {form.format(one)}", f"{text} {form.format(other)}"


def _is_sentence(text: str) -> bool:
    """Whether it is no title of a thing."""
    return text.rstrip()[-1:] in {".", "?", "!"} or len(text.split()) > MOST_TITLE_WORDS


def condition(text: str, draw: np.random.Generator) -> tuple[str, str] | None:
    """One side is used, broken or incomplete."""
    if _is_sentence(text):
        return None
    return text, _placed(text, _pick(CONDITIONS, draw), draw)


def accessory(text: str, draw: np.random.Generator) -> tuple[str, str] | None:
    """One side is something for the thing."""
    if _is_sentence(text):
        return None
    part = _pick(ACCESSORIES, draw)
    return text, f"{part} for {text}" if draw.random() < 0.6 else f"{text} {part}"


def edition(text: str, draw: np.random.Generator) -> tuple[str, str] | None:
    """One side is a trim of its own."""
    if _is_sentence(text):
        return None
    return text, f"{text} {_pick(EDITIONS, draw)}"


def pack(text: str, draw: np.random.Generator) -> tuple[str, str] | None:
    """Several of it on one side."""
    if _is_sentence(text):
        return None
    count = int(draw.choice([2, 3, 4, 5, 6, 8, 10, 12, 20, 24, 50, 100]))
    return text, f"{text} {_pick(('pack of {0}', '{0} pieces', 'set of {0}', '{0}-pack', '{0} x'), draw).format(count)}"


def size(text: str, draw: np.random.Generator) -> tuple[str, str] | None:
    """Another size, or for others."""
    if _is_sentence(text):
        return None
    if draw.random() < 0.5:
        return _both(text, _pick(("size {}", "{}"), draw), *_two(SIZES, draw))
    return _both(text, "{}", *_either(GROUPS, draw))


def version(text: str, draw: np.random.Generator) -> tuple[str, str]:
    """Another version, also 3.1 and 3.10."""
    major, minor = int(draw.integers(1, 20)), int(draw.integers(1, 10))
    one = f"{major}.{minor}"
    other = f"{one}0" if draw.random() < 0.5 else f"{major}.{minor + int(draw.integers(1, 5))}"
    return _both(text, _pick(("v{}", "version {}", "{}"), draw), one, other)


def sign(text: str, draw: np.random.Generator) -> tuple[str, str]:
    """Plus and minus."""
    number = f"{int(draw.integers(1, 40))}{_pick(('', '.5', '.25', ' °C'), draw)}"
    return _both(text, "{}", *_either(((f"-{number}", f"+{number}"),), draw))


def symbol(text: str, draw: np.random.Generator) -> tuple[str, str]:
    """Names that differ in a sign."""
    return _both(text, "{}", *_either(SYMBOLS, draw))


def date(text: str, draw: np.random.Generator) -> tuple[str, str]:
    """Another day, time of day or ratio."""
    kind = int(draw.integers(4))
    if kind == 0:
        year, month, day = int(draw.integers(2019, 2027)), int(draw.integers(1, 12)), int(draw.integers(1, 27))
        later = (month + 1, day) if draw.random() < 0.5 else (month, day + 1)
        return _both(text, "on {}", f"{year}-{month:02d}-{day:02d}", f"{year}-{later[0]:02d}-{later[1]:02d}")
    if kind == 1:
        one, other = _two(MONTHS, draw)
        return _both(text, "{}", f"{int(draw.integers(1, 28))} {one}", f"{int(draw.integers(1, 28))} {other}")
    if kind == 2:
        hours = draw.choice(24, 2, replace=False)
        minute = f"{5 * int(draw.integers(12)):02d}"
        return _both(text, "at {}", f"{int(hours[0]):02d}:{minute}", f"{int(hours[1]):02d}:{minute}")
    return _both(text, "{}", *_two(("4:3", "16:9", "16:10", "21:9", "1:2", "1:4", "1:10", "1:43", "1:87"), draw))


def negation(text: str, draw: np.random.Generator) -> tuple[str, str] | None:
    """One side says that it is not so."""
    if _NEGATED.search(text):
        return text, _NEGATED.sub(r"\1", text, count=1)
    if not _AUXILIARY.search(text):
        return None
    return text, _AUXILIARY.sub(_pick((r"\1 not", r"\1 never", r"\1 no longer"), draw), text, count=1)


def antonym(text: str, draw: np.random.Generator) -> tuple[str, str] | None:
    """A word on one side is the opposite."""
    opposite = {one: other for pair in ANTONYMS for one, other in (pair, pair[::-1])}
    found = [match for match in re.finditer(r"[^\W\d_]+", text) if match[0].lower() in opposite]
    if not found:
        return None
    place = found[int(draw.integers(len(found)))]
    return text, text[: place.start()] + opposite[place[0].lower()] + text[place.end() :]


def direction(text: str, draw: np.random.Generator) -> tuple[str, str]:
    """From here to there, and back."""
    if _DIRECTED.search(text):
        return text, _DIRECTED.sub(r"\1 \4 \3 \2", text, count=1)
    one, other = _two(PLACES, draw)
    form = _pick(("from {} to {}", "{} → {}", "from {} into {}"), draw)
    return f"{text} {form.format(one, other)}", f"{text} {form.format(other, one)}"


def thousands(text: str, draw: np.random.Generator) -> tuple[str, str]:
    """A point that groups digits, and a number without them."""
    number = int(draw.integers(1, 60)) * 1000 + 50 * int(draw.integers(20))
    less = number / 1000 if draw.random() < 0.5 else number // 100
    return _both(text, _pick(("{} pieces", "{} EUR", "{}"), draw), f"{number:,}", f"{less:g}")


def measure(text: str, draw: np.random.Generator) -> tuple[str, str]:
    """Nearly the same measure, in one unit."""
    unit = _pick(("mm", "cm", "lm", "g", "ml", "W", "mAh"), draw)
    number = float(draw.integers(50, 400)) / 10 if unit in {"mm", "cm"} else float(draw.integers(100, 3000))
    step = 0.1 if unit in {"mm", "cm"} and draw.random() < 0.7 else max(1.0, round(number * 0.01))
    return _both(text, "{} " + unit, f"{number:g}", f"{number + step:g}")


def numeral(text: str, draw: np.random.Generator) -> tuple[str, str]:
    """Another number in words or in Roman numerals."""
    if draw.random() < 0.5:
        return _both(text, _pick(("part {}", "volume {}", "{}"), draw), *_two(ROMAN, draw))
    return _both(text, _pick(("for {} persons", "with {} shelves", "{} pieces"), draw), *_two(WORDS, draw))


def converted(text: str, draw: np.random.Generator) -> tuple[str, str]:
    """The same measure in another unit."""
    unit, other, factor = UNITS[int(draw.integers(len(UNITS)))]
    number = float(draw.choice([0.5, 0.75, 1, 1.5, 2, 2.5, 3, 5, 8, 10, 12, 20]))
    said = (f"{number:g} {unit}", f"{round(number * factor, 2):g} {other}")
    return _both(text, "{}", *_either((said,), draw))


def spelled(text: str, draw: np.random.Generator) -> tuple[str, str]:
    """The same number in words, in Roman numerals or with its thousands marked."""
    kind = int(draw.integers(4))
    if kind == 0 and (match := _SMALL.search(text)):
        return text, text[: match.start()] + WORDS[int(match[0]) - 1] + text[match.end() :]
    place = int(draw.integers(1, 12))
    if kind == 1:
        return _both(text, _pick(("part {}", "volume {}"), draw), ROMAN[place], place + 1)
    if kind == 2:
        number = int(draw.integers(20, 400)) * 50 + 1000
        return _both(text, "{} pieces", *_either(((f"{number:,}", f"{number}"),), draw))
    return _both(text, _pick(("{} pieces", "for {} persons"), draw), *_either(((WORDS[place], str(place + 1)),), draw))


def rewritten(text: str, draw: np.random.Generator) -> tuple[str, str]:
    """The same date, time, version or sign in another form."""
    kind = int(draw.integers(4))
    if kind == 0:
        year, month, day = int(draw.integers(2019, 2027)), int(draw.integers(12)), int(draw.integers(13, 28))
        return _both(text, "on {}", f"{year}-{month + 1:02d}-{day:02d}", f"{day} {MONTHS[month]} {year}")
    if kind == 1:
        number = f"{int(draw.integers(2, 20))}.{int(draw.integers(1, 10))}"
        return _both(text, "{}", f"v{number}", f"version {number}")
    if kind == 2:
        hour = int(draw.integers(1, 12))
        return _both(text, "at {}", f"{hour} am", f"{hour}:00 am")
    number = str(int(draw.integers(1, 40)))
    return _both(text, "{} degrees", f"-{number}", f"minus {number}")


def contracted(text: str, draw: np.random.Generator) -> tuple[str, str] | None:
    """The same negation, contracted or not."""
    if _NEGATED.search(text):
        return text, _NEGATED.sub(r"\1n't", text)
    return (text, _CONTRACTED.sub(r"\1 not", text)) if _CONTRACTED.search(text) else None


def added(text: str, draw: np.random.Generator) -> tuple[str, str]:
    """Something that shops and people add to anything."""
    return text, text + _pick(ADDITIONS, draw)


DIFFERENT: dict[str, Edit] = {
    one.__name__: one
    for one in (
        condition, accessory, edition, pack, size, version, sign, symbol, date, negation, antonym, direction, thousands,
        measure, numeral,
    )
}  # fmt: skip
SAME: dict[str, Edit] = {one.__name__: one for one in (converted, spelled, rewritten, contracted, added)}
