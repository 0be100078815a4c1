"""Why two items are, or are not, the same thing: evidence by its weight, in sentences a person can act on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from recommender.items import Band, PairVerdict, Reason
from recommender.matching.agreement import Agreement
from recommender.matching.context import Context
from recommender.matching.features import FEATURES, Comparison
from recommender.matching.model import PairModel
from recommender.matching.profile import Profile
from recommender.matching.spans import Spans, Written
from recommender.matching.trees import Floats
from recommender.matching.vocabulary import FUNCTION_WORDS
from recommender.matching.wording import shared_terms

MOST_REASONS = 4
_SHOWN = 3
_LISTED = 10
# Weighs less than this (log-odds): not worth a reader's time.
_WORTH_SAYING = 0.05
# Texts of which both share so much (by rarity) have the same wording.
_SAME_WORDING = 0.6

# Which features speak of what. "dispute" is the same wording with something else in it; it counts for what differs.
_KINDS: dict[str, tuple[str, ...]] = {
    "meaning": ("cosine", "margin", "lead", "rank"),
    "company": ("their_margin", "their_lead", "their_rank"),
    "words": (
        "words",
        "words_margin",
        "words_lead",
        "jaccard",
        "contained_most",
        "contained_least",
        "rarest_shared",
        "rare_shared",
        "rarest_own",
        "own_least",
        "own_most",
        "own_alike",
        "characters",
        "wording",
        "length_ratio",
    ),
    "identifiers": ("identifiers_shared", "identifiers_differ", "identifiers_alike"),
    "numbers": ("numbers_shared", "numbers_differ", "title_numbers_own", "titles_contradict"),
    "measures": ("measures_shared", "measures_differ"),
    "colours": ("colours_shared", "colours_differ"),
    "dispute": ("wording_differs",),
    "titles": (("title_words", "title_contained_most", "title_contained_least", "title_characters", "title_elsewhere")),
    "labels": ("labels_shared",),
    "prices": ("price_ratio",),
    "time": ("days_apart", "arrivals_apart"),
}
_COLUMNS = {kind: [FEATURES.index(name) for name in names] for kind, names in _KINDS.items()}
_DISPUTED = ("identifiers", "numbers", "measures", "colours")


# The band that a pair would be in without one kind of evidence, by its name and what it adds to the log-odds.
Without = Callable[[str, float], Band]


class _Said(NamedTuple):
    """A reason with its weight, which may be none of the kind's: what agrees never speaks against."""

    kind: str
    weight: float
    reason: Reason


class _Texts:
    """Both texts, searched only when there is something to point at."""

    def __init__(self, pair: Comparison) -> None:
        self._pair = pair

    @cached_property
    def here(self) -> Spans:
        return Spans(self._pair.one.said.text)

    @cached_property
    def there(self) -> Spans:
        return Spans(self._pair.other.said.text)

    def ranges(self, terms: Sequence[str], others: Sequence[str] | None = None) -> dict[str, list[list[int]]]:
        """Where words stand in the one text, and the same or others in the other."""
        theirs = terms if others is None else others
        return {"here_at": self.here.words(terms), "there_at": self.there.words(theirs)}


def contributions(model: PairModel, rows: Floats) -> list[dict[str, float]]:
    """How far each kind of evidence moves the log-odds from where an ordinary pair of candidates would put them.

    Args:
        model: that judged the pairs.
        rows: their features, shape (n, len(FEATURES)).
    """
    count = len(_COLUMNS) + 1
    varied = np.repeat(rows, count, axis=0)
    typical = model.typical()
    for number, columns in enumerate(_COLUMNS.values()):
        varied[number::count, columns] = typical[columns]
    log_odds = model.log_odds(varied).reshape(len(rows), count)
    return [dict(zip(_COLUMNS, moved, strict=True)) for moved in (log_odds[:, -1:] - log_odds[:, :-1]).tolist()]


