"""Judges labelled pairs: each item of the left beside its candidates of the right."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from recommender_engine.embedding.encoder import Vectors
from recommender_engine.evaluation.candidate_search import CandidateSearch
from recommender_engine.evaluation.labelled import PairSet
from recommender_engine.evaluation.metrics import Scores
from recommender_engine.index import cosines
from recommender_engine.items import CollectionSettings, Item, PairVerdict
from recommender_engine.matching import Candidate, Comparable, CountedTerms, LearnedMatcher, PairModel, item_terms
from recommender_engine.matching.features.table import compare, features
from recommender_engine.matching.pair.context import contexts, cosines_among
from recommender_engine.matching.pair.profile import ItemTerms, Profile, profile
from recommender_engine.text import clean, fingerprint

_WORD = r"[^\W_]+"


class Baselines(NamedTuple):
    """Scores of pairs by one similarity alone, shape (n,).

    Attributes:
        cosine: of the embeddings, in [-1, 1].
        tfidf: cosine of TF-IDF vectors of words, with sublinear counts, in [0, 1].
    """

    cosine: Scores
    tfidf: Scores


@dataclass(frozen=True, slots=True)
class _View:
    """An item with all candidates it is judged beside.

    Attributes:
        item: place of the item.
        pairs: numbers of the labelled pairs it is the left of; their other items come first among the candidates.
        others: places of the candidates.
        cosines: of the embeddings, one for each candidate.
    """

    item: int
    pairs: list[int]
    others: list[int]
    cosines: list[float]


class PairJudge:
    """Judges labelled pairs as the engine would; statistics of terms are over all items of the set.

    Args:
        pairs: what to judge.
        vectors: of the items, shape (items, dimension), rows of unit length.
        alone: whether a pair is judged for itself. Otherwise each item of the left is judged with the nearest items of
            the right in view, as when the right were a collection and the left arrived.
        whole: the full text of each item, by which repeats are certain; by default the text that is compared.
    """

    def __init__(self, pairs: PairSet, vectors: Vectors, *, alone: bool, whole: Sequence[str] | None = None) -> None:
        self._pairs = pairs
        self._vectors = vectors
        texts = [item.content for item in pairs.items] if whole is None else whole
        self._sides = [
            Comparable(item, fingerprint(clean(text))) for item, text in zip(pairs.items, texts, strict=True)
        ]
        terms = [item_terms(item) for item in pairs.items]
        self._statistics = CountedTerms(one.whole.counts for one in terms)
        self._profiles: list[Profile] = [
            profile(item, one, self._statistics) for item, one in zip(pairs.items, terms, strict=True)
        ]
        words = tfidf(pairs.items)
        self.baselines = Baselines(
            cosine=np.einsum("ij,ij->i", vectors[pairs.left], vectors[pairs.right]).astype(np.float64),
            tfidf=np.asarray(words[pairs.left].multiply(words[pairs.right]).sum(axis=1)).ravel(),
        )
        self._views = list(self._alone() if alone else self._beside_others(terms))

    def rows(self) -> NDArray[np.float64]:
        """Features of all pairs, shape (n, len(FEATURES))."""
        rows: dict[int, list[float]] = {}
        for view in self._views:
            mine = self._profiles[view.item]
            compared = [
                compare(mine, self._profiles[other], cosine)
                for other, cosine in zip(view.others, view.cosines, strict=True)
            ]
            found = contexts(compared, cosines_among(self._vectors[view.others]) if len(view.others) > 1 else None)
            rows |= {
                pair: features(one, context) for pair, one, context in zip(view.pairs, compared, found, strict=False)
            }
        return np.array([rows[pair] for pair in range(len(rows))])

    def verdicts(self, model: PairModel, settings: CollectionSettings) -> list[PairVerdict]:
        """The verdict on each pair by a model, without reasons."""
        matcher = self._matcher(model)
        verdicts: dict[int, PairVerdict] = {}
        for view in self._views:
            judged = matcher.judge(self._sides[view.item], self._candidates(view), settings)
            verdicts |= dict(zip(view.pairs, judged, strict=False))
        return [verdicts[pair] for pair in range(len(verdicts))]

    def explained(
        self, model: PairModel, settings: CollectionSettings, pairs: Collection[int]
    ) -> dict[int, PairVerdict]:
        """The verdicts on some pairs, by number, with their reasons."""
        matcher = self._matcher(model)
        verdicts = {}
        for view in self._views:
            candidates = self._candidates(view)
            for place, pair in enumerate(view.pairs):
                if pair in pairs:
                    verdicts[pair] = matcher.explain(self._sides[view.item], candidates, place, settings)
        return verdicts

    def _matcher(self, model: PairModel) -> LearnedMatcher:
        return LearnedMatcher(lambda collection: self._statistics, lambda collection: model)

    def _candidates(self, view: _View) -> list[Candidate]:
        return [
            Candidate(self._sides[other], cosine, self._vectors[other])
            for other, cosine in zip(view.others, view.cosines, strict=True)
        ]

    def _alone(self) -> Iterator[_View]:
        for pair, (left, right) in enumerate(zip(self._pairs.left, self._pairs.right, strict=True)):
            yield _View(int(left), [pair], [int(right)], [float(self.baselines.cosine[pair])])

    def _beside_others(self, terms: Sequence[ItemTerms]) -> Iterator[_View]:
        search = CandidateSearch(np.unique(self._pairs.right), self._vectors, terms)
        labelled: dict[int, list[int]] = {}
        for pair, left in enumerate(self._pairs.left.tolist()):
            labelled.setdefault(left, []).append(pair)
        for left in sorted(labelled):
            pairs = labelled[left]
            mine = [int(self._pairs.right[pair]) for pair in pairs]
            found = dict.fromkeys(search.candidates(left))
            others = [*mine, *(one for one in found if one not in mine)]
            yield _View(left, pairs, others, cosines(self._vectors[left], self._vectors[others]).tolist())


def tfidf(items: Sequence[Item]) -> Any:
    """Unit rows of TF-IDF weights of words, a sparse matrix of shape (items, words)."""
    made = TfidfVectorizer(token_pattern=_WORD, strip_accents="unicode", sublinear_tf=True)
    return made.fit_transform([item.content for item in items]).tocsr()
