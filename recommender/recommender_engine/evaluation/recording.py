"""A matcher that notes what it was asked."""

from __future__ import annotations

from collections.abc import Sequence

from recommender_engine.items import CollectionSettings, PairVerdict
from recommender_engine.matching import Candidate, Comparable, Matcher


class RecordingMatcher:
    """A ``Matcher`` that notes the candidates of each item.

    Args:
        matcher: judges.
        candidates: where to note, by id of the item, the ids of the candidates that it arrived with, the likeliest
            first.
    """

    def __init__(self, matcher: Matcher, candidates: dict[str, list[str]]) -> None:
        self._matcher = matcher
        self._candidates = candidates

    def judge(
        self, item: Comparable, candidates: Sequence[Candidate], settings: CollectionSettings
    ) -> list[PairVerdict]:
        """The verdicts of the matcher, in the order given."""
        verdicts = list(self._matcher.judge(item, candidates, settings))
        # When groups are compared an item is judged again; its candidates are those it arrived with.
        if item.item.id not in self._candidates:
            judged = sorted(
                zip(verdicts, candidates, strict=True),
                key=lambda pair: (-pair[0].probability, -pair[0].similarity),
            )
            self._candidates[item.item.id] = [candidate.other.item.id for _, candidate in judged]
        return verdicts

    def explain(
        self, item: Comparable, candidates: Sequence[Candidate], chosen: int, settings: CollectionSettings
    ) -> PairVerdict:
        """The verdict of the matcher with its reasons."""
        return self._matcher.explain(item, candidates, chosen, settings)

    def row(
        self, item: Comparable, candidates: Sequence[Candidate], chosen: int, settings: CollectionSettings
    ) -> dict[str, float]:
        """The features of the pair."""
        return self._matcher.row(item, candidates, chosen, settings)
