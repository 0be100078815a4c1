"""What tools, benchmarks, examples and tests import of the product exists; the type checker reads the product only."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("recommender_engine", "celery_recommender")
FOLDERS = ("benchmarks", "examples", "tests", "tools")


def _imported(path: Path) -> Iterator[tuple[str, str | None]]:
    """Modules of the product with the names that are imported from them, wherever the import stands in the file."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in PRODUCT:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name.partition(".")[0] in PRODUCT)


def _missing(module: str, name: str | None) -> bool:
    try:
        home = importlib.import_module(module)
        if name is not None and name not in getattr(home, "__all__", ()) and not hasattr(home, name):
            importlib.import_module(f"{module}.{name}")
    except ImportError:
        return True
    return False


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_imported_of_the_product_is_there(folder: str) -> None:
    files = [path for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts]
    assert files
    found = {(path.relative_to(ROOT).as_posix(), *one) for path in files for one in _imported(path)}
    assert sorted(one for one in found if _missing(*one[1:])) == []


def test_a_name_that_is_gone_is_noticed() -> None:
    assert _missing("recommender_engine.nowhere", None)
    assert _missing("recommender_engine.errors", "Nothing")
    assert not _missing("recommender_engine.pipeline", "batch")
