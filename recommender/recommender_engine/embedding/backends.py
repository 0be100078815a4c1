"""What computes the vectors: torch in a number type, or OpenVINO. All of one model, close enough to be exchanged.

Importing this module imports torch.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedModel

from recommender_engine.embedding.encoder import Vectors
from recommender_engine.embedding.tokens import Inputs, Tokens
from recommender_engine.errors import ConfigurationError

# Padded tokens in one pass through the model. On a CPU the activations should stay in the cache: of 256 to 2,048
# tokens 768 was best or near it for short and for long texts on two cores. A GPU needs more to be busy.
_TOKENS_PER_PASS = {"cpu": 768, "cuda": 16_384}
_TYPES = {"torch-float32": torch.float32, "torch-bfloat16": torch.bfloat16, "torch-float16": torch.float16}

REFERENCE = "torch-float32"
INT8 = "openvino-int8"
_OPENVINO = "openvino-bfloat16"
_EXTRAS = {_OPENVINO: "openvino", INT8: "int8"}


class Backend(Protocol):
    """Computes vectors, a pass of windows at a time.

    Attributes:
        name: library and number type.
        tokens_per_pass: padded tokens that suit it best.
        passes_at_once: how many it computes at a time; at least 1.
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


class TorchBackend:
    """The model as it is, its transformer computing in another number type.

    Pooling and what comes behind it compute in float32: a mean over bfloat16 has three digits.

    Args:
        name: library and number type.
        model: loaded in float32; not changed.
        device: where it is.
    """

    passes_at_once = 1

    def __init__(self, name: str, model: SentenceTransformer, device: str) -> None:
        self.name = name
        self.tokens_per_pass = _TOKENS_PER_PASS[device]
        self._device = device
        transformer, *self._others = model
        type_ = _TYPES[name]
        self._transformer = transformer if type_ == torch.float32 else copy.deepcopy(transformer).to(type_)

    def embed(self, passes: Iterable[Inputs]) -> list[Vectors]:
        """Pooled vectors of each pass."""
        with torch.inference_mode():
            pooled = [self._pooled(inputs) for inputs in passes]
            # Only now: to fetch a result waits for it, and a GPU should have the next pass by then.
            return [vectors.float().cpu().numpy() for vectors in pooled]

    def _pooled(self, inputs: Inputs) -> torch.Tensor:
        features = {name: torch.from_numpy(rows).to(self._device) for name, rows in inputs.items()}
        features = self._transformer(features)
        features["token_embeddings"] = features["token_embeddings"].float()
        for module in self._others:
            features = module(features)
        pooled: torch.Tensor = features["sentence_embedding"]
        return pooled


def transformer_of(model: SentenceTransformer) -> PreTrainedModel | None:
    """The transformer inside a model, if it is of the kind that is pooled over its last hidden state."""
    found = getattr(model[0], "auto_model", None)
    return found if isinstance(found, PreTrainedModel) else None


def available(device: str) -> tuple[str, ...]:
    """Names of the backends that can be had on a device and compute the same model, the reference first."""
    if device != "cpu":
        return REFERENCE, "torch-float16", "torch-bfloat16"
    return REFERENCE, "torch-bfloat16", *((_OPENVINO,) if importlib.util.find_spec("openvino") else ())


def another_model(name: str) -> str:
    """How a backend's model differs from the one in the files, as it decides what the vectors are; mostly empty."""
    if name != INT8:
        return ""
    from recommender_engine.embedding.quantising import recipe

    return recipe()


def make_backend(name: str, loaded: Loaded) -> Backend:
    """Make one of the `available` backends, or the one in int8, which is another model.

    Raises:
        ConfigurationError: there is no such backend, or not here.
        ModelError: the model cannot be converted for it.
    """
    there_are = available(loaded.device)
    if _OPENVINO in there_are and importlib.util.find_spec("nncf"):
        there_are += (INT8,)
    if name not in there_are:
        extra = f" (pip install 'celery-recommender[{_EXTRAS[name]}]')" if name in _EXTRAS else ""
        raise ConfigurationError(
            f"encoder {name!r} is not available here; there are: auto, {', '.join(there_are)}{extra}"
        )
    if name not in _EXTRAS:
        return TorchBackend(name, loaded.model, loaded.device)
    from recommender_engine.embedding.openvino_backend import OpenVinoBackend
    from recommender_engine.embedding.openvino_model import KeptModels

    models = KeptModels(loaded)
    return OpenVinoBackend(name, models.int8 if name == INT8 else models.plain, loaded)
