"""How good the verdicts are on labelled data: pairs of items, and whole streams."""

from recommender.evaluation.clusters import Agreement, BCubed, agreement, bcubed, clusters
from recommender.evaluation.labelled import LabelledPair, PairSet, Split, gather
from recommender.evaluation.metrics import Operating, Ranking, expected_calibration_error, operating, ranking
from recommender.evaluation.pairs import PairJudge
from recommender.evaluation.plots import Series, plot, require_plots
from recommender.evaluation.report import BaselineFigures, CurvePoint, Judged, PairEvaluation, PairFigures
from recommender.evaluation.stream import (
    StreamFigures,
    StreamRun,
    StreamVerdict,
    judge_stream,
    matched,
    run_stream,
)
from recommender.evaluation.vectors import RecordedEncoder, RecordedEncoders, embed

__all__ = [
    "Agreement",
    "BCubed",
    "BaselineFigures",
    "CurvePoint",
    "Judged",
    "LabelledPair",
    "Operating",
    "PairEvaluation",
    "PairFigures",
    "PairJudge",
    "PairSet",
    "Ranking",
    "RecordedEncoder",
    "RecordedEncoders",
    "Series",
    "Split",
    "StreamFigures",
    "StreamRun",
    "StreamVerdict",
    "agreement",
    "bcubed",
    "clusters",
    "embed",
    "expected_calibration_error",
    "gather",
    "judge_stream",
    "matched",
    "operating",
    "plot",
    "ranking",
    "require_plots",
    "run_stream",
]
