"""Processor time of one message: texts that are expensive for patterns and normal forms.

``python -m tests.support.costs [SECONDS] [SEED]`` makes such texts at random and fails on one that costs more than
`MOST_S` at the largest size, or much more than twice what half of it costs.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from contextlib import closing

import click

from recommender_engine.items import Entry, limits
from recommender_engine.matching import LearnedMatcher
from tests.support.engine import Log, opened

MOST_S = 0.25
"""Of processor time, on a quiet machine."""
MOST_DOUBLED = 2.5
_WORTH_COMPARING_S = 0.03
_NEAR = 6  # items that say nearly the same are stored already
_OTHERS = 60  # items that say something else: what the near ones share is rare then
_SIZE = limits.MAX_TEXT_BYTES - 200

UNITS = [
    *("\u200d", "\u200c", "a\u200d", "\u0301", "a\u0301", "\u0344", "\u0f73", "\u0f75", "\uff9e", "\u1e9b\u0323"),
    *("\ufdfa", "\ufb03", "\u00df", "\u0130", "\u2126", "\u0958", "\uac00", "\u1100\u1161", "\u0e33", "\u00bd"),
    *("1x 1", "1x ", "1 x 1 ", "1x1", "1\u00d7", "1*1 ", "1.", "1,", "1.1,", "1-", "1:", "1/2 ", "1e9", "20-30 "),
    *("2 gb ", "3in ", "5'\"", "1 -", "12:00 ", "2025-01-01 ", "1,250.00 ", "٣", "१", "9", "0"),
    *("A-", "a-1 ", "-", "_", "@", "a@b.", "a.b.c.", "http://a.b/", "a+b+", "ab12 ", "ERR-1 ", "DSC - W120 "),
    *(
        "a ",
        "aa bb ",
        "red ",
        "two ",
        "x",
        "aA",
        "家",
        "ไทย",
        "\U0001f469\u200d\U0001f469",
        "<b>",
        "&amp;",
        "[[",
        "((",
        '"',
    ),
    *("\u2167", "\uff19", "\uff19 ", "\u3392", "1\u338f ", "9-", "99 "),
    *("<p>", "<div>", "<br>", "</p>", "<a ", "<!--", "&#60;", ">\n", "> a b c\n", "--\n", "\n", "Regards,\n", "Re: "),
    *("From: a\n", "Sent: b\nTo: c\nSubject: d\n", "On 1:00 a@b wrote:\n", "in error confidential delete\n\n"),
    *("\t", "\r\n", "\u00a0", "\u2028", "\u00ad", "\u200b", "€", "=", "\\"),
]
_HEADS = ("", "a", "1", " ", "x ")
_TAILS = ("", "z", " z", "1", "\u200d", "9z")


NUMBERS: dict[str, Callable[[int], str]] = {
    "in digits": str,
    "in letters": lambda number: "".join(chr(97 + number // 26**place % 26) for place in range(3)),
}
"""How repetitions are numbered."""


def repeated(unit: str, size: int, head: str = "", tail: str = "", *, numbered: str = "") -> str:
    """A text of about the given number of bytes; ``numbered``, one of `NUMBERS`, makes each repetition another word."""
    length = len(unit.encode())
    if not numbered:
        return head + unit * max(1, size // length) + tail
    number = NUMBERS[numbered]
    return head + "".join(f"{unit}{number(place)} " for place in range(max(1, size // (length + 6)))) + tail


def cost_s(text: str, *, fields: bool = False, tries: int = 2) -> float:
    """Processor time of one item with this text among near duplicates; the least of several attempts."""
    log = Log()

    def item(id_: str, ending: str) -> Entry:
        said = text + ending
        if not fields:
            return log.add("item.upsert", json.dumps({"id": id_, "text": said}, ensure_ascii=False).encode())
        part = len(said) // 4 + 1
        named = {f"f{number}": said[number * part : (number + 1) * part] or "x" for number in range(4)}
        return log.add("item.upsert", json.dumps({"id": id_, "fields": named}, ensure_ascii=False).encode())

    with closing(opened(matcher=LearnedMatcher)) as engine:
        engine.process([log.upsert(f"other{number}", f"something else {number}") for number in range(_OTHERS)])
        engine.process([item(f"near{number}", f" w{number} common") for number in range(_NEAR)])
        costs = []
        for number in range(tries):
            started = time.process_time()
            engine.process([item(f"i{number}", f" last{number}")])
            costs.append(time.process_time() - started)
        return min(costs)


def main() -> int:
    """Fuzz for a number of seconds."""
    seconds, seed = (*map(int, sys.argv[1:]), *(300, 0)[len(sys.argv) - 1 :])
    until, found, texts = time.monotonic() + seconds, 0, 0
    while time.monotonic() < until:
        rng = random.Random(seed + texts)
        unit = "".join(rng.choices(UNITS, k=rng.choice([1, 1, 1, 2, 2, 3])))
        around = rng.choice(_HEADS), rng.choice(_TAILS)
        numbered, fields = rng.choice(["", "", "", *NUMBERS]), rng.random() < 0.35
        whole = cost_s(repeated(unit, _SIZE, *around, numbered=numbered), fields=fields)
        half = cost_s(repeated(unit, _SIZE // 2, *around, numbered=numbered), fields=fields)
        texts += 1
        if max(half, whole) > MOST_S or whole > max(MOST_DOUBLED * half, _WORTH_COMPARING_S):
            found += 1
            kind = f"{unit!r} {around} numbered {numbered or 'nowhere'}, fields={fields}"
            click.echo(f"seed {seed + texts - 1}: {kind}: {half:.3f} s, {whole:.3f} s")
    click.echo(f"{texts} texts, {found} cost too much")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
