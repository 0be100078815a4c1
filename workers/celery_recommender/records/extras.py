"""What comes only with an extra of the package."""

from __future__ import annotations

from types import ModuleType

from recommender_engine.errors import ConfigurationError


def load_parquet() -> ModuleType:
    """The module for Parquet; raises ``ConfigurationError`` saying what to install when pyarrow is missing."""
    try:
        from celery_recommender.records import parquet
    except ImportError as error:
        raise ConfigurationError("Parquet needs pyarrow: pip install 'celery-recommender[parquet]'") from error
    return parquet


def load_workbooks() -> ModuleType:
    """The module for workbooks; raises ``ConfigurationError`` saying what to install when openpyxl is missing."""
    try:
        from celery_recommender.records import workbook
    except ImportError as error:
        raise ConfigurationError("A workbook needs openpyxl: pip install 'celery-recommender[excel]'") from error
    return workbook
