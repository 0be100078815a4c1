"""``celery -A tests.support.failing_model_app worker --recommender …``: the model fails while a file says so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recommender.embedding.encoder import Embeddings, ModelIdentity
from recommender.errors import EncodingError
from recommender.items import DEFAULT_MODEL
from recommender.testing import DeterministicEncoder
from workers.celery.app import make_app
from workers.logs import configure_logs
from workers.settings import Settings


def failure(settings: Settings) -> Path:
    """While this file is there, the model fails."""
    return settings.state_dir / "the-model-fails"


class _Failing:
    names = (DEFAULT_MODEL,)

    def __init__(self, settings: Settings) -> None:
        self._failure = failure(settings)
        self._encoder = DeterministicEncoder()

    @property
    def identity(self) -> ModelIdentity:
        return self._encoder.identity

    def encoder(self, name: str) -> _Failing:
        if name not in self.names:
            raise KeyError(name)
        return self

    def encode(self, texts: Sequence[str]) -> Embeddings:
        if self._failure.exists():
            raise EncodingError("out of order")
        return self._encoder.encode(texts)


_settings = Settings.from_environment()
configure_logs(_settings)
app, _ = make_app(_settings, _Failing(_settings))
