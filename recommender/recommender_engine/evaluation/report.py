"""Figures on labelled pairs: as shipped, after learning, and by one similarity alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation.labelled import PairSet, Places, Split
from recommender_engine.evaluation.metrics import (
    Labels,
    Operating,
    Ranking,
    Scores,
    expected_calibration_error,
    flagging,
    operating,
    ranking,
)
from recommender_engine.evaluation.pairs import PairJudge
from recommender_engine.items import Band, CollectionSettings, PairVerdict
from recommender_engine.items.values import Value
from recommender_engine.matching import PairModel, default_model, learn
from recommender_engine.matching.model.learning import f_threshold

CURVE = (10, 30, 100, 300)
"""How many answers the learning curve looks at."""

_DRAWS = 5
_SEED = 1


class Bands(Value):
    """The bands as flags.

    Attributes:
        duplicate: the pairs in the duplicate band.
        review: those in the duplicate or the review band.
    """

    duplicate: Operating
    review: Operating


class PairFigures(Ranking, Operating):
    """How good a model is on labelled pairs: what its order is worth, and its operating point.

    Attributes:
        expected_calibration_error: mean distance of stated probability and true share over ten bins, in [0, 1].
        bands: at the target precision.
    """

    expected_calibration_error: float
    bands: Bands


class BaselineFigures(Ranking):
    """The quality of one similarity alone.

    Attributes:
        f1: at the threshold that is best on the ``valid`` split, if the file has one.
    """

    f1: float | None


class CurvePoint(Value):
    """The quality after a number of answers: means over five draws from the ``train`` split.

    Attributes:
        answers: how many pairs were learned from.
        average_precision: on the pairs judged.
        best_f1: on them.
        expected_calibration_error: on them.
    """

    answers: int
    average_precision: float
    best_f1: float
    expected_calibration_error: float


@dataclass(frozen=True, slots=True)
class Judged:
    """Probabilities of the pairs judged, for plots and for reading the errors.

    Attributes:
        pairs: numbers of the pairs, shape (m,).
        labels: shape (m,).
        probabilities: shape (m,).
        verdicts: on them.
        model: that judged.
        figures: of them.
    """

    pairs: Places
    labels: Labels
    probabilities: Scores
    verdicts: list[PairVerdict]
    model: PairModel
    figures: PairFigures

    def wrong(self) -> list[int]:
        """Places of the wrongly flagged, the surest first, and then of the missed, the least likely first."""
        flagged = np.array([verdict.band is Band.DUPLICATE for verdict in self.verdicts])
        places = np.flatnonzero(flagged != self.labels)
        doubt = np.where(self.labels, self.probabilities, -self.probabilities)[places]
        return [int(place) for place in places[np.lexsort((doubt, self.labels[places]))]]


@dataclass(frozen=True, slots=True)
class PairEvaluation:
    """Evaluates models on one set of labelled pairs.

    Args:
        pairs: the set.
        judge: over the same.
        settings: of the collection, with the target precision.
        on: which pairs figures are about; all by default.
    """

    pairs: PairSet
    judge: PairJudge
    settings: CollectionSettings
    on: Split | None = None

    def shipped(self) -> Judged:
        """The model that ships with the package, which has learned nothing from these pairs."""
        model = default_model()
        verdicts = self.judge.verdicts(model, self.settings)
        return self._judged(model, verdicts, None)

    def learned(self, rows: NDArray[np.float64]) -> Judged:
        """Learned from ``train`` as from people's answers; the operating point is where F1 is best on ``valid``.

        Args:
            rows: features of all pairs, shape (n, len(FEATURES)).

        Raises:
            ConfigurationError: ``train`` or ``valid`` lacks pairs of one kind.
        """
        valid = self._both_kinds(Split.VALID)
        model = self._learn(rows, self._both_kinds(Split.TRAIN))
        verdicts = self.judge.verdicts(model, self.settings)
        threshold = f_threshold(_probabilities(verdicts)[valid], self.pairs.labels[valid])
        return self._judged(model, verdicts, threshold)

    def curve(self, rows: NDArray[np.float64]) -> Iterator[CurvePoint]:
        """The quality after few answers, drawn at random from ``train``; no more than there are.

        Raises:
            ConfigurationError: ``train`` lacks pairs of one kind.
        """
        train, test = self._both_kinds(Split.TRAIN), self._places()
        for answers in (0, *(count for count in CURVE if count <= len(train))):
            found = []
            for draw in range(_DRAWS if answers else 1):
                drawn = np.random.default_rng([_SEED, draw]).permutation(train)[:answers]
                model = self._learn(rows, drawn)
                stated, labels = model.probabilities(rows[test]), self.pairs.labels[test]
                ranked = ranking(labels, stated)
                found.append((ranked.average_precision, ranked.best_f1, expected_calibration_error(labels, stated)))
            precision, f1, error = np.mean(found, axis=0).tolist()
            yield CurvePoint(answers=answers, average_precision=precision, best_f1=f1, expected_calibration_error=error)

    def baselines(self) -> dict[str, BaselineFigures]:
        """Cosine of the embeddings and TF-IDF, each on its own."""
        test, valid = self._places(), self.pairs.of(Split.VALID)
        figures = {}
        for name, scores in self.judge.baselines._asdict().items():
            tuned = None
            if self.on is Split.TEST and self.pairs.labels[valid].any():
                threshold = f_threshold(scores[valid], self.pairs.labels[valid])
                tuned = operating(self.pairs.labels[test], scores[test], threshold).f1
            figures[name] = BaselineFigures(**ranking(self.pairs.labels[test], scores[test]).model_dump(), f1=tuned)
        return figures

    def explained(self, judged: Judged, places: Sequence[int]) -> Iterator[tuple[int, PairVerdict]]:
        """For some places of ``judged`` the number of the pair and the verdict on it, with reasons."""
        pairs = [int(judged.pairs[place]) for place in places]
        verdicts = self.judge.explained(judged.model, self.settings, set(pairs))
        yield from ((pair, verdicts[pair]) for pair in pairs)

    def _learn(self, rows: NDArray[np.float64], places: Places) -> PairModel:
        return learn(default_model(), rows[places], self.pairs.labels[places]) if len(places) else default_model()

    def _judged(self, model: PairModel, verdicts: Sequence[PairVerdict], threshold: float | None) -> Judged:
        """Figures at a threshold, or where the duplicate band begins."""
        places = self._places()
        labels, chosen = self.pairs.labels[places], [verdicts[place] for place in places]
        stated = _probabilities(chosen)
        duplicate = _band(labels, chosen, Band.DUPLICATE)
        figures = PairFigures(
            **ranking(labels, stated).model_dump(),
            **(duplicate if threshold is None else operating(labels, stated, threshold)).model_dump(),
            expected_calibration_error=expected_calibration_error(labels, stated),
            bands=Bands(duplicate=duplicate, review=_band(labels, chosen, Band.DUPLICATE, Band.REVIEW)),
        )
        return Judged(places, labels, stated, chosen, model, figures)

    def _places(self) -> Places:
        return np.arange(len(self.pairs.labels)) if self.on is None else self._both_kinds(self.on)

    def _both_kinds(self, split: Split) -> Places:
        places = self.pairs.of(split)
        labels = self.pairs.labels[places]
        if len(labels) == 0 or labels.all() or not labels.any():
            raise ConfigurationError(f"the split {split.value!r} needs pairs of both kinds: duplicates and others")
        return places


def _band(labels: Labels, verdicts: Sequence[PairVerdict], *bands: Band) -> Operating:
    """The quality of flagging the pairs of some bands."""
    flagged = np.array([verdict.band in bands for verdict in verdicts])
    return flagging(labels, flagged, min((one.probability for one in verdicts if one.band in bands), default=None))


def _probabilities(verdicts: Sequence[PairVerdict]) -> Scores:
    return np.array([verdict.probability for verdict in verdicts])
