"""The encoder backends: torch in a number type, or OpenVINO. All compute one model, close enough to be exchanged.

Importing this module imports torch.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from recommender_engine.embedding.backend import Backend, Loaded
from recommender_engine.embedding.torch_backend import TorchBackend
from recommender_engine.errors import ConfigurationError
from recommender_engine.extras import install_command

REFERENCE = "torch-float32"
INT8 = "openvino-int8"


@dataclass(frozen=True, slots=True)
class Kind:
    """The definition of one backend.

    Attributes:
        make: from its name and the loaded model; raises ``ModelError`` if the model cannot be converted.
        on_cpu: whether it runs on processors.
        on_others: whether it runs on other devices.
        needs: libraries besides torch.
        extra: of the package, which installs them.
        model: how its model differs from the one in the files, as it decides what the vectors are. One that has this is
            not among the `available`, which can be exchanged.
    """

    make: Callable[[str, Loaded], Backend]
    on_cpu: bool = True
    on_others: bool = True
    needs: tuple[str, ...] = ()
    extra: str = ""
    model: Callable[[], str] | None = None

    def runs_on(self, device: str) -> bool:
        """Whether it is usable on a device of this machine."""
        fits = self.on_cpu if device == "cpu" else self.on_others
        return fits and all(importlib.util.find_spec(library) for library in self.needs)


def _torch(name: str, loaded: Loaded) -> Backend:
    return TorchBackend(name, loaded.model, loaded.device)


def _openvino(name: str, loaded: Loaded) -> Backend:
    from recommender_engine.embedding.openvino_backend import OpenVinoBackend
    from recommender_engine.embedding.openvino_model import KeptModels

    models = KeptModels(loaded)
    return OpenVinoBackend(name, models.int8 if name == INT8 else models.plain, loaded)


def _int8_recipe() -> str:
    from recommender_engine.embedding.quantising import recipe

    return recipe()


BACKENDS = {
    REFERENCE: Kind(_torch),
    "torch-float16": Kind(_torch, on_cpu=False),
    "torch-bfloat16": Kind(_torch),
    "openvino-bfloat16": Kind(_openvino, on_others=False, needs=("openvino",), extra="openvino"),
    INT8: Kind(_openvino, on_others=False, needs=("openvino", "nncf"), extra="int8", model=_int8_recipe),
}
"""Every backend by its name, the reference first. A new one is a module and a line here."""


def available(device: str) -> tuple[str, ...]:
    """Names of the backends that are available on a device and compute the same model, the reference first."""
    return tuple(name for name, kind in BACKENDS.items() if kind.model is None and kind.runs_on(device))


def another_model(name: str) -> str:
    """How a backend's model differs from the one in the files, as it decides what the vectors are; mostly empty."""
    kind = BACKENDS.get(name)
    return "" if kind is None or kind.model is None else kind.model()


def make_backend(name: str, loaded: Loaded) -> Backend:
    """Make a backend.

    Raises:
        ConfigurationError: there is no such backend, or not here.
        ModelError: the model cannot be converted for it.
    """
    kind = BACKENDS.get(name)
    if kind is None or not kind.runs_on(loaded.device):
        known = ", ".join(one for one, other in BACKENDS.items() if other.runs_on(loaded.device))
        extra = f" ({install_command(kind.extra)})" if kind is not None and kind.extra else ""
        raise ConfigurationError(f"encoder {name!r} is not available here; there are: auto, {known}{extra}")
    return kind.make(name, loaded)
