"""The transformer as OpenVINO reads it: converted from the torch module once, and kept by the model's fingerprint."""

from __future__ import annotations

import io
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import metadata
from typing import Any

import torch

from recommender_engine.embedding.backend import Loaded, transformer_of
from recommender_engine.embedding.quantising import quantised, recipe


def load_openvino() -> Any:
    """The library, without its telemetry: by default it reports every import to its makers."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


class KeptModels:
    """Converted models of one transformer.

    Args:
        loaded: the model; its cache keeps what is made here. Files of one release of a library are read by the same.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._openvino = load_openvino()

    def plain(self) -> Any:
        """In float32, as it is."""
        return self._kept(f"openvino-{metadata.version('openvino')}", self._convert)

    def int8(self) -> Any:
        """Weights and activations in 8 bits where that pays."""
        return self._kept(recipe(), self._quantise)

    def _kept(self, kind: str, make: Callable[[], Any]) -> Any:
        cache = self._loaded.cache
        if cache is None:
            return make()
        kept = cache / f"{self._loaded.fingerprint}-{kind}.xml"
        if not kept.is_file():
            cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                made = cache / folder / kept.name
                self._openvino.save_model(make(), made, compress_to_fp16=False)
                made.with_suffix(".bin").replace(kept.with_suffix(".bin"))
                made.replace(kept)  # last: what names the weights is there when they are
        return self._openvino.Core().read_model(kept)

    def _convert(self) -> Any:
        transformer = transformer_of(self._loaded.model)
        if transformer is None:
            raise TypeError("no transformer that is pooled over its last hidden state")
        names = [name for name in self._loaded.model.tokenizer.model_input_names if name != "position_ids"]
        example = {name: torch.ones((2, 8), dtype=torch.int64) for name in names}
        with _quiet(), torch.inference_mode():
            return self._openvino.convert_model(transformer, example_input=example)

    def _quantise(self) -> Any:
        with _quiet():
            return quantised(self.plain(), self._loaded.tokens)


@contextmanager
def _quiet() -> Iterator[None]:
    """Tracing warns about every branch that it takes, quantising draws bars; the vectors are checked afterwards."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
