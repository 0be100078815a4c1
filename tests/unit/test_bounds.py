"""What a text or a message may cost: bounded by its size, whatever stands in it. Counted, not timed."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender_engine.items import EntryId, RejectedCommand, commands, decode_entry, limits
from recommender_engine.items.marks import MOST_MARKS, legible
from recommender_engine.matching.pair.agreement import identifiers
from recommender_engine.matching.text import terms
from recommender_engine.text import MOST_COMPOSED, clean, fingerprint
from tests.support import costs
from tests.support.engine import Log, data_of, opened
from tests.support.ratios import times_as_long

PLACE = EntryId(1_700_000_000_000, 0)
MARKS = "\u0316\u0301\u0327\u0338"  # of different classes, so that normalising has to put them in order


def longest_run(text: str) -> int:
    """Most marks on one letter."""
    longest = run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        longest = max(longest, run)
    return longest


@pytest.fixture
def normalised(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """For each text that is normalised, the most marks on one letter: the time goes by its square."""
    runs: list[int] = []
    original = unicodedata.normalize

    def counted(form: Any, text: str) -> str:
        runs.append(longest_run(text))
        return original(form, text)

    monkeypatch.setattr(unicodedata, "normalize", counted)
    return runs


@pytest.mark.parametrize(
    "text",
    ["a" + MARKS * 12_000, "a" + "\u0301" * 48_000, "word " + MARKS * 11_000 + " word", ("\u200b" + MARKS * 5) * 2_000],
    ids=["in no order", "of one kind", "between words", "between invisible characters"],
)
def test_no_letter_is_normalised_with_thousands_of_marks(normalised: list[int], text: str) -> None:
    cleaned = clean(text)
    fingerprint(cleaned)
    terms.terms_of(text)
    assert len(normalised) >= 4
    assert max(normalised) <= MOST_MARKS
    assert clean(cleaned) == cleaned


def test_a_dead_letter_can_carry_any_content() -> None:
    assert legible("e\u0301" + MARKS * 7) == "e\u0301" + MARKS * 7
    assert legible("plain") == "plain"
    assert legible("e" + "\u0301" * 40 + "x\u0301") == "e" + "\u0301" * 30 + "x\u0301"


@pytest.mark.parametrize("size", [limits.MAX_MESSAGE_BYTES + 1, 10 * 1024 * 1024])
def test_what_is_too_large_is_not_parsed(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(commands.json, "loads", lambda *_, **__: pytest.fail("it is parsed"))
    entry = decode_entry(PLACE, "item.upsert", b'{"id":"a","text":"' + b"x" * size + b'"}')
    assert isinstance(entry.command, RejectedCommand)
    assert entry.command.error.code == "too_large"
    assert len(entry.command.payload) == limits.MAX_MESSAGE_BYTES


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"id":"a","attributes":{"b":['])
def test_what_is_too_deep_is_not_walked_through(opening: bytes) -> None:
    entry = decode_entry(PLACE, "item.upsert", opening * (limits.MAX_MESSAGE_BYTES // len(opening)))
    assert isinstance(entry.command, RejectedCommand)
    assert entry.command.error.code == "too_deep"


@pytest.mark.parametrize(
    "text",
    ["x" * 96_000, "1." * 48_000, "A-" * 48_000, "\ufdfa" * 32_000, "a" + MARKS * 11_900, "\U0001f469\u200d" * 13_000],
    ids=["no space", "digits and points", "capitals and hyphens", "ligatures", "marks", "joiners"],
)
def test_a_text_of_the_largest_size_is_decided_like_any_other(text: str) -> None:
    log, engine = Log(), opened()
    said = json.dumps({"id": "odd", "text": text}, ensure_ascii=False).encode()
    outcome, *_ = engine.process([log.add("item.upsert", said), log.upsert("good", "goes on")])
    assert data_of(outcome)["band"] == "new"
    engine.close()


# In each of these something once took time by the square of the text.
HOSTILE = {
    "joiners between letters": ("\u200d", "家", "家"),
    "joiners without a letter": ("\u200c", "a ", " a"),
    "products that end in a letter": ("1x ", "", "1z"),
    "products after products": ("1x 1x ", "1 x 1 x ", "1z"),
    "marks once they are decomposed": ("\u0f73", "x ", ""),
    "voiced marks of half width": ("\uff9e", "x ", ""),
    "ligatures": ("\ufdfa", "", ""),
    "digits and points": ("1.", "", "z"),
    "signs and letters": ("a-", "", ""),
    "measures": ("5'\"", "", "z"),
    "tags in each other": ("<div>", "", ""),
    "tags that close others": ("</b>", "<div>" * 350, ""),
    "paragraphs of marked-up text": ("<p>x", "<html><body>", ""),
    "comments without an end": ("<!--", "<p>x</p>", ""),
    "tags without an end": ("<a ", "<p>x</p>", ""),
    "attributes": ("x=1 ", "<p ", ">x</p>"),
    "entities": ("&#60;", "", ""),
    "empty quotations": (">\n", "", "x"),
    "quotations of one line": ("> a b c\nd\n", "", ""),
    "lines of nothing": ("\n", "a", "x"),
    "signs for signatures": ("--\n", "a b c\n", ""),
    "closings of letters": ("Regards,\n", "a b c\n", ""),
    "heads of mails": ("From: a\nSent: b\nTo: c\nSubject: d\n", "", ""),
    "half a head of a mail": ("From: a\n", "a b c\n", ""),
    "prefixes of subjects": ("Re: ", "", "x"),
    "lines that say who wrote": ("On 1:00 a@b wrote:\n", "a b c\n", ""),
    "small print": ("confidential in error delete this\n\n", "a b c\n\n", ""),
}


ORDINARY = costs.repeated("the export button does nothing ", limits.MAX_TEXT_BYTES - 200, numbered="in digits")


def assert_costs(most: float, text: str, *, fields: bool = False) -> None:
    """At most so many times what an ordinary text of the largest size costs, in one of a few pairs of measurements."""
    ratios = (costs.cost_s(text, fields=fields) / costs.cost_s(ORDINARY) for _ in range(4))
    assert any(ratio <= most for ratio in ratios)


def test_words_that_few_others_have_cost_no_more() -> None:
    text = costs.repeated("", limits.MAX_TEXT_BYTES - 200, numbered="in letters")  # all of them are rare, and shared
    assert_costs(6, text)  # by the square it is twenty times as much


def test_lists_of_codes_of_which_half_agree_cost_no_more_than_sorting_them() -> None:
    chance = random.Random(1)
    shared, mine, theirs = ([f"{''.join(chance.choices('abcdefgh', k=4))}{n}" for n in range(1400)] for _ in range(3))
    one, other = (terms.terms_of(" ".join([*shared, *own])) for own in (mine, theirs))

    def sort() -> None:
        for one_side in (one, other):
            sorted(one_side.identifiers)

    assert times_as_long(lambda: identifiers(one, other), sort, 8) <= 8  # each searched for in all that agree: 40 times


@pytest.mark.parametrize("unit", ["9", "\uff19"], ids=["digits", "wide digits"])
@pytest.mark.parametrize("part", [1, 2, 4])
def test_fields_of_one_long_word_cost_no_more(unit: str, part: int) -> None:
    text = costs.repeated(unit, (limits.MAX_TEXT_BYTES - 200) // part)  # one field ends within what is read of the text
    assert_costs(3, text, fields=True)


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_text_costs_much_more_than_an_ordinary_one_of_its_size(kind: str) -> None:
    unit, head, tail = HOSTILE[kind]
    text = costs.repeated(unit, limits.MAX_TEXT_BYTES - 200, head, tail)
    assert_costs(8, text)  # by the square it is 50 times as much and more


def test_a_composed_form_has_a_bound() -> None:
    assert len(clean("\ufdfa" * 32_000)) <= MOST_COMPOSED
    assert clean(clean("\ufdfa" * 32_000)) == clean("\ufdfa" * 32_000)


@given(st.text(alphabet="12x* .,\u00d7z", max_size=24))
def test_dimensions_are_those_that_a_search_from_each_place_finds(text: str) -> None:
    number = r"\d+(?:[.,]\d+)*"
    plain = re.compile(rf"(?<![\w.,]){number}(?: ?[x\u00d7*] ?{number})+(?!\w)")
    expected = {re.sub(r" ?[x\u00d7*] ?", "x", found[0]) for found in plain.finditer(text)}
    assert terms.terms_of(text).dimensions == expected


@given(st.text(alphabet="\u200c\u200d a\n\u0301éक家", max_size=16))
def test_joiners_stay_between_letters_that_are_not_ascii(text: str) -> None:
    joined = re.compile("(?<![^\\s\\x00-\\x7f])[\u200c\u200d]+|[\u200c\u200d]+(?![^\\s\\x00-\\x7f])")
    expected = joined.sub("", unicodedata.normalize("NFKC", text))
    assert clean(text) == re.sub(r"\s+", " ", unicodedata.normalize("NFKC", expected)).strip()
