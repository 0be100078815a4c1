"""How good the verdicts are on labelled data: pairs of items, and whole streams."""

from recommender_engine.evaluation.clusters import Agreement, BCubed, agreement, bcubed, clusters
from recommender_engine.evaluation.labelled import LabelledPair, PairSet, Split, gather
from recommender_engine.evaluation.metrics import Operating, Ranking, expected_calibration_error, operating, ranking
from recommender_engine.evaluation.pairs import PairJudge
from recommender_engine.evaluation.plots import Series, plot, require_plots
from recommender_engine.evaluation.report import BaselineFigures, CurvePoint, Judged, PairEvaluation, PairFigures
from recommender_engine.evaluation.stream import (
    StreamFigures,
    StreamRun,
    StreamVerdict,
    judge_stream,
    matched,
    run_stream,
)
from recommender_engine.evaluation.vectors import RecordedEncoder, RecordedEncoders, embed

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
