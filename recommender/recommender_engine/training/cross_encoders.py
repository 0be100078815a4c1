"""Cross-encoders: one pass of the model for a pair of texts, and a probability.

Importing this module imports torch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder

from recommender_engine.embedding.sentence_transformer import no_progress_bars
from recommender_engine.errors import ModelError
from recommender_engine.training.bases import Base, device

_PAIRS_PER_PASS = 32


def open_cross_encoder(base: Base, max_tokens: int | None = None) -> CrossEncoder:
    """A cross-encoder with one output, over a directory that was checked; of another model it takes the transformer.

    Args:
        base: the model.
        max_tokens: of a pair that are read; by default as it was saved.

    Raises:
        ModelError: it cannot be loaded.
    """
    try:
        with no_progress_bars(), _no_warnings():
            model: CrossEncoder = CrossEncoder(
                str(base.directory),
                num_labels=1,
                max_length=max_tokens,
                device=device(),
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
            )
    except Exception as error:  # of four libraries that share no error
        raise ModelError(f"{base.directory} cannot be loaded as a cross-encoder ({error})") from error
    model.float().eval()
    return model


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Libraries warn that a new head has to be trained, which is what is done with it."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)


def probabilities(model: CrossEncoder, pairs: Sequence[tuple[str, ...]]) -> NDArray[np.float64]:
    """For each pair of texts the probability that they are the same, or their similarity, in [0, 1], shape (n,)."""
    listed: Any = [list(pair) for pair in pairs]
    told = model.predict(listed, batch_size=_PAIRS_PER_PASS, show_progress_bar=False)
    return np.asarray(told, np.float64)
