"""The backends there are: torch in a number type, or OpenVINO. All of one model, close enough to be exchanged.

Importing this module imports torch.
"""

from __future__ import annotations

import importlib.util

from recommender_engine.embedding.backend import Backend, Loaded
from recommender_engine.embedding.torch_backend import TorchBackend
from recommender_engine.errors import ConfigurationError

REFERENCE = "torch-float32"
INT8 = "openvino-int8"
_OPENVINO = "openvino-bfloat16"
_EXTRAS = {_OPENVINO: "openvino", INT8: "int8"}


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
