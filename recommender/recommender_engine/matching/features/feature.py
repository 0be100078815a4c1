"""The types of the table of features: feature, kind, evidence, reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import nan
from typing import Any, NamedTuple

from recommender_engine.items import Reason
from recommender_engine.matching.pair.agreement import Agreement
from recommender_engine.matching.pair.comparison import Comparison
from recommender_engine.matching.pair.context import Context
from recommender_engine.matching.pair.segments import Kind as KindOfText
from recommender_engine.matching.pair.segments import kind_of
from recommender_engine.matching.text.spans import PairTexts


class WeighedReason(NamedTuple):
    """A reason with its own weight, which can differ from that of the evidence: agreement never counts against.

    Attributes:
        evidence: the name of the evidence.
        weight: log-odds.
        reason: code, text and detail.
        prevents_duplicate: whether it keeps the pair from being a duplicate; always given.
    """

    evidence: str
    weight: float
    reason: Reason
    prevents_duplicate: bool = False


class ReasonInput(NamedTuple):
    """The input of `Evidence.reasons_for`.

    Attributes:
        evidence: name of the evidence.
        weight: how far it moves the log-odds.
        pair: the comparison.
        context: the pair relative to the item's other candidates.
        texts: both texts, to find positions of values in them.
    """

    evidence: str
    weight: float
    pair: Comparison
    context: Context
    texts: PairTexts

    def reason(self, code: str, text: str, weight: float, **detail: Any) -> WeighedReason:
        """A reason with a weight."""
        reason = Reason(code=code, text=text, detail={"log_odds": round(weight, 3), **detail})
        return WeighedReason(self.evidence, weight, reason)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Evidence that one or several features measure; their weights add up to one reason.

    Attributes:
        name: of the evidence.
        reasons_for: the reasons for a pair; none if there is nothing to show.
        contradiction: the values that make the two certainly different: if it returns any, the pair is contested and
            goes to review. ``None`` for evidence that only has a weight.
    """

    name: str
    reasons_for: Callable[[ReasonInput], Iterator[WeighedReason]]
    contradiction: Callable[[Comparison], Agreement[str]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """The input of a group of features.

    Attributes:
        name: of the kind.
        view: makes the argument of the functions, once for each pair; ``None`` where there is nothing to measure.
    """

    name: str
    view: Callable[[Comparison, Context], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """One measurement of a pair.

    Attributes:
        name: the key in stored models and answers; never changes.
        sign: +1 if a higher value must never lower the probability, -1 if it must never raise it, 0 if unconstrained.
        kind: its input.
        function: computes the value from the view of its kind, NaN where there is nothing to compare; its docstring is
            the description in the documentation.
        evidence: the evidence that it counts for.
        default: the value where its kind has no view.
        before: the value for an answer that was stored before the feature existed.
        usual: typical value and spread of a feature that is only learned from a collection's own answers. The shipped
            model does not read it.
    """

    name: str
    sign: int
    kind: Kind
    function: Callable[[Any], float]
    evidence: Evidence
    default: float = nan
    before: float = nan
    usual: tuple[float, float] | None = None


PAIR = Kind("pair", lambda pair, _: pair)
"""Of the two alone, whatever they are."""

STATED = Kind("stated", lambda pair, _: None if pair.only_words else pair)
"""Of the two alone, where at least one states a code, number, size or colour, or has a title."""

CONTEXT = Kind("context", lambda _, context: context)
"""Of the item's other candidates."""

CODES = Kind("codes", lambda pair, _: pair if _names_with_codes(pair) else None)
"""Of two names of things with codes: in running text a code is a topic as often as the thing."""

NEARNESS = Kind("nearness", lambda pair, context: None if _names_with_codes(pair) else context)
"""Of the item's other candidates, by their meaning, unless both name codes: other offers of a thing are as near."""


def _names_with_codes(pair: Comparison) -> bool:
    if not (pair.one.terms.whole.identifiers and pair.other.terms.whole.identifiers):  # most pairs
        return False
    return kind_of(pair.one, pair.other) is KindOfText.WITH_CODES
