"""What an entry in the table of features is made of: where a figure comes from, and which evidence it is."""

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
from recommender_engine.matching.text.spans import Texts


class WeighedReason(NamedTuple):
    """A reason with its weight, which may be none of the evidence's: what agrees never speaks against.

    Attributes:
        evidence: the name of the evidence.
        weight: log-odds.
        reason: for people.
        holds_back: it is what keeps the pair from being a duplicate, so it is told whatever it weighs.
    """

    evidence: str
    weight: float
    reason: Reason
    holds_back: bool = False


class ReasonInput(NamedTuple):
    """What a reason is made of.

    Attributes:
        evidence: the name of the evidence that is told.
        weight: how far it moves the log-odds.
        pair: what was compared.
        context: how the pair stands among the item's other candidates.
        texts: both texts, to show where things stand in them.
    """

    evidence: str
    weight: float
    pair: Comparison
    context: Context
    texts: Texts

    def said(self, code: str, text: str, weight: float, **detail: Any) -> WeighedReason:
        """A reason that weighs ``weight``."""
        reason = Reason(code=code, text=text, detail={"log_odds": round(weight, 3), **detail})
        return WeighedReason(self.evidence, weight, reason)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What one or several features speak of; their weights add up to one reason.

    Attributes:
        name: of the evidence.
        tell: the sentences on a pair, and what they quote; none where there is nothing that a person would see.
        contradiction: what one side says that makes it another thing for certain, or each side in the other's place:
            where there is any, the pair is contested, and a person decides. ``None`` for evidence that is weighed and
            no more.
    """

    name: str
    tell: Callable[[ReasonInput], Iterator[WeighedReason]]
    contradiction: Callable[[Comparison], Agreement[str]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """Where features are read.

    Attributes:
        name: of the kind.
        view: what its functions are given, made once for each pair; ``None`` where there is nothing to read.
    """

    name: str
    view: Callable[[Comparison, Context], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """One thing that can be said of a pair in a number.

    Attributes:
        name: by which models and answers know it, for ever.
        sign: +1 where more of it must never lower the probability, -1 where it must never raise it, 0 where the data
            decide.
        kind: where it is read.
        function: the figure, from the view of its kind, NaN where there is nothing to compare; its docstring says what
            it is.
        evidence: what it speaks of, in reasons.
        otherwise: the figure where its kind has no view.
        before: what an answer is read as that was given before there was this feature.
        usual: of a feature that only a collection's own answers teach: what is usual, and how far values lie apart.
            The shipped model does not read it.
    """

    name: str
    sign: int
    kind: Kind
    function: Callable[[Any], float]
    evidence: Evidence
    otherwise: float = nan
    before: float = nan
    usual: tuple[float, float] | None = None


PAIR = Kind("pair", lambda pair, _: pair)
"""Of the two alone, whatever they are."""

STATED = Kind("stated", lambda pair, _: None if pair.states_nothing else pair)
"""Of the two alone, where at least one states a code, number, size or colour, or has a title."""

CONTEXT = Kind("context", lambda _, context: context)
"""Of the item's other candidates."""

CODES = Kind("codes", lambda pair, _: pair if _names_with_codes(pair) else None)
"""Of two names of things with codes: in running text a code is a topic as often as the thing."""

NEARNESS = Kind("nearness", lambda pair, context: None if _names_with_codes(pair) else context)
"""Of the item's other candidates, by their meaning, unless both name codes: other offers of a thing are as near."""


def _names_with_codes(pair: Comparison) -> bool:
    if not (pair.one.said.whole.identifiers and pair.other.said.whole.identifiers):  # as of most pairs
        return False
    return kind_of(pair.one, pair.other) is KindOfText.WITH_CODES
