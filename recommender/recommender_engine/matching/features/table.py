"""The table of features of a pair, one entry for each.

Everything else follows from it: the columns and their order, the features that a stored model may read, monotone
constraints, reasons, the features hidden in training, those that a collection learns, and the page
``docs/reference/features.md``. A model refers to features by name, so the order of entries is free; a name never
changes its meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from recommender_engine.matching.differences import NONE, Differences, differences
from recommender_engine.matching.differences.figures import all_agree, surely_differ
from recommender_engine.matching.features import contradictions, fields, meaning, times, values, words
from recommender_engine.matching.features.feature import CODES, NEARNESS, PAIR, STATED, Evidence, Feature
from recommender_engine.matching.features.feature import CONTEXT as CONTEXT_KIND
from recommender_engine.matching.features.fields import LABELS, TITLES
from recommender_engine.matching.pair.agreement import Agreement, identifiers, measures, plain, titles_contradict
from recommender_engine.matching.pair.comparison import Comparison
from recommender_engine.matching.pair.context import Context
from recommender_engine.matching.pair.profile import Profile
from recommender_engine.matching.pair.wording import Wording, wordings
from recommender_engine.matching.trees import Floats

# Name, sign, kind, function, evidence.
TABLE: tuple[Feature, ...] = (
    Feature("cosine", 1, PAIR, meaning.cosine, meaning.MEANING),
    Feature("margin", 1, NEARNESS, meaning.margin, meaning.MEANING),
    Feature("lead", 1, NEARNESS, meaning.lead, meaning.MEANING),
    Feature("rank", -1, NEARNESS, meaning.rank, meaning.MEANING),
    Feature("their_margin", 1, CONTEXT_KIND, meaning.their_margin, meaning.COMPANY),
    Feature("their_lead", 1, CONTEXT_KIND, meaning.their_lead, meaning.COMPANY),
    Feature("their_rank", -1, CONTEXT_KIND, meaning.their_rank, meaning.COMPANY),
    Feature("words", 1, PAIR, words.words, words.WORDS),
    Feature("words_margin", 1, CONTEXT_KIND, words.words_margin, words.WORDS),
    Feature("words_lead", 1, CONTEXT_KIND, words.words_lead, words.WORDS),
    Feature("jaccard", 1, PAIR, words.jaccard, words.WORDS),
    Feature("contained_most", 0, PAIR, words.contained_most, words.WORDS),
    Feature("contained_least", 1, PAIR, words.contained_least, words.WORDS),
    Feature("rarest_shared", 0, PAIR, words.rarest_shared, words.WORDS),
    Feature("rare_shared", 0, PAIR, words.rare_shared, words.WORDS),
    Feature("rarest_own", -1, PAIR, words.rarest_own, words.WORDS),
    Feature("own_least", 0, PAIR, words.own_least, words.WORDS),
    Feature("own_most", 0, PAIR, words.own_most, words.WORDS),
    Feature("own_alike", 0, PAIR, words.own_alike, words.WORDS),
    Feature("characters", 0, PAIR, words.characters, words.WORDS),
    Feature("identifiers_shared", 1, STATED, values.identifiers_shared, values.IDENTIFIERS),
    Feature("identifiers_differ", -1, STATED, values.identifiers_differ, values.IDENTIFIERS),
    Feature("identifiers_alike", 0, STATED, values.identifiers_alike, values.IDENTIFIERS),
    Feature("longest_code_shared", 1, CODES, values.longest_code_shared, values.IDENTIFIERS),
    Feature("longest_codes_differ", -1, CODES, values.longest_codes_differ, values.IDENTIFIERS),
    Feature("numbers_shared", 0, STATED, values.numbers_shared, values.NUMBERS),
    Feature("numbers_differ", -1, STATED, values.numbers_differ, values.NUMBERS),
    Feature("measures_shared", 1, STATED, values.measures_shared, values.MEASURES, default=0.0),
    Feature("measures_differ", -1, STATED, values.measures_differ, values.MEASURES, default=0.0),
    Feature("colours_shared", 1, STATED, values.colours_shared, values.COLOURS),
    Feature("colours_differ", -1, STATED, values.colours_differ, values.COLOURS),
    Feature("wording", 0, PAIR, words.wording, words.WORDS),
    Feature("wording_differs", 0, PAIR, words.wording_differs, words.DISPUTE),
    Feature("length_ratio", 0, PAIR, words.length_ratio, words.WORDS),
    Feature("title_words", 1, TITLES, fields.title_words, fields.TITLE),
    Feature("title_contained_most", 0, TITLES, fields.title_contained_most, fields.TITLE),
    Feature("title_contained_least", 0, TITLES, fields.title_contained_least, fields.TITLE),
    Feature("title_characters", 0, TITLES, fields.title_characters, fields.TITLE),
    Feature("title_elsewhere", 0, TITLES, fields.title_elsewhere, fields.TITLE),
    Feature("title_numbers_own", -1, TITLES, fields.title_numbers_own, values.NUMBERS),
    Feature("titles_contradict", -1, TITLES, fields.titles_contradict, values.NUMBERS),
    Feature("labels_shared", 1, LABELS, fields.labels_shared, fields.FIELDS),
    Feature("price_ratio", 1, PAIR, fields.price_ratio, fields.PRICES),
    *contradictions.FEATURES,
    Feature("days_apart", 0, PAIR, times.days_apart, times.TIME, usual=(4.0, 1.5)),
    Feature("arrivals_apart", 0, PAIR, times.arrivals_apart, times.TIME, usual=(6.0, 1.5)),
)

FEATURES = tuple([one.name for one in TABLE])
MONOTONE = {one.name: one.sign for one in TABLE}
EVIDENCE: tuple[Evidence, ...] = tuple(dict.fromkeys([one.evidence for one in TABLE]))

# The features that need other candidates, and those that need named fields: a pair judged alone, or a pair of plain
# texts, lacks them.
CONTEXT = tuple([one.name for one in TABLE if one.kind in (CONTEXT_KIND, NEARNESS)])
FIELDS = tuple([one.name for one in TABLE if one.kind in (TITLES, LABELS)])

T = TypeVar("T")

# From this share of common words on, the wording is the same, whatever values the texts state.
_SAME_WORDING = 0.6
# In a pair of otherwise the same wording, the text with fewer words has at most half of its words, and at most this
# number plus one in so many, that the other lacks. Tested before the texts are read: most candidates have more.
_MOST_LACKING, _ONE_IN = 3, 3


_KINDS = tuple(dict.fromkeys([one.kind for one in TABLE]))
_BY_KIND = tuple([(kind.view, [entry for entry in enumerate(TABLE) if entry[1].kind is kind]) for kind in _KINDS])
_CONTRADICTIONS = tuple([(one.name, one.contradiction) for one in EVIDENCE if one.contradiction is not None])
# The evidence to test in a pair without word-by-word differences, which nearly all pairs are.
_VALUE_CONTRADICTIONS = tuple([one for one in _CONTRADICTIONS if one[0] not in contradictions.KINDS])


def features(pair: Comparison, context: Context) -> list[float]:
    """The row of a pair, in the order of `FEATURES`."""
    found: list[float] = rows([pair], [context])[0].tolist()
    return found


def rows(pairs: Sequence[Comparison], contexts: Sequence[Context]) -> Floats:
    """The rows of pairs, shape (n, len(FEATURES)). A row does not depend on the other pairs.

    Computed column by column, which is faster than row by row.

    Args:
        pairs: at least one.
        contexts: of each pair.
    """
    columns: list[list[float]] = [[]] * len(TABLE)
    for view, entries in _BY_KIND:
        inputs = list(map(view, pairs, contexts))
        missing = inputs.count(None)
        for index, entry in entries:
            if not missing:
                columns[index] = list(map(entry.function, inputs))
            elif missing == len(inputs):
                columns[index] = [entry.default] * missing
            else:
                columns[index] = [entry.default if one is None else entry.function(one) for one in inputs]
    return np.ascontiguousarray(np.array(columns, np.float64).T)


def compare(one: Profile, other: Profile, cosine: float, arrivals_apart: int | None = None) -> Comparison:
    """Compare two items.

    Args:
        one: the item.
        other: the candidate.
        cosine: of their embeddings.
        arrivals_apart: see `Candidate`.
    """
    return comparisons(one, [other], [cosine], [arrivals_apart])[0]


def comparisons(
    one: Profile, others: Sequence[Profile], cosines: Sequence[float], arrivals_apart: Sequence[int | None]
) -> list[Comparison]:
    """Compare an item with several others, as `compare` does with one."""
    return [
        _contradicted(_comparison(one, other, cosine, wording, arrivals))
        for other, cosine, wording, arrivals in zip(others, cosines, wordings(one, others), arrivals_apart, strict=True)
    ]


def _comparison(
    one: Profile, other: Profile, cosine: float, wording: Wording, arrivals_apart: int | None
) -> Comparison:
    words_shared = _jaccard(one.terms.words, other.terms.words)
    differing = _word_differences(one, other)
    if one.terms.plain and other.terms.plain:  # nearly all short texts
        return Comparison(
            one, other, cosine, wording, words_shared, differences=differing, arrivals_apart=arrivals_apart
        )
    here, there = one.terms.whole, other.terms.whole
    named = identifiers(here, there)
    referred = _referred(one, other, named)
    if referred:
        one, other = one.without(referred), other.without(referred)
        (wording,) = wordings(one, [other])
        named = named._replace(shared=tuple([code for code in named.shared if code not in referred]))
    numbers = plain(here.numbers, there.numbers)
    colours = plain(here.colours, there.colours)
    sizes = measures(here, there)
    dimensions = plain(here.dimensions, there.dimensions)
    stated = (named, numbers, sizes, dimensions)
    if any(found.contradicts for found in stated) and _other_spellings(one, other):
        named, numbers, sizes, dimensions = _agreed(named), _agreed(numbers), _agreed(sizes), _agreed(dimensions)
    contradict = titles_contradict(one.terms, other.terms)
    contradicting = {
        "identifiers": named.contradicts,
        "numbers": numbers.contradicts,
        "colours": colours.contradicts,
        "measures": sizes.contradicts or (dimensions.contradicts and not dimensions.shared),
    }
    disputed = tuple([kind for kind, differ in contradicting.items() if differ])
    contested = contradict or (bool(disputed) and words_shared >= _SAME_WORDING)
    if contested or values.has_long_code(named.shared):
        left_out = {"word", "amount"} if contested else {"word"}  # the same difference, found twice; offers with codes
        differing = {name: found for name, found in differing.items() if name not in left_out}
    return Comparison(
        one=one,
        other=other,
        cosine=cosine,
        wording=wording,
        words_shared=words_shared,
        differences=differing,
        identifiers=named,
        numbers=numbers,
        colours=colours,
        measures=sizes,
        dimensions=dimensions,
        titles_contradict=contradict,
        disputed=disputed,
        contested=contested,
        arrivals_apart=arrivals_apart,
    )


def _referred(one: Profile, other: Profile, named: Agreement[str]) -> frozenset[str]:
    """The shared codes with which both only refer to another record: they are no evidence."""
    found = frozenset(named.shared)
    return found & one.terms.referred & other.terms.referred if found else found


def _contradicted(pair: Comparison) -> Comparison:
    """The comparison with its contradictions."""
    contradicting: dict[str, Agreement[str]] = {}
    for name, contradiction in _CONTRADICTIONS if pair.differences else _VALUE_CONTRADICTIONS:
        found = contradiction(pair)
        if found.here or found.there:
            contradicting[name] = found
    if "words" in contradicting:  # the same difference, found twice
        contradicting.pop("word", None)
    return pair._replace(contradictions=contradicting, contested=True) if contradicting else pair


def _word_differences(one: Profile, other: Profile) -> Differences:
    """The word-by-word differences, if the text with fewer words has few that the other lacks."""
    mine, theirs = one.terms.words, other.terms.words
    shared, fewer = len(mine & theirs), min(len(mine), len(theirs))
    if fewer - shared > min(shared, _MOST_LACKING + shared // _ONE_IN):
        return NONE
    here, there = one.reading, other.reading
    return NONE if here is None or there is None else differences(here, there)


def _other_spellings(one: Profile, other: Profile) -> bool:
    """Whether numbers of different spelling are equal in the notation of their language and script."""
    mine, theirs = one.terms.whole, other.terms.whole
    codes = mine.identifiers ^ theirs.identifiers
    if not all(code.isdecimal() for code in codes) or surely_differ(mine.folded, theirs.folded):
        return False
    here, there = one.reading, other.reading
    return here is not None and there is not None and all_agree(here, there)


def _agreed(found: Agreement[T]) -> Agreement[T]:
    return Agreement((*found.shared, *found.here), (), ()) if found.contradicts else found


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if one or other else 1.0
