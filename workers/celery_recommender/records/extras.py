"""Loads the modules of formats whose library comes with an extra of the package."""

from __future__ import annotations

import importlib
from types import ModuleType

from celery_recommender.records.input.formats import RecordFormat
from recommender_engine.errors import ConfigurationError
from recommender_engine.extras import install_command


def load_format(chosen: RecordFormat) -> ModuleType:
    """The module of a format that is no text.

    Raises:
        ConfigurationError: its library is missing; says what to install.
    """
    try:
        return importlib.import_module(f"celery_recommender.records.{chosen.module}")
    except ImportError as error:
        if chosen.binary is None:
            raise
        title, library, extra = chosen.binary
        raise ConfigurationError(f"{title} needs {library}: {install_command(extra)}") from error
