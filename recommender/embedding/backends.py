"""What computes the vectors: torch in a number type, or OpenVINO. All of one model, close enough to be exchanged.

Importing this module imports torch.
"""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import Protocol

import torch
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedModel

from recommender.embedding.encoder import Vectors
from recommender.embedding.tokens import Inputs
from recommender.errors import ConfigurationError

# Padded tokens in one pass through the model. On a CPU the activations should stay in the cache: of 256 to 2,048
# tokens 768 was best or near it for short and for long texts on two cores. A GPU needs more to be busy.
_TOKENS_PER_PASS = {"cpu": 768, "cuda": 16_384}
_TYPES = {"torch-float32": torch.float32, "torch-bfloat16": torch.bfloat16, "torch-float16": torch.float16}

REFERENCE = "torch-float32"
_OPENVINO = "openvino-bfloat16"


class Backend(Protocol):
    """Computes the vectors of one pass.

    Attributes:
        name: library and number type.
        tokens_per_pass: padded tokens that suit it best.
    """

    name: str
    tokens_per_pass: int

    def embed(self, inputs: Inputs) -> Vectors:
        """Pooled vectors in float32, shape (texts, dimension), of any length."""


class TorchBackend:
    """The model as it is, its transformer computing in another number type.

    Pooling and what comes behind it compute in float32: a mean over bfloat16 has three digits.

    Args:
        name: one of `TORCH_BACKENDS`.
        model: loaded in float32; not changed.
        device: where it is.
    """

    def __init__(self, name: str, model: SentenceTransformer, device: str) -> None:
        self.name = name
        self.tokens_per_pass = _TOKENS_PER_PASS[device]
        self._device = device
        transformer, *self._others = model
        type_ = _TYPES[name]
        self._transformer = transformer if type_ == torch.float32 else copy.deepcopy(transformer).to(type_)

    def embed(self, inputs: Inputs) -> Vectors:
        """Pooled vectors of one pass."""
        with torch.inference_mode():
            features = {name: torch.from_numpy(rows).to(self._device) for name, rows in inputs.items()}
            features = self._transformer(features)
            features["token_embeddings"] = features["token_embeddings"].float()
            for module in self._others:
                features = module(features)
            vectors: Vectors = features["sentence_embedding"].float().cpu().numpy()
        return vectors


def transformer_of(model: SentenceTransformer) -> PreTrainedModel | None:
    """The transformer inside a model, if it is of the kind that is pooled over its last hidden state."""
    found = getattr(model[0], "auto_model", None)
    return found if isinstance(found, PreTrainedModel) else None


def available(device: str) -> tuple[str, ...]:
    """Names of the backends that can be had on a device, the reference first."""
    if device != "cpu":
        return REFERENCE, "torch-float16", "torch-bfloat16"
    openvino = (_OPENVINO,) if importlib.util.find_spec("openvino") else ()
    return REFERENCE, "torch-bfloat16", *openvino


def make_backend(
    name: str, model: SentenceTransformer, device: str, threads: int, fingerprint: str, cache: Path | None
) -> Backend:
    """Make one of the `available` backends.

    Args:
        name: its name.
        model: loaded in float32.
        device: where it is.
        threads: that it may keep busy.
        fingerprint: of the model.
        cache: folder that keeps what takes long to make; ``None`` makes it anew.

    Raises:
        ConfigurationError: there is no such backend, or not here.
    """
    if name not in available(device):
        raise ConfigurationError(
            f"encoder {name!r} is not to be had here; there are: auto, {', '.join(available(device))}"
            + (" (pip install 'celery-recommender[openvino]')" if name == _OPENVINO else "")
        )
    if name != _OPENVINO:
        return TorchBackend(name, model, device)
    from recommender.embedding.openvino_backend import OpenVinoBackend

    return OpenVinoBackend(name, model, threads, fingerprint, cache)