def reasons(
    pair: Comparison, weights: Mapping[str, float], without: Without | None = None, context: Context | None = None
) -> tuple[Reason, ...]:
    """The evidence on a pair, strongest first, at most `MOST_REASONS`.

    Args:
        pair: what was compared.
        weights: `contributions`.
        without: the band without one kind of evidence, or with no contradiction of it; where it is another one than
            all evidence leads to, the reason says so.
        context: how the pair stands among the item's other candidates.
    """
    shares = _dispute_shared_out(pair, weights)
    texts = _Texts(pair)
    said = [
        *_meaning(pair, shares),
        *_company(context or Context(), shares.get("company", 0.0)),
        *_words(pair, shares, texts),
        *_values(pair, shares, texts),
        *_fields(pair, shares),
        *_time(pair, shares.get("time", 0.0)),
    ]
    said.sort(key=lambda one: -abs(one.weight))
    telling = [one for one in said if abs(one.weight) >= _WORTH_SAYING or _holds_back(pair, one)] or said[:1]
    if without is None:
        return tuple([one.reason for one in telling[:MOST_REASONS]])
    band = without("", 0.0)
    return tuple(
        [_with_turn(one, band, without(one.kind, shares.get(one.kind, 0.0))) for one in telling[:MOST_REASONS]]
    )


def _holds_back(pair: Comparison, said: _Said) -> bool:
    """Whether it is what keeps the pair from being a duplicate, whatever it weighs."""
    return said.kind == "words" and pair.substituted.contradicts


def _with_turn(said: _Said, band: Band, otherwise: Band) -> Reason:
    reason = said.reason
    if otherwise is band:
        return reason
    return reason.model_copy(update={"detail": {**reason.detail, "without": otherwise.value}})


def explanation(found: Sequence[Reason]) -> str:
    """The evidence in one sentence: what speaks for the two being one thing, then what speaks against it."""
    against = [one.text for one in found if one.detail.get("log_odds", 0.0) < 0]
    speaks_for = [one.text for one in found if one.text not in against]
    if against and speaks_for:
        return f"{', '.join(speaks_for)}; but {', '.join(against)}"
    return ", ".join(speaks_for or against)


def _said(kind: str, code: str, text: str, weight: float, **detail: Any) -> _Said:
    return _Said(kind, weight, Reason(code=code, text=text, detail={"log_odds": round(weight, 3), **detail}))


def _dispute_shared_out(pair: Comparison, weights: Mapping[str, float]) -> dict[str, float]:
    shares = dict(weights)
    dispute = shares.pop("dispute", 0.0)
    agreements: dict[str, Agreement[Any]] = {
        "identifiers": pair.identifiers,
        "numbers": pair.numbers,
        "measures": pair.measures,
        "colours": pair.colours,
    }
    kinds = [kind for kind in _DISPUTED if agreements[kind].contradicts] or ["words"]
    for kind in kinds:
        shares[kind] = shares.get(kind, 0.0) + dispute / len(kinds)
    return shares


def only_meaning(verdict: PairVerdict) -> PairVerdict:
    """The verdict on a pair that nobody will act on, with what costs nothing to say."""
    similarity = verdict.similarity
    told = Reason(code="cosine_similarity", text=_alike(similarity), detail={"similarity": round(similarity, 4)})
    return verdict.model_copy(update={"reasons": (told,), "explanation": told.text})


def _alike(cosine: float) -> str:
    return f"the meaning is {max(cosine, 0.0):.0%} alike"


def _meaning(pair: Comparison, weights: Mapping[str, float]) -> Iterator[_Said]:
    similarity = round(pair.cosine, 4)
    yield _said("meaning", "cosine_similarity", _alike(pair.cosine), weights.get("meaning", 0.0), similarity=similarity)


