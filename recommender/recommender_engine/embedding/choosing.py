"""Selects the backend for a model on this machine: the fastest of those that agree with the reference."""

from __future__ import annotations

import json
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from recommender_engine.embedding.backend import Backend
from recommender_engine.embedding.backends import REFERENCE
from recommender_engine.embedding.computing import embed
from recommender_engine.embedding.encoder import Vectors
from recommender_engine.embedding.tokens import Tokens
from recommender_engine.errors import ModelError, RecommenderError
from recommender_engine.event_log import event_log

log = event_log(__name__)

LEAST_COSINE = 0.999
"""Largest distance from the reference's vectors; a backend above it counts as another model."""

LEAST_COSINE_OF_INT8 = 0.95
"""That model is known to be another one; vectors that are further off come of a damaged file."""

_MEASURED_S = 1.0  # of each backend
_ROUNDS = 3  # at least

_SUBJECTS = ("The printer", "My last order", "The invoice of March", "Our router", "The login page", "A parcel")
_TROUBLES = (
    "does not work",
    "was charged twice, and nobody answered my two letters about it",
    "shows error E-1107 as soon as I press the green button; I have tried another cable and another room already",
    "came without its lid",
)
PROBE = tuple(f"{subject} {trouble}." for subject in _SUBJECTS for trouble in _TROUBLES)
"""Texts of the lengths that tickets and products have."""


class Chooser:
    """Measures backends, checks that they agree, and remembers.

    Args:
        make: makes a backend by name.
        names: what there is, the reference first.
        tokens: of the model.
        dimension: of its vectors.
        cache: folder that keeps what was chosen; ``None`` chooses anew each time.
    """

    def __init__(
        self,
        make: Callable[[str], Backend],
        names: Sequence[str],
        tokens: Tokens,
        dimension: int,
        cache: Path | None,
    ) -> None:
        self._make = make
        self._names = names
        self._tokens = tokens
        self._dimension = dimension
        self._cache = cache

    def choose(self, model_key: str, threads: int) -> Backend:
        """The backend for a model on this machine.

        A choice that was made under the same circumstances is taken again, after a check of its vectors.
        """
        circumstances = {"model": model_key, "threads": threads, "backends": list(self._names), **_machine()}
        reference = self._make(REFERENCE)
        expected = self._probe(reference)
        path = None if self._cache is None else self._cache / f"{model_key.rpartition('@')[2]}-encoder.json"
        kept = _read(path, circumstances)
        if kept is not None and (found := self._agreeing(kept, reference, expected)) is not None:
            return found
        measured: dict[str, float] = {}
        best, backends = REFERENCE, {REFERENCE: reference}
        for name in self._names:
            backend = self._agreeing(name, reference, expected)
            if backend is None:
                continue
            backends[name] = backend
            measured[name] = round(self._texts_per_s(backend), 1)
            if measured[name] > measured[best]:
                best = name
        log.info("encoder.chosen", extra={"encoder": best, "texts_per_s": measured, "model": model_key})
        _write(path, {**circumstances, "chosen": best, "texts_per_s": measured})
        return backends[best]

    def _agreeing(self, name: str, reference: Backend, expected: Vectors) -> Backend | None:
        """The backend, unless it fails here or its vectors are others."""
        if name == REFERENCE:
            return reference
        try:
            backend = self._make(name)
            worst = float((self._probe(backend) * expected).sum(axis=1).min())
        except (RecommenderError, ValueError, RuntimeError) as error:
            log.warning("encoder.unusable", extra={"encoder": name, "error": str(error)[:200]})
            return None
        if worst < LEAST_COSINE:
            log.warning("encoder.disagrees", extra={"encoder": name, "cosine": round(worst, 6)})
            return None
        return backend

    def _probe(self, backend: Backend) -> Vectors:
        return embed(backend, self._tokens, self._tokens.tokenise(PROBE), self._dimension)

    def _texts_per_s(self, backend: Backend) -> float:
        """The best of several rounds: what else runs on the machine only ever takes time away."""
        best, until, rounds = float("inf"), time.monotonic() + _MEASURED_S, 0
        while rounds < _ROUNDS or time.monotonic() < until:
            started = time.perf_counter()
            self._probe(backend)
            best, rounds = min(best, time.perf_counter() - started), rounds + 1
        return len(PROBE) / best


def require_agreement(
    backend: Backend, reference: Backend, tokens: Tokens, dimension: int, least: float = LEAST_COSINE
) -> None:
    """Make sure that a backend which was asked for computes what it should.

    Args:
        backend: it.
        reference: the model as it is.
        tokens: of the model.
        dimension: of its vectors.
        least: cosine of its vectors to the reference's, for every text of the probe.

    Raises:
        ModelError: its vectors are others.
    """
    read = tokens.tokenise(PROBE)
    vectors, expected = (embed(one, tokens, read, dimension) for one in (backend, reference))
    worst = float((vectors * expected).sum(axis=1).min())
    if worst < least:
        raise ModelError(
            f"encoder {backend.name!r} gives other vectors here than {reference.name}: the worst cosine is {worst:.4f},"
            f" and should be {least} at least"
        )


def _machine() -> dict[str, Any]:
    versions = {name: _version(name) for name in ("torch", "openvino", "sentence-transformers")}
    return {"machine": platform.machine(), "processor": _processor(), "versions": versions}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _read(path: Path | None, circumstances: dict[str, Any]) -> str | None:
    try:
        kept = json.loads(path.read_bytes()) if path is not None else None
    except (OSError, ValueError):
        return None
    if not isinstance(kept, dict) or any(kept.get(name) != value for name, value in circumstances.items()):
        return None
    chosen = kept.get("chosen")
    return chosen if chosen in circumstances["backends"] else None


def _write(path: Path | None, choice: dict[str, Any]) -> None:
    if path is None:
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            json.dump(choice, file, indent=1)
        Path(file.name).replace(path)
    except OSError as error:
        log.warning("encoder.choice_not_kept", extra={"error": str(error)})
