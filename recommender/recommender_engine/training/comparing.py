"""A bi-encoder and a cross-encoder on the same pairs: quality, speed, and what speed means for many sentences.

Importing this module imports torch.
"""

from __future__ import annotations

import time

from sentence_transformers import SentenceTransformer

from recommender_engine.items.values import Value
from recommender_engine.training.bases import Base, open_bi_encoder, unit_vectors
from recommender_engine.training.cross_encoders import open_cross_encoder, probabilities
from recommender_engine.training.examples import Examples
from recommender_engine.training.measuring import MEASURES, measured, of_scores

SENTENCES = 10_000
"""Of the example in the SBERT paper: the most similar pair among so many."""


class Side(Value):
    """One of the two.

    Attributes:
        model: its name.
        figure: on the pairs.
        per_second: texts embedded, or pairs read.
        hours_for_10000: to find the most similar pair among 10,000 sentences: 10,000 embeddings (their comparison takes
            a second), or n (n - 1) / 2 = 49,995,000 pairs.
    """

    model: str
    figure: float
    per_second: float
    hours_for_10000: float


class Comparison(Value):
    """Both.

    Attributes:
        pairs: that were compared.
        measure: name of the figure.
        bi_encoder: a vector for a text.
        cross_encoder: a pass for a pair.
    """

    pairs: int
    measure: str
    bi_encoder: Side
    cross_encoder: Side


def compared(bi_encoder: Base, cross_encoder: Base, examples: Examples) -> Comparison:
    """Measure both on pairs with scores or answers, in float32.

    Raises:
        ConfigurationError: the examples are too few or all of one kind.
        ModelError: a model cannot be loaded.
    """
    encoder = open_bi_encoder(bi_encoder, None)
    texts = examples.distinct
    _warm_up(encoder, texts)
    started = time.perf_counter()
    unit_vectors(encoder, texts)
    texts_per_s = len(texts) / (time.perf_counter() - started)
    pairs = SENTENCES * (SENTENCES - 1) // 2
    judge = open_cross_encoder(cross_encoder)
    probabilities(judge, examples.texts[:8])
    started = time.perf_counter()
    told = probabilities(judge, examples.texts)
    pairs_per_s = len(examples) / (time.perf_counter() - started)
    return Comparison(
        pairs=len(examples),
        measure=MEASURES[examples.shape],
        bi_encoder=Side(
            model=bi_encoder.name,
            figure=measured(encoder, examples),
            per_second=texts_per_s,
            hours_for_10000=SENTENCES / texts_per_s / 3600,
        ),
        cross_encoder=Side(
            model=cross_encoder.name,
            figure=of_scores(told, examples),
            per_second=pairs_per_s,
            hours_for_10000=pairs / pairs_per_s / 3600,
        ),
    )


def _warm_up(encoder: SentenceTransformer, texts: list[str]) -> None:
    unit_vectors(encoder, texts[:8])