def _company(context: Context, weight: float) -> Iterator[_Said]:
    """What the other item is close to, beside this one."""
    if weight > 0 and context.their_rank == 0:
        yield _said("company", "mutual_match", "it is closer to this one than to anything else nearby", weight)
    elif weight < 0 and context.their_rank > 0:
        closer = int(context.their_rank)
        text = f"it is closer still to {closer} other{'s' if closer > 1 else ''} nearby"
        yield _said("company", "common_topic", text, weight, closer=closer)


def _words(pair: Comparison, weights: Mapping[str, float], texts: _Texts) -> Iterator[_Said]:
    weight = weights.get("words", 0.0)
    if pair.substituted.contradicts:
        yield _wording(pair.substituted.here, pair.substituted.there, min(weight, 0.0), texts)
        return
    one, other, shared = pair.one, pair.other, pair.wording
    least = shared.weight / max(one.total, other.total)
    here, there = _own_words(one, other), _own_words(other, one)
    if weight < 0 and least >= _SAME_WORDING and here and there:
        yield _wording(here, there, weight, texts)
        return
    rarest = sorted(shared_terms(one, other), key=lambda term: -one.whole.rarity[term])
    told = [term for term in rarest if term in one.rare_terms][:_LISTED]
    fewest = min(one.rare, other.rare)
    if fewest:
        share = shared.rare_shared / fewest
        kind = "rare words"
    else:
        share, kind = shared.weight / min(one.total, other.total), "words"
    share = min(share, 1.0)
    if weight > 0 and not share:
        return
    text = f"{_share(share, weight)} of the {kind} are shared" if share else f"no {kind} are shared"
    code = "words_shared" if weight > 0 else "words_differ"
    yield _said("words", code, text, weight, share=round(share, 4), words=told, **texts.ranges(told))


def _wording(here: Sequence[str], there: Sequence[str], weight: float, texts: _Texts) -> _Said:
    text = f"same wording, but {_listed(here)} here and {_listed(there)} there"
    mine, theirs = list(here[:_LISTED]), list(there[:_LISTED])
    return _said("words", "wording_differs", text, weight, here=mine, there=theirs, **texts.ranges(mine, theirs))


def _own_words(one: Profile, other: Profile) -> list[str]:
    own = [term for term in one.said.words if term not in other.whole.rarity and term not in FUNCTION_WORDS]
    return sorted(own, key=lambda term: (-one.whole.rarity[term], term))


def _values(pair: Comparison, weights: Mapping[str, float], texts: _Texts) -> Iterator[_Said]:
    sizes = Agreement(*(tuple(measure.text for measure in side) for side in pair.measures))
    for kind, noun, found in (
        ("identifiers", "identifier", pair.identifiers),
        ("numbers", "number", pair.numbers),
        ("colours", "colour", pair.colours),
        ("measures", "size", sizes),
    ):
        yield from _agreement(kind, noun, found, weights.get(kind, 0.0), texts)
    if pair.dimensions.contradicts and not pair.dimensions.shared:
        yield from _agreement("measures", "dimension", pair.dimensions, weights.get("measures", 0.0), texts)


def _agreement(kind: str, noun: str, found: Agreement[str], weight: float, texts: _Texts) -> Iterator[_Said]:
    if found.shared and (weight > 0 or not found.contradicts):
        values = list(found.shared[:_LISTED])
        here, there = [texts.here.find(value) for value in values], [texts.there.find(value) for value in values]
        name = _common_name(here, there) or noun
        more = len(found.shared) - len(values)
        text = f"same {name} {_listed([one.text for one in here], more)}"
        yield _said(kind, f"same_{noun}", text, max(weight, 0.0), values=values, **_ranges(here, there))
    if found.contradicts:
        mine, theirs = list(found.here[:_LISTED]), list(found.there[:_LISTED])
        here, there = [texts.here.find(value) for value in mine], [texts.there.find(value) for value in theirs]
        name = _common_name(here, there)
        numbered = f"{name} numbers" if name and all(one.text.isdigit() for one in (*here, *there)) else f"{noun}s"
        ours, others = [one.text for one in here], [one.text for one in there]
        shown = _listed(ours, len(found.here) - len(mine)), _listed(others, len(found.there) - len(theirs))
        text = f"{numbered} differ: {shown[0]} / {shown[1]}"
        detail = {"here": mine, "there": theirs, **_ranges(here, there)}
        yield _said(kind, f"{noun}s_differ", text, min(weight, 0.0), **detail)


