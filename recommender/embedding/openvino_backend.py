"""The transformer compiled by OpenVINO for the processor it runs on.

Converted from the torch module, once, and kept by the model's fingerprint. Pooling stays with torch.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openvino
import torch
from sentence_transformers import SentenceTransformer

from recommender.embedding.backends import transformer_of
from recommender.embedding.encoder import Vectors
from recommender.embedding.tokens import Inputs
from recommender.errors import ModelError

_TOKENS_PER_PASS = 2048


class OpenVinoBackend:
    """Computes in bfloat16 where the processor has it, else in float32.

    Args:
        name: of the backend.
        model: loaded in float32.
        threads: that it may keep busy.
        fingerprint: of the model.
        cache: folder that keeps the converted model; ``None`` converts it each time.

    Raises:
        ModelError: the model cannot be converted.
    """

    def __init__(
        self, name: str, model: SentenceTransformer, threads: int, fingerprint: str, cache: Path | None
    ) -> None:
        self.name = name
        self.tokens_per_pass = _TOKENS_PER_PASS
        _, *self._others = model
        core = openvino.Core()
        try:
            converted = _converted(core, model, fingerprint, cache)
            compiled = core.compile_model(
                converted,
                "CPU",
                {
                    "PERFORMANCE_HINT": "LATENCY",
                    "INFERENCE_PRECISION_HINT": "bf16",
                    "INFERENCE_NUM_THREADS": threads,
                    "NUM_STREAMS": 1,
                },
            )
        except Exception as error:  # of a library whose errors share no base
            raise ModelError(f"the model cannot be converted for OpenVINO ({type(error).__name__})") from error
        self._names = {port.any_name for port in compiled.inputs}
        self._output = compiled.outputs[0]
        self._request = compiled.create_infer_request()

    def embed(self, inputs: Inputs) -> Vectors:
        """Pooled vectors of one pass."""
        found = self._request.infer({name: inputs[name] for name in self._names})
        with torch.inference_mode():
            features: dict[str, Any] = {
                "token_embeddings": torch.from_numpy(found[self._output]).float(),
                "attention_mask": torch.from_numpy(inputs["attention_mask"]),
            }
            for module in self._others:
                features = module(features)
            vectors: Vectors = features["sentence_embedding"].numpy()
        return vectors


def _converted(core: openvino.Core, model: SentenceTransformer, fingerprint: str, cache: Path | None) -> Any:
    if cache is None:
        return _convert(model)
    # Made by one release, read by the same.
    kept = cache / f"{fingerprint}-openvino-{openvino.__version__.split('-')[0]}.xml"
    if not kept.is_file():
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            made = Path(folder) / kept.name
            openvino.save_model(_convert(model), made, compress_to_fp16=False)
            made.with_suffix(".bin").replace(kept.with_suffix(".bin"))
            made.replace(kept)  # last: what names the weights is there when they are
    return core.read_model(kept)


def _convert(model: SentenceTransformer) -> Any:
    transformer = transformer_of(model)
    if transformer is None:
        raise TypeError("no transformer that is pooled over its last hidden state")
    names = [name for name in model.tokenizer.model_input_names if name != "position_ids"]
    example = {name: torch.ones((2, 8), dtype=torch.int64) for name in names}
    with _quiet(), torch.inference_mode():
        return openvino.convert_model(transformer, example_input=example)


@contextmanager
def _quiet() -> Iterator[None]:
    """Tracing warns about every branch that it takes; the vectors are checked against the original afterwards."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
