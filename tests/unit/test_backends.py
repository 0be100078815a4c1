"""Which backends a device has, and torch in another number type, on a model of a few numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recommender_engine.embedding import backends, torch_backend
from recommender_engine.embedding.backend import Loaded
from recommender_engine.embedding.backends import INT8, REFERENCE, available, make_backend
from recommender_engine.embedding.torch_backend import TorchBackend
from recommender_engine.errors import ConfigurationError


class Transformer(torch.nn.Module):
    """Embeds a token as a row of its table; notes what it computed in."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(100, 4)
        self.computed_in: list[torch.dtype] = []

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        rows = self.table(features["input_ids"])
        self.computed_in.append(rows.dtype)
        return {**features, "token_embeddings": rows}


class Pooling(torch.nn.Module):
    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        assert features["token_embeddings"].dtype == torch.float32, "a mean in fewer bits is another vector"
        return {**features, "sentence_embedding": features["token_embeddings"].mean(dim=1)}


def model() -> Any:
    return torch.nn.Sequential(Transformer(), Pooling())


def loaded(device: str) -> Loaded:
    return Loaded(model(), None, "", device, 1, None)  # type: ignore[arg-type]


PASSES = [{"input_ids": np.array([[1, 2, 3], [4, 5, 6]])}, {"input_ids": np.array([[7]])}]


@pytest.mark.parametrize("name", [REFERENCE, "torch-bfloat16", "torch-float16"])
def test_the_transformer_computes_in_the_number_type_and_pooling_in_float32(name: str) -> None:
    original = model()
    expected = TorchBackend(REFERENCE, original, "cpu").embed(PASSES)
    backend = TorchBackend(name, original, "cpu")
    found = backend.embed(PASSES)
    assert [rows.shape for rows in found] == [(2, 4), (1, 4)]
    for rows, others in zip(found, expected, strict=True):
        assert rows.dtype == np.float32
        np.testing.assert_allclose(rows, others, atol=0.02)
    assert original[0].table.weight.dtype == torch.float32, "the model that was given is as it was"
    assert backend._transformer.computed_in[-2:] == [torch_backend._TYPES[name]] * 2


def test_a_gpu_computes_in_torch_and_takes_larger_passes() -> None:
    assert available("cuda") == (REFERENCE, "torch-float16", "torch-bfloat16")
    for name in available("cuda"):
        made = make_backend(name, loaded("cuda"))
        assert (made.name, made.passes_at_once) == (name, 1)
        assert made.tokens_per_pass > TorchBackend(name, model(), "cpu").tokens_per_pass
    with pytest.raises(ConfigurationError, match=r"'openvino-int8' is not available here; .*pip install 'nncf"):
        make_backend(INT8, loaded("cuda"))


@pytest.mark.parametrize(
    ("installed", "names"),
    [((), ()), (("openvino",), ("openvino-bfloat16",)), (("openvino", "nncf"), ("openvino-bfloat16",))],
)
def test_int8_is_never_among_those_that_are_measured(
    installed: tuple[str, ...], names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: Path() if name in installed else None)
    assert available("cpu") == (REFERENCE, "torch-bfloat16", *names)


@pytest.mark.parametrize("installed", [(), ("openvino",), ("nncf",)])
def test_int8_without_its_extra_says_what_to_install(
    installed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: Path() if name in installed else None)
    with pytest.raises(ConfigurationError, match=r"pip install 'nncf\S*' 'openvino>=\S*'"):
        make_backend(INT8, loaded("cpu"))


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is installed here, to be changed."""
    installed = {"openvino": "2026.1.0", "nncf": "3.4.0"}
    monkeypatch.setattr("importlib.metadata.version", installed.__getitem__)
    return installed


@pytest.mark.parametrize("upgraded", ["openvino", "nncf"])
def test_int8_of_another_release_is_another_model(upgraded: str, releases: dict[str, str]) -> None:
    before = backends.another_model(INT8)
    assert before
    releases[upgraded] += ".1"
    assert backends.another_model(INT8) != before


def test_other_number_types_are_the_same_model() -> None:
    assert not any(backends.another_model(name) for device in ("cpu", "cuda") for name in available(device))
