from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from celery_recommender.settings import wait_passively

wait_passively()  # before any test imports torch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of real servers and processes have one more try: a busy machine can hold up any of their deadlines.

    The summary lists each test that needed it (RERUN). One that is listed twice has a defect.
    """
    for item in items:
        if item.get_closest_marker("server"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Lone surrogates, which some tests log on purpose, cannot travel between the processes that run tests."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A test that sets up logging, as a command does, changes nothing for those behind it."""
    loggers = [logging.getLogger(name) for name in ("", "recommender_engine", "celery_recommender", "celery")]
    levels = [(logger, logger.level) for logger in loggers]
    yield
    for logger, level in levels:
        logger.setLevel(level)
