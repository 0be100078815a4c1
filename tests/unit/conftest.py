"""What most tests of the engine begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from recommender_engine import Recommender
from tests.support.engine import Log, opened


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def engine() -> Iterator[Recommender]:
    engine = opened()
    yield engine
    engine.close()
