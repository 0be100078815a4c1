"""One encoder in a process of its own: ``python -m benchmarks.encoder_process NAME TEXTS.json VECTORS.npy``.

Reads one word a line on standard input, does it, and answers with one line of JSON: ``texts`` embeds all texts once,
``products`` multiplies the matrices that the model multiplies, ``one`` embeds single texts, ``vectors`` writes the
vectors of all texts. Ends with its input.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig

from recommender.embedding.model_files import locate
from recommender.embedding.model_source import ALL_MINILM_L6_V2
from recommender.embedding.processors import usable_processors

STOCK = "stock"
_SINGLE = 50
_TOKENS = 1024  # in one matrix of the products, about as many as in a pass


class Stock:
    """``SentenceTransformer`` as anybody would call it."""

    def __init__(self) -> None:
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(str(locate(ALL_MINILM_L6_V2)), local_files_only=True)

    def vectors(self, texts: list[str]) -> Any:
        return self._model.encode(texts, batch_size=32, show_progress_bar=False)


class Ours:
    """The encoder of a worker, its backend one that is named."""

    def __init__(self, name: str) -> None:
        from recommender.embedding.sentence_transformer import SentenceTransformerEncoder

        cache = Path(sys.argv[3]).parent / "cache"
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
    from recommender.embedding.openvino_backend import compiled_for
    from recommender.embedding.openvino_model import load_openvino

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


def main() -> None:
    name, texts = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    encoder = Stock() if name == STOCK else Ours(name)
    encoder.vectors(texts[:64])
    answers: dict[str, Callable[[], Any]] = {
        "texts": lambda: timed(lambda: encoder.vectors(texts)),
        "one": lambda: statistics.median(timed(lambda: encoder.vectors([text])) for text in texts[:_SINGLE]) * 1000,  # noqa: B023
        "products": lambda: gflop_per_s(name),
        "gflop": lambda: gflop(texts),
        "vectors": lambda: np.save(sys.argv[3], encoder.vectors(texts)),
    }
    out = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    print(json.dumps("ready"), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(answers[line.strip()]()), file=out, flush=True)


if __name__ == "__main__":
    main()
