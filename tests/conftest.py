from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from workers.settings import wait_passively

wait_passively()  # before any test imports torch


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Lone surrogates, which some tests log on purpose, cannot travel between the processes that run tests."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