def _ranges(here: Sequence[Written], there: Sequence[Written]) -> dict[str, list[list[int]]]:
    return {
        "here_at": [list(one.span) for one in here if one.span],
        "there_at": [list(one.span) for one in there if one.span],
    }


def _common_name(here: Sequence[Written], there: Sequence[Written]) -> str:
    """``order`` where both texts say "order 1042" and "order 1043"."""
    names = {one.name for one in (*here, *there)}
    name = names.pop()
    return "" if names or name in FUNCTION_WORDS else name


def _fields(pair: Comparison, weights: Mapping[str, float]) -> Iterator[_Said]:
    one, other = pair.one, pair.other
    if one.title is not None and other.title is not None and one.said.title_name == other.said.title_name:
        weight = weights.get("titles", 0.0)
        shared = [term for term in one.title.rarity if term in other.title.rarity]
        share = sum([one.title.rarity[term] for term in shared]) / min(one.title.total, other.title.total)
        yield from _titles(one.said.title_name or "title", min(share, 1.0), weight)
    yield from _labels(one, other, weights.get("labels", 0.0))
    if one.price and other.price:
        apart = 1.0 - min(one.price, other.price) / max(one.price, other.price)
        text = f"the prices are {apart:.0%} apart" if apart else "same price"
        yield _said("prices", "price_difference", text, weights.get("prices", 0.0), here=one.price, there=other.price)


def _time(pair: Comparison, weight: float) -> Iterator[_Said]:
    """How far apart they came: by their timestamps, or else by what arrived between them."""
    mine, theirs, apart = pair.one.timestamp, pair.other.timestamp, pair.arrivals_apart
    only = "only " if weight > 0 else ""
    if mine is not None and theirs is not None:
        days = abs((mine - theirs).total_seconds()) / 86_400
        text = f"{only}{days:,.0f} days lie between the two"
        yield _said("time", "time_apart", text, weight, days=round(days, 2))
    elif apart is not None:
        text = f"{only}{apart - 1:,} others arrived between the two"
        yield _said("time", "time_apart", text, weight, arrivals=apart)


def _titles(name: str, share: float, weight: float) -> Iterator[_Said]:
    if weight > 0 and not share:  # alike in other ways, of which a person would see nothing
        return
    said = f"share {_share(share, weight)} of their words" if share else "have no word in common"
    code = "titles_alike" if weight > 0 else "titles_differ"
    yield _said("titles", code, f"the two {name}s {said}", weight, share=round(share, 4))


def _share(share: float, weight: float) -> str:
    """``only 18%`` where so little speaks against the two."""
    shown = f"{share:.0%}"
    return f"only {shown}" if weight < 0 and shown != "100%" else shown


def _labels(one: Profile, other: Profile, weight: float) -> Iterator[_Said]:
    names = [name for name in one.said.labels if name in other.said.labels]
    same = [name for name in names if one.said.labels[name] & other.said.labels[name]]
    differ = [name for name in names if name not in same]
    if same and weight > 0:
        yield _said("labels", "same_field", f"same {_listed(same)}", weight, fields=same)
    if differ and weight <= 0:
        yield _said("labels", "fields_differ", f"another {_listed(differ)}", weight, fields=differ)


def _listed(values: Sequence[str], left_out: int = 0) -> str:
    more = len(values) + left_out - _SHOWN
    return ", ".join(values[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
