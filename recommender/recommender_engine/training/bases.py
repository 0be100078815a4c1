"""The model that training starts from: checked before it is loaded, with the pooling that is asked for.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from recommender_engine.embedding.checks import require_unicode
from recommender_engine.embedding.encoder import Vectors
from recommender_engine.embedding.model_files import fingerprint_of, locate, refuse_code, verify
from recommender_engine.embedding.model_source import ModelSource
from recommender_engine.embedding.processors import usable_processors
from recommender_engine.embedding.sentence_transformer import load_model
from recommender_engine.errors import ConfigurationError
from recommender_engine.training.manifest import require_unchanged
from recommender_engine.training.settings import Pooling as PoolingName

_TEXTS_PER_PASS = 64


@dataclass(frozen=True, slots=True)
class Base:
    """A model on this machine whose files were checked.

    Attributes:
        name: as settings call it.
        directory: of its files.
        digests: SHA-256 in hex by path inside the directory.
    """

    name: str
    directory: Path
    digests: dict[str, str]

    @property
    def digest(self) -> str:
        """Over all files that make the model what it is."""
        return fingerprint_of(self.digests, 0)


def find_base(source: ModelSource) -> Base:
    """Locate and check the files of a model.

    Raises:
        ModelError: a file is missing or altered, the weights are pickled, there is no tokenizer, or the model brings
            code of its own.
    """
    directory = locate(source)
    digests = verify(directory, source)
    refuse_code(directory)
    require_unchanged(directory)
    return Base(source.name, directory, digests)


def device() -> str:
    """Where models are computed."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def use_threads(threads: int | None) -> None:
    """Set the CPU threads of this process; ``None``: one for each usable processor."""
    torch.set_num_threads(threads or usable_processors())


def open_bi_encoder(base: Base, pooling: PoolingName | None) -> SentenceTransformer:
    """Load a model; with another pooling than its own, the modules before and after it stay.

    Raises:
        ModelError: it cannot be loaded.
        ConfigurationError: it has no pooling that could be changed.
    """
    model = load_model(base.directory, device())
    if pooling is None:
        return model
    modules = list(model)
    places = [place for place, module in enumerate(modules) if isinstance(module, Pooling)]
    if not places:
        raise ConfigurationError(f"model {base.name!r} has no pooling of token embeddings that could be changed")
    modules[places[0]] = Pooling(modules[places[0]].embedding_dimension, pooling)
    return SentenceTransformer(modules=modules, device=device())


def pooling_of(model: SentenceTransformer) -> str:
    """Name of the pooling, with what follows it."""
    poolings = [str(module.pooling_mode) for module in model if isinstance(module, Pooling)]
    return " ".join([*poolings, *("normalised" for module in model if isinstance(module, Normalize))])


def unit_vectors(model: SentenceTransformer, texts: Sequence[str]) -> Vectors:
    """Unit vectors of texts, float32, shape (texts, dimension), computed in the number type of the moment."""
    require_unicode(texts)
    distinct = list(dict.fromkeys(texts))
    places = {text: place for place, text in enumerate(distinct)}
    vectors = model.encode(
        distinct, batch_size=_TEXTS_PER_PASS, normalize_embeddings=True, show_progress_bar=False, convert_to_tensor=True
    )
    rows: Vectors = vectors.float().cpu().numpy()
    return np.ascontiguousarray(rows[[places[text] for text in texts]])
