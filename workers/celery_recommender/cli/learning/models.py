"""Models that commands name: declared ones, or directories."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from celery_recommender.celery.worker.plugin import catalogue
from celery_recommender.settings import Settings
from recommender_engine.embedding import ModelSource
from recommender_engine.errors import ConfigurationError
from recommender_engine.extras import install_command

_NEEDED = ("datasets", "accelerate")


def named_model(name: str, settings: Settings) -> ModelSource:
    """A model by the name of a declared or registered one, or by the path of its directory.

    Raises:
        ConfigurationError: there is neither.
    """
    known = catalogue(settings)
    if name in known.names:
        return known.source(name)
    if Path(name).is_dir():
        return ModelSource(Path(name).absolute().name, Path(name).absolute())
    raise ConfigurationError(
        f"model {name!r} is neither a directory nor one of {', '.join(known.names)}"
        " (RECOMMENDER_MODELS declares others)"
    )


def require_training() -> None:
    """See to it that the libraries of training are there.

    Raises:
        ConfigurationError: one is missing; says what to install.
    """
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise ConfigurationError(f"training needs {' and '.join(missing)}: {install_command('train')}")
