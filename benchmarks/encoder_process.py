"""``python -m benchmarks.encoder_process``: one encoder in a process of its own, which measures on request."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig

from benchmarks.child import Answer, serve
from recommender_engine.embedding.model_files import locate
from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2
from recommender_engine.embedding.processors import usable_processors

STOCK = "stock"
_SINGLE = 50
_TOKENS = 1024  # in one matrix of the products, about as many as in a pass


class Stock:
    """``SentenceTransformer`` as its documentation calls it."""

    def __init__(self) -> None:
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(str(locate(ALL_MINILM_L6_V2)), local_files_only=True)

    def vectors(self, texts: list[str]) -> Any:
        return self._model.encode(texts, batch_size=32, show_progress_bar=False)


class Ours:
    """The encoder of a worker, its backend one that is named."""

    def __init__(self, name: str, cache: Path) -> None:
        from recommender_engine.embedding.sentence_transformer import SentenceTransformerEncoder

        self._encoder = SentenceTransformerEncoder(ALL_MINILM_L6_V2, backend=name, cache=cache)

    def vectors(self, texts: list[str]) -> Any:
        return self._encoder.encode(texts).vectors


class Products(torch.nn.Module):
    """The matrix products of a transformer with its weights' shapes, and nothing between them."""

    def __init__(self) -> None:
        super().__init__()
        config = AutoConfig.from_pretrained(str(locate(ALL_MINILM_L6_V2)), local_files_only=True)
        width, wide = config.hidden_size, config.intermediate_size
        shapes = [*[(width, width)] * 4, (width, wide), (wide, width)] * config.num_hidden_layers
        self.layers = torch.nn.Sequential(*(torch.nn.Linear(*shape, bias=False) for shape in shapes))
        self.flop_per_token = 2 * sum(left * right for left, right in shapes)
        # Scores, and the sums that they weigh: each token with each other of its text.
        self.flop_per_pair = 4 * width * config.num_hidden_layers

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layers(rows)
        return result


def torch_products(products: Products, name: str) -> Callable[[], object]:
    """Multiplies on all threads together."""
    type_ = torch.bfloat16 if name.endswith("bfloat16") else torch.float32
    layers, rows = products.to(type_), torch.randn(_TOKENS, products.layers[0].in_features, dtype=type_)

    def multiply() -> None:
        with torch.inference_mode():
            layers(rows)

    return multiply


def openvino_products(products: Products, name: str, threads: int) -> Callable[[], object]:
    """Multiplies on each thread by itself, as the backend does."""
    from recommender_engine.embedding.openvino_backend import compiled_for
    from recommender_engine.embedding.openvino_model import load_openvino

    rows = torch.randn(_TOKENS, products.layers[0].in_features)
    model = load_openvino().convert_model(products, example_input=rows)
    if name.endswith("int8"):
        import nncf

        model = nncf.quantize(model, nncf.Dataset([rows.numpy()] * 4), subset_size=4)
    compiled = compiled_for(threads, model)
    requests = [compiled.create_infer_request() for _ in range(threads)]

    def multiply() -> None:
        for request in requests:
            request.start_async([rows.numpy()])
        for request in requests:
            request.wait()

    return multiply


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def gflop_per_s(name: str) -> float:
    """The best rate of several rounds in about a second."""
    products, threads = Products(), usable_processors()
    openvino = name.startswith("openvino")
    multiply = openvino_products(products, name, threads) if openvino else torch_products(products, name)
    tokens = _TOKENS * (threads if openvino else 1)
    multiply()
    until, best = time.perf_counter() + 1.0, float("inf")
    while time.perf_counter() < until:
        best = min(best, timed(multiply))
    return tokens * products.flop_per_token / best / 1e9


def gflop(texts: list[str]) -> float:
    """Floating-point operations of the matrix products that these texts need, without padding, in thousand millions."""
    from transformers import AutoTokenizer

    products = Products()
    tokenizer = AutoTokenizer.from_pretrained(str(locate(ALL_MINILM_L6_V2)), local_files_only=True)
    read = tokenizer(texts, truncation=True, max_length=256)["input_ids"]
    lengths = np.array([len(ids) for ids in read], dtype=np.float64)
    return float((lengths * products.flop_per_token + lengths**2 * products.flop_per_pair).sum() / 1e9)


class Measured:
    """An encoder and the texts that it is measured on."""

    def __init__(self) -> None:
        self._name = ""
        self._texts: list[str] = []
        self._encoder: Stock | Ours | None = None

    def load(self, request: Mapping[str, Any]) -> Answer:
        """Load the encoder ``name``; ``cache`` may keep its files, and ``texts`` are what it is measured on."""
        self._name, self._texts = request["name"], request["texts"]
        self._encoder = Stock() if self._name == STOCK else Ours(self._name, Path(request["cache"]))
        self._vectors(self._texts[:64])
        return {}

    def texts(self, request: Mapping[str, Any]) -> Answer:
        """How long all texts take in one call; ``save_to`` names a file for their vectors."""
        found: list[Any] = []
        seconds = timed(lambda: found.append(self._vectors(self._texts)))
        if "save_to" in request:
            np.save(Path(request["save_to"]), found[0], allow_pickle=False)
        return {"seconds": seconds}

    def one(self, request: Mapping[str, Any]) -> Answer:
        """How long one text takes: the median of several."""
        return {"seconds": statistics.median(self._seconds([text]) for text in self._texts[:_SINGLE])}

    def products(self, request: Mapping[str, Any]) -> Answer:
        """How fast the matrices that the model multiplies are multiplied."""
        return {"gflop_per_s": gflop_per_s(self._name)}

    def work(self, request: Mapping[str, Any]) -> Answer:
        """The work of all texts."""
        return {"gflop": gflop(self._texts)}

    def _seconds(self, texts: list[str]) -> float:
        return timed(lambda: self._vectors(texts))

    def _vectors(self, texts: list[str]) -> Any:
        if self._encoder is None:
            raise LookupError("not loaded")
        return self._encoder.vectors(texts)


if __name__ == "__main__":
    measured = Measured()
    serve({name: getattr(measured, name) for name in ("load", "texts", "one", "products", "work")})
