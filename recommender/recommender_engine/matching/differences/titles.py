"""Contradictions between titles: condition, accessories, editions, packs and sizes."""

from __future__ import annotations

from recommender_engine.matching.differences.pair import ReadingPair, agreement, has_kind, texts_of, words_of
from recommender_engine.matching.pair.agreement import Agreement
from recommender_engine.matching.text.reading import Reading
from recommender_engine.matching.text.tokens import Mark

_MOST_BESIDE = 4  # words that name the accessory
_REACH = 4


def _listed(pair: ReadingPair, kind: str, more: int) -> Agreement[str] | None:
    """Words of a list that only one title has."""
    if not pair.titles:
        return None
    mine, theirs = pair.marks(kind)
    here = [mark for mark in mine if mark.key not in {their.key for their in theirs}]
    there = [mark for mark in theirs if mark.key not in {mark.key for mark in mine}]
    if not (here or there) or not pair.shared:
        return None
    if not pair.alike(words_of(pair.one, here), words_of(pair.other, there), more):
        return None
    return agreement(texts_of(pair.one, here), texts_of(pair.other, there))


def condition(pair: ReadingPair) -> Agreement[str] | None:
    """Only one is used, broken, opened, or a box."""
    return _listed(pair, "condition", 2)


def edition(pair: ReadingPair) -> Agreement[str] | None:
    """Only one is a certain edition."""
    return _listed(pair, "editions", 1)


def accessory(pair: ReadingPair) -> Agreement[str] | None:
    """Only one is an accessory for the product, or a part of it."""
    if not pair.shared or min(len(pair.here), len(pair.there)) > pair.few:
        return None
    here, there = _accessories(pair.one, pair.here, pair), _accessories(pair.other, pair.there, pair)
    if bool(here) == bool(there):
        return None
    if len(pair.there if here else pair.here) > pair.few:
        return None
    return agreement(here, there)


def _accessories(reading: Reading, own: frozenset[str], pair: ReadingPair) -> list[str]:
    """The words for an accessory or part in one text: ``case for iPhone``, ``iPhone case``."""
    if not own or len(own) > _MOST_BESIDE + 2:
        return []
    other = pair.other if reading is pair.one else pair.one
    content = [index for index, token in enumerate(reading.tokens) if token in reading.content]
    found = _for_it(reading, other, own, pair, content)
    return found or (_named(reading, own, pair, content) if pair.titles and content else [])


def _for_it(reading: Reading, other: Reading, own: frozenset[str], pair: ReadingPair, content: list[int]) -> list[str]:
    """``case for iPhone``: few words before a word like "of", and the whole other text after it."""
    tokens, size = reading.tokens, len(other.tokens)
    start = len(tokens) - size - 1
    joins = {mark.start for kind in ("for", "from") for mark in pair.marked(reading, kind)}
    if pair.titles and start in joins and start <= _MOST_BESIDE and tokens[-size:] == other.tokens:
        return [" ".join(tokens[:start])]
    for mark in pair.marked(reading, "for"):
        before = [tokens[index] for index in content if index < mark.start]
        after = [tokens[index] for index in content if index >= mark.end]
        named = any(token.isalpha() for token in before) and tokens[mark.start] not in other.tokens
        if named and len(before) <= _MOST_BESIDE and own.issuperset(before):
            known = sum(token not in own for token in after)
            if known and 2 * known >= len(after):
                return [" ".join(before)]
    return []


def _named(reading: Reading, own: frozenset[str], pair: ReadingPair, content: list[int]) -> list[str]:
    """``iPhone case``: an accessory as the first or last word, or as the only difference, and no extra."""
    withs = [mark.end for mark in pair.marked(reading, "with")]
    for mark in reading.marks.get("accessories", ()):
        words = reading.tokens[mark.start : mark.end]
        if own.isdisjoint(words) or any(0 <= mark.start - end < _REACH for end in withs):
            continue
        alone = own.issubset(words) and not (pair.there if own is pair.here else pair.here)
        if mark.start == content[0] or mark.end - 1 == content[-1] or alone:
            return [" ".join(words)]
    return []


def pack(pair: ReadingPair) -> Agreement[str] | None:
    """Only one is a pack of several, or the numbers of pieces differ."""
    mine, theirs = (_unstated(reading, other) for reading, other in ((pair.one, pair.other), (pair.other, pair.one)))
    if not (mine or theirs) or not pair.titles or not pair.shared:
        return None
    here = {token for phrase in mine.values() for token in phrase} | words_of(pair.one, _near_packs(pair.one))
    there = {token for phrase in theirs.values() for token in phrase} | words_of(pair.other, _near_packs(pair.other))
    if not pair.alike(here, there, 1):
        return None
    return agreement([str(count) for count in mine], [str(count) for count in theirs])


def _near_packs(reading: Reading) -> list[Mark]:
    return [*reading.marks.get("packs", ()), *reading.marks.get("pieces", ())]


def _unstated(reading: Reading, other: Reading) -> dict[int, tuple[str, ...]]:
    stated = _stated(other)
    return {count: phrase for count, phrase in reading.packs.items() if count not in stated}


def _stated(reading: Reading) -> set[int]:
    return {int(amount) for value in reading.values for kind, amount in value.readings if kind in {"", "count"}}


def size(pair: ReadingPair) -> Agreement[str] | None:
    """Different sizes in letters or words."""
    mine, theirs = (list(marks) for marks in pair.marks("size"))
    units = [{value.position + 1 for value in reading.values if has_kind(value)} for reading in (pair.one, pair.other)]
    mine = [mark for mark in mine if mark.start not in units[0]]
    theirs = [mark for mark in theirs if mark.start not in units[1]]
    here, there = {mark.key for mark in mine}, {mark.key for mark in theirs}
    if not (here - there and there - here):
        return None
    mine = [mark for mark in mine if mark.key not in there]
    theirs = [mark for mark in theirs if mark.key not in here]
    if not pair.alike(words_of(pair.one, mine), words_of(pair.other, theirs)):
        return None
    return agreement(texts_of(pair.one, mine), texts_of(pair.other, theirs))
