"""A model in 8 bits: weights and inputs of the large matrix products, with scales from calibration texts.

Importing this module imports nothing large; the library that quantises is needed only when a model is made.
"""

from __future__ import annotations

from importlib import metadata, resources
from typing import Any

from recommender_engine.embedding.tokens import Tokens

_RECIPE = 1
"""Counted up with every change that changes vectors, here or in ``calibration.txt``: another recipe, another model."""


def recipe() -> str:
    """All that the quantised model depends on besides the files, in one word; another recipe gives another model.

    The releases are in it because another may convert, quantise or round otherwise.
    """
    return f"int8-{_RECIPE}-openvino-{metadata.version('openvino')}-nncf-{metadata.version('nncf')}"


def quantised(model: Any, tokens: Tokens) -> Any:
    """An OpenVINO model with 8-bit matrix products, made from one in float32.

    Post-training static quantisation for transformers (scales from the extremes seen, SmoothQuant, Xiao et al. 2023).
    Deterministic: the same model, texts and release give the same.
    """
    import nncf

    samples = [tokens.padded([ids]) for ids in calibration(tokens)]
    return nncf.quantize(model, nncf.Dataset(samples), subset_size=len(samples), model_type=nncf.ModelType.TRANSFORMER)


def calibration(tokens: Tokens) -> list[list[int]]:
    """Windows of the texts in ``calibration.txt``: tickets and products, of the lengths that such texts have."""
    lines = resources.files(__package__).joinpath("calibration.txt").read_text(encoding="utf-8").splitlines()
    return tokens.tokenise(lines).ids
