"""Features of the words, weighted by rarity in the collection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import nan

from rapidfuzz.fuzz import ratio

from recommender_engine.matching.features.feature import Evidence, ReasonInput, WeighedReason
from recommender_engine.matching.features.phrases import LISTED, listed, share_of
from recommender_engine.matching.pair.agreement import Agreement, substituted
from recommender_engine.matching.pair.comparison import Comparison
from recommender_engine.matching.pair.context import Context
from recommender_engine.matching.pair.profile import Profile
from recommender_engine.matching.pair.wording import shared_terms
from recommender_engine.matching.text.vocabulary import FUNCTION_WORDS

# From this share (by rarity) on both sides, the wording is the same.
_SAME_WORDING = 0.6
_READ_CHARACTERS = 200
_MOST_OWN = 20.0


def words(pair: Comparison) -> float:
    """Cosine of the tf-idf weights of all terms."""
    return pair.wording.cosine


def words_margin(context: Context) -> float:
    """Cosine of the words minus that of the best other candidate."""
    return context.words_margin


def words_lead(context: Context) -> float:
    """Cosine of the words minus the mean of the best eight other candidates."""
    return context.words_lead


def jaccard(pair: Comparison) -> float:
    """Summed rarity of the shared terms, as a share of that of all terms."""
    shared = pair.wording.weight
    union = pair.one.total + pair.other.total - shared
    return shared / union if union > 0 else 1.0


def contained_most(pair: Comparison) -> float:
    """Summed rarity of the shared terms, as a share of that of the side with the lower sum."""
    shared = pair.wording.weight
    mine, theirs = pair.one.total, pair.other.total
    return shared / (min(theirs, mine))


def contained_least(pair: Comparison) -> float:
    """Summed rarity of the shared terms, as a share of that of the side with the higher sum."""
    shared = pair.wording.weight
    mine, theirs = pair.one.total, pair.other.total
    return shared / (max(mine, theirs))


def rarest_shared(pair: Comparison) -> float:
    """Rarity of the rarest shared term."""
    return pair.wording.rarest


def rare_shared(pair: Comparison) -> float:
    """Shared rare terms, as a share of the rare terms of the side with fewer of them."""
    mine, theirs = pair.one.rare, pair.other.rare
    fewest = min(theirs, mine)
    return pair.wording.rare_shared / fewest if fewest else nan


def rarest_own(pair: Comparison) -> float:
    """Rarity of the rarest term that the other side lacks, on the side where it is less rare."""
    mine, theirs = pair.wording.mine.rarity, pair.wording.theirs.rarity
    return min(theirs, mine)


def own_least(pair: Comparison) -> float:
    """Summed rarity of the terms that the other side lacks, on the side with the lower sum, at most 20."""
    shared = pair.wording.weight
    mine, theirs = pair.one.total, pair.other.total
    return min((min(theirs, mine)) - shared, _MOST_OWN)


def own_most(pair: Comparison) -> float:
    """Summed rarity of the terms that the other side lacks, on the side with the higher sum, at most 20."""
    shared = pair.wording.weight
    mine, theirs = pair.one.total, pair.other.total
    return min((max(mine, theirs)) - shared, _MOST_OWN)


def own_alike(pair: Comparison) -> float:
    """Spelling similarity of the rarest terms that only one side has."""
    mine, theirs = pair.wording.mine.term, pair.wording.theirs.term
    return ratio(mine, theirs) / 100 if mine and theirs else nan


def characters(pair: Comparison) -> float:
    """Similarity of the first 200 characters."""
    one, other = pair.one.terms.whole.folded, pair.other.terms.whole.folded
    return ratio(one[:_READ_CHARACTERS], other[:_READ_CHARACTERS]) / 100


def wording(pair: Comparison) -> float:
    """Share of common words in all words, without numbers and colours."""
    return pair.words_shared


def wording_differs(pair: Comparison) -> float:
    """Share of common words, times the number of kinds of values (of four) that contradict each other, over four."""
    return pair.words_shared * len(pair.disputed) / 4


def length_ratio(pair: Comparison) -> float:
    """Length of the shorter text divided by that of the longer."""
    one, other = len(pair.one.terms.whole.folded), len(pair.other.terms.whole.folded)
    if one == other:
        return 1.0
    return one / other if one < other else other / one


def _words(inputs: ReasonInput) -> Iterator[WeighedReason]:
    pair, weight = inputs.pair, inputs.weight
    if "words" in pair.contradictions:
        variants = pair.contradictions["words"]
        yield _wording_differs(inputs, variants.here, variants.there, min(weight, 0.0))._replace(
            prevents_duplicate=True
        )
        return
    one, other, shared = pair.one, pair.other, pair.wording
    least = shared.weight / max(one.total, other.total)
    here, there = _own_words(one, other), _own_words(other, one)
    if weight < 0 and least >= _SAME_WORDING and here and there:
        yield _wording_differs(inputs, here, there, weight)
        return
    rarest = sorted(shared_terms(one, other), key=lambda term: -one.whole.rarity[term])
    rare = one.rare_terms
    listed_terms = [term for term in rarest if term in rare][:LISTED]
    fewest = min(one.rare, other.rare)
    if fewest:
        share = shared.rare_shared / fewest
        kind = "rare words"
    else:
        share, kind = shared.weight / min(one.total, other.total), "words"
    share = min(share, 1.0)
    if weight > 0 and not share:
        return
    text = f"{share_of(share, weight)} of the {kind} are shared" if share else f"no {kind} are shared"
    code = "words_shared" if weight > 0 else "words_differ"
    yield inputs.reason(
        code, text, weight, share=round(share, 4), words=listed_terms, **inputs.texts.ranges(listed_terms)
    )


def _wording_differs(inputs: ReasonInput, here: Sequence[str], there: Sequence[str], weight: float) -> WeighedReason:
    text = f"same wording, but {listed(here)} here and {listed(there)} there"
    mine, theirs = list(here[:LISTED]), list(there[:LISTED])
    at = inputs.texts.ranges(mine, theirs)
    return inputs.reason("wording_differs", text, weight, here=mine, there=theirs, **at)


def _own_words(one: Profile, other: Profile) -> list[str]:
    own = [term for term in one.terms.words if term not in other.whole.rarity and term not in FUNCTION_WORDS]
    return sorted(own, key=lambda term: (-one.whole.rarity[term], term))


def _substituted(pair: Comparison) -> Agreement[str]:
    return substituted(pair.one.terms, pair.other.terms)


def _nothing(inputs: ReasonInput) -> Iterator[WeighedReason]:
    """No reason: its weight is given to the kinds of values in dispute, see `reasons`."""
    return iter(())


WORDS = Evidence("words", _words, contradiction=_substituted)
DISPUTE = Evidence("dispute", _nothing)
