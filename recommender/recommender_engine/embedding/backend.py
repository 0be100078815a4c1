"""The interface of an encoder backend, and the loaded model that it computes.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sentence_transformers import SentenceTransformer
from transformers import PreTrainedModel

from recommender_engine.embedding.encoder import Vectors
from recommender_engine.embedding.tokens import Inputs, Tokens


class Backend(Protocol):
    """Computes vectors in passes of several windows.

    Attributes:
        name: library and number type.
        tokens_per_pass: padded tokens that suit it best.
        passes_at_once: number of concurrent passes, at least 1.
    """

    name: str
    tokens_per_pass: int
    passes_at_once: int

    def embed(self, passes: Iterable[Inputs]) -> list[Vectors]:
        """Pooled vectors of each pass in float32, shape (windows, dimension), of any length."""


@dataclass(frozen=True)
class Loaded:
    """A model that has been loaded, and where it is to compute.

    Attributes:
        model: loaded in float32; not changed.
        tokens: that it reads.
        fingerprint: of the model as it is in its files.
        device: where it is.
        threads: that it may keep busy.
        cache: folder that keeps what takes long to make; ``None`` makes it anew.
    """

    model: SentenceTransformer
    tokens: Tokens
    fingerprint: str
    device: str
    threads: int
    cache: Path | None


def transformer_of(model: SentenceTransformer) -> PreTrainedModel | None:
    """The transformer inside a model, if it is of the kind that is pooled over its last hidden state."""
    found = getattr(model[0], "auto_model", None)
    return found if isinstance(found, PreTrainedModel) else None
