"""Why two items are, or are not, the same thing: evidence by its weight, in sentences a person can act on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from recommender.items import Reason
from recommender.matching.agreement import Agreement
from recommender.matching.features import FEATURES, Comparison
from recommender.matching.model import PairModel
from recommender.matching.profile import Profile
from recommender.matching.vocabulary import FUNCTION_WORDS

MOST_REASONS = 4
_SHOWN = 3
# Weighs less than this (log-odds): not worth a reader's time.
_WORTH_SAYING = 0.05
# Texts of which both share so much (by rarity) have the same wording.
_SAME_WORDING = 0.6

# Which features speak of what. "dispute" is the same wording with something else in it; it counts for what differs.
_KINDS: dict[str, tuple[str, ...]] = {
    "meaning": ("cosine", "margin", "rank"),
    "words": (
        "words",
        "words_margin",
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
}
_COLUMNS = {kind: [FEATURES.index(name) for name in names] for kind, names in _KINDS.items()}
_DISPUTED = ("identifiers", "numbers", "measures", "colours")


class _Said(NamedTuple):
    weight: float
    reason: Reason


def contributions(model: PairModel, row: Sequence[float]) -> dict[str, float]:
    """How far each kind of evidence moves the log-odds from where an ordinary pair of candidates would put them.

    Args:
        model: that judged the pair.
        row: its features.
    """
    rows = np.tile(np.asarray(row, np.float64), (len(_COLUMNS) + 1, 1))
    typical = model.typical()
    for number, columns in enumerate(_COLUMNS.values()):
        rows[number, columns] = typical[columns]
    log_odds = model.log_odds(rows)
    return dict(zip(_COLUMNS, (log_odds[-1] - log_odds[:-1]).tolist(), strict=True))


def reasons(pair: Comparison, weights: Mapping[str, float]) -> tuple[Reason, ...]:
    """The evidence on a pair, strongest first, at most `MOST_REASONS`.

    Args:
        pair: what was compared.
        weights: `contributions`.
    """
    shares = _dispute_shared_out(pair, weights)
    said = [*_meaning(pair, shares), *_words(pair, shares), *_values(pair, shares), *_fields(pair, shares)]
    said.sort(key=lambda one: -abs(one.weight))
    telling = [one for one in said if abs(one.weight) >= _WORTH_SAYING] or said[:1]
    return tuple(one.reason for one in telling[:MOST_REASONS])


def _said(code: str, text: str, weight: float, **detail: Any) -> _Said:
    return _Said(weight, Reason(code=code, text=text, detail={"log_odds": round(weight, 3), **detail}))


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


def only_meaning(cosine: float) -> tuple[Reason, ...]:
    """The evidence on a pair that nobody will act on."""
    return (Reason(code="cosine_similarity", text=_alike(cosine), detail={"similarity": round(cosine, 4)}),)


def _alike(cosine: float) -> str:
    return f"the meaning is {max(cosine, 0.0):.0%} alike"


def _meaning(pair: Comparison, weights: Mapping[str, float]) -> Iterator[_Said]:
    similarity = round(pair.cosine, 4)
    yield _said("cosine_similarity", _alike(pair.cosine), weights.get("meaning", 0.0), similarity=similarity)


def _words(pair: Comparison, weights: Mapping[str, float]) -> Iterator[_Said]:
    weight = weights.get("words", 0.0)
    one, other, shared = pair.one, pair.other, pair.overlap
    least = shared.weight / max(one.whole.total, other.whole.total)
    here, there = _own_words(one, other), _own_words(other, one)
    if weight < 0 and least >= _SAME_WORDING and here and there:
        text = f"same wording, but {_listed(here)} here and {_listed(there)} there"
        yield _said("wording_differs", text, weight, here=here[:10], there=there[:10])
        return
    rarest = sorted(shared.terms, key=lambda term: -one.whole.rarity[term])
    told = [term for term in rarest if term in one.rare][:10]
    fewest = min(len(one.rare), len(other.rare))
    if fewest:
        share = len(one.rare & other.rare) / fewest
        kind = "rare words"
    else:
        share, kind = shared.weight / min(one.whole.total, other.whole.total), "words"
    share = min(share, 1.0)
    if weight > 0 and not share:
        return
    text = f"{share:.0%} of the {kind} are shared" if share else f"no {kind} are shared"
    yield _said("words_shared" if weight > 0 else "words_differ", text, weight, share=round(share, 4), words=told)


def _own_words(one: Profile, other: Profile) -> list[str]:
    own = [term for term in one.said.words if term not in other.whole.rarity and term not in FUNCTION_WORDS]
    return sorted(own, key=lambda term: (-one.whole.rarity[term], term))


def _values(pair: Comparison, weights: Mapping[str, float]) -> Iterator[_Said]:
    one, other = pair.one.said.text, pair.other.said.text
    named = {
        "identifiers": ("identifier", pair.identifiers),
        "numbers": ("number", pair.numbers),
        "colours": ("colour", pair.colours),
    }
    for kind, (noun, found) in named.items():
        yield from _agreement(noun, found, weights.get(kind, 0.0), one, other)
    sizes = Agreement(*(tuple(measure.text for measure in side) for side in pair.measures))
    yield from _agreement("size", sizes, weights.get("measures", 0.0), one, other)
    if pair.dimensions.contradicts and not pair.dimensions.shared:
        yield from _agreement("dimension", pair.dimensions, weights.get("measures", 0.0), one, other)


def _agreement(noun: str, found: Agreement[str], weight: float, one: str, other: str) -> Iterator[_Said]:
    if found.shared and (weight > 0 or not found.contradicts):
        codes = [_Written.find(code, one) for code in found.shared]
        places = [_Written.find(code, other) for code in found.shared]
        text = f"same {noun} {_listed([code.text for code in codes])}"
        ranges = {"here_at": _ranges(codes), "there_at": _ranges(places)}
        yield _said(f"same_{noun}", text, max(weight, 0.0), values=list(found.shared[:10]), **ranges)
    if found.contradicts:
        here = [_Written.find(code, one) for code in found.here]
        there = [_Written.find(code, other) for code in found.there]
        name = _common_name(here, there) or f"{noun}s"
        text = f"{name} differ: {_listed([code.text for code in here])} / {_listed([code.text for code in there])}"
        ranges = {"here_at": _ranges(here), "there_at": _ranges(there)}
        yield _said(
            f"{noun}s_differ",
            text,
            min(weight, 0.0),
            here=list(found.here[:10]),
            there=list(found.there[:10]),
            **ranges,
        )


class _Written(NamedTuple):
    """A value as it stands in a text.

    Attributes:
        text: in the original spelling, or the folded one where it cannot be found.
        span: characters from, to; ``None`` where it cannot be found.
        name: the word before it.
    """

    text: str
    span: tuple[int, int] | None
    name: str

    @classmethod
    def find(cls, code: str, text: str) -> _Written:
        letters = r"[\W_]{0,2}".join(re.escape(letter) for letter in code if not letter.isspace())
        match = re.search(
            rf"(?:(?P<name>[^\W\d_]+)[\W_]{{1,3}})?(?<![^\W_])(?P<code>{letters})(?![^\W_])", text, re.IGNORECASE
        )
        if match is None:
            return cls(code, None, "")
        return cls(match["code"], match.span("code"), (match["name"] or "").lower())


def _ranges(found: Sequence[_Written]) -> list[list[int]]:
    return [list(one.span) for one in found[:10] if one.span]


def _common_name(here: Sequence[_Written], there: Sequence[_Written]) -> str:
    """``order numbers`` where both texts say "order 1042" and "order 1043"."""
    both = (*here, *there)
    names = {one.name for one in both}
    if len(names) > 1 or not all(one.text.isdigit() for one in both):
        return ""
    name = names.pop()
    return "" if not name or name in FUNCTION_WORDS else f"{name} numbers"


def _fields(pair: Comparison, weights: Mapping[str, float]) -> Iterator[_Said]:
    one, other = pair.one, pair.other
    if one.title is not None and other.title is not None and one.said.title_name == other.said.title_name:
        weight = weights.get("titles", 0.0)
        shared = [term for term in one.title.rarity if term in other.title.rarity]
        share = sum([one.title.rarity[term] for term in shared]) / min(one.title.total, other.title.total)
        code = "titles_alike" if weight > 0 else "titles_differ"
        name = one.said.title_name
        yield _said(code, f"the two {name}s share {min(share, 1.0):.0%} of their words", weight, share=round(share, 4))
    yield from _labels(one, other, weights.get("labels", 0.0))
    if one.price and other.price:
        apart = 1.0 - min(one.price, other.price) / max(one.price, other.price)
        text = f"the prices are {apart:.0%} apart" if apart else "same price"
        yield _said("price_difference", text, weights.get("prices", 0.0), here=one.price, there=other.price)


def _labels(one: Profile, other: Profile, weight: float) -> Iterator[_Said]:
    names = [name for name in one.said.labels if name in other.said.labels]
    same = [name for name in names if one.said.labels[name] & other.said.labels[name]]
    differ = [name for name in names if name not in same]
    if same and weight > 0:
        yield _said("same_field", f"same {_listed(same)}", weight, fields=same)
    if differ and weight <= 0:
        yield _said("fields_differ", f"another {_listed(differ)}", weight, fields=differ)


def _listed(values: Sequence[str]) -> str:
    shown = ", ".join(values[:_SHOWN])
    return shown if len(values) <= _SHOWN else f"{shown} and {len(values) - _SHOWN} more"
