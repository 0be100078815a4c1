"""Rules of the house that no linter knows, read from the syntax tree of the sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from importlinter.api import read_configuration

ROOT = Path(__file__).parents[2]
IMPORTS = ROOT / "docs" / "internals" / "imports.md"
MOST_MODULES = 12  # in a room that has rooms beside it
MOST_PARAMETERS = 6  # of a constructor

NUMBERED = re.compile(r"(?:[=(,]|\b(?:AND|IS|LIMIT|LIKE|NOT|OR|SELECT|THEN|ELSE)\b) *\?[1-9]")

Tree = ast.Module
Offences = Iterator[str]

ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv"}
CLOCKS = {
    "time.time",
    "time.time_ns",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "datetime.date.today",
}
CHANCE = {"random", "secrets", "os.urandom", "uuid.uuid1", "uuid.uuid4", "numpy.random"}
SEEDED = {"numpy.random.default_rng", "numpy.random.Generator"}
PICKLES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def _imported(tree: Tree) -> dict[str, str]:
    """What each local name stands for: ``{"np": "numpy", "now": "datetime.datetime.now"}``."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                package = alias.name.partition(".")[0]
                names[alias.asname or package] = alias.name if alias.asname else package
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _dotted(node: ast.expr, imported: dict[str, str]) -> str | None:
    """``np.random.rand`` as ``numpy.random.rand``; ``None`` for what does not start at an import."""
    if isinstance(node, ast.Name):
        return imported.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value, imported)
        return owner and f"{owner}.{node.attr}"
    return None


def _uses(tree: Tree) -> Iterator[tuple[int, str]]:
    """Everything imported that the module imports or mentions, by full name, with its line."""
    imported = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                yield node.lineno, prefix + alias.name
        elif isinstance(node, ast.Name | ast.Attribute) and (name := _dotted(node, imported)):
            yield node.lineno, name


def _within(name: str, banned: set[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in banned)


def reads_environment(tree: Tree) -> Offences:
    yield from (f"{line}: {name}" for line, name in _uses(tree) if _within(name, ENVIRONMENT))


def reads_clock(tree: Tree) -> Offences:
    yield from (f"{line}: {name}" for line, name in _uses(tree) if _within(name, CLOCKS))


def depends_on_chance(tree: Tree) -> Offences:
    for line, name in _uses(tree):
        if _within(name, CHANCE) and name != "numpy.random" and not _within(name, SEEDED):
            yield f"{line}: {name}"
    imported = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and not node.args and not node.keywords:
            maker = _dotted(node.func, imported)
            if maker and _within(maker, SEEDED):
                yield f"{node.lineno}: {maker} without a seed"


def prints(tree: Tree) -> Offences:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"{node.lineno}: print"


def pickles(tree: Tree) -> Offences:
    yield from (f"{line}: {name}" for line, name in _uses(tree) if name.partition(".")[0] in PICKLES)


def numbers_placeholders(tree: Tree) -> Offences:
    """``?1`` beside a sequence: Python 3.12 warns of it, and 3.14 refuses it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NUMBERED.search(node.value):
            yield f"{node.lineno}: {node.value}"


def _sources(*folders: str, besides: tuple[str, ...] = ()) -> list[Path]:
    """Every Python file below the folders, but for the paths that begin with one of ``besides``."""
    files = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [path for path in files if not path.relative_to(ROOT).as_posix().startswith(besides)]


def _offences(rule: Callable[[Tree], Offences], files: list[Path]) -> list[str]:
    assert files
    trees = ((path.relative_to(ROOT), ast.parse(path.read_bytes())) for path in files)
    return [f"{path}:{offence}" for path, tree in trees for offence in rule(tree)]


@pytest.mark.parametrize(
    ("rule", "offence", "innocent"),
    [
        (reads_environment, "import os\nos.environ['A']", "import os\nos.getpid()"),
        (reads_environment, "from os import getenv as g\ng('A')", "environ = {}\nenviron['A']"),
        (reads_environment, "import os.path\nos.environ.get('A')", "import os.path\nos.path.join('a')"),
        (reads_clock, "import time\ntime.time()", "import time\ntime.perf_counter()"),
        (reads_clock, "from datetime import datetime, UTC\ndatetime.now(UTC)", "class C: pass\nC().now()"),
        (reads_clock, "import datetime as dt\ndt.date.today()", "import datetime as dt\ndt.date(2024, 1, 2)"),
        (depends_on_chance, "import random", "import numpy as np\nnp.random.default_rng(7).random(3)"),
        (depends_on_chance, "import numpy as np\nnp.random.rand(3)", "from numpy.random import Generator"),
        (depends_on_chance, "import numpy as np\nnp.random.default_rng()", "import uuid\nuuid.uuid5(a, b)"),
        (depends_on_chance, "from uuid import uuid4\nuuid4()", "def random(): pass\nrandom()"),
        (prints, "print(1)", "console.print(1)"),
        (pickles, "from pickle import loads", "import json\njson.loads('1')"),
        (pickles, "import joblib", "pickle_protocol = 5"),
        (numbers_placeholders, "x('SELECT 1 WHERE a=?1', (1,))", "x('SELECT 1 WHERE a=?', (1,))"),
        (numbers_placeholders, "x(f'{y} LIMIT ?2')", "x(f'{y} LIMIT :most')"),
    ],
)
def test_rule_tells_offence_from_innocence(rule: Callable[[Tree], Offences], offence: str, innocent: str) -> None:
    assert list(rule(ast.parse(offence)))
    assert not list(rule(ast.parse(innocent)))


def test_environment_is_read_in_one_place() -> None:
    files = _sources("recommender", "workers", besides=("workers/celery_recommender/settings.py",))
    assert _offences(reads_environment, files) == []


def test_engine_reads_no_clock() -> None:
    assert _offences(reads_clock, _sources("recommender")) == []


def test_engine_leaves_nothing_to_chance() -> None:
    assert _offences(depends_on_chance, _sources("recommender")) == []


def test_only_the_command_line_prints() -> None:
    assert _offences(prints, _sources("recommender", "workers", besides=("workers/celery_recommender/cli",))) == []


def test_placeholders_have_no_numbers() -> None:
    assert _offences(numbers_placeholders, _sources("recommender", "workers", "benchmarks", "tools")) == []


def test_nothing_is_pickled() -> None:
    folders = ("recommender", "workers", "tests", "benchmarks", "examples", "tools")
    assert _offences(pickles, _sources(*folders, besides=("examples/node-producer/node_modules",))) == []


def test_rooms_are_small_and_say_what_they_hold() -> None:
    """A newcomer finds his way by the names of a dozen modules, and by one sentence a room."""
    containers = [name for name in _layered() if name and "." in name]
    assert len(containers) > 5
    for container in containers:
        folder = next(path for path in (ROOT / "recommender", ROOT / "workers") if (path / _path(container)).is_dir())
        for room in (one.parent for one in (folder / _path(container)).glob("*/__init__.py")):
            assert len([one for one in room.glob("*.py") if one.name != "__init__.py"]) <= MOST_MODULES, room
            assert (ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or "").count("\n") == 0, room


def _constructors(tree: Tree) -> Iterator[tuple[str, int]]:
    """Constructors by their class, and how many parameters each has besides ``self``."""
    for found in ast.walk(tree):
        for one in found.body if isinstance(found, ast.ClassDef) else ():
            if isinstance(one, ast.FunctionDef) and one.name == "__init__":
                yield found.name, len([*one.args.posonlyargs, *one.args.args, *one.args.kwonlyargs]) - 1


def test_constructors_have_few_parameters() -> None:
    trees = (ast.parse(path.read_bytes()) for path in _sources("recommender", "workers"))
    many = {name: count for tree in trees for name, count in _constructors(tree) if count > MOST_PARAMETERS}
    assert not many, "an object is hidden in the parameters, or the class does two jobs"


def _path(name: str) -> str:
    return name.replace(".", "/")


def _layered() -> dict[str | None, list[str]]:
    """Layers of each import contract by its container, highest first; ``None``: the packages themselves."""
    contracts = read_configuration(str(ROOT / ".importlinter"))["contracts_options"]
    return {one.get("containers", [None])[0]: one["layers"] for one in contracts if one["type"] == "layers"}


def _block(name: str) -> list[str]:
    """Lines of a block of the page on imports."""
    block = re.search(rf"^```{name}\n(.*?)^```$", IMPORTS.read_text(), re.DOTALL | re.MULTILINE)
    assert block, f"{IMPORTS} has no block that begins with ```{name}"
    return block[1].splitlines()


def _layer(names: str, container: str = "") -> set[str]:
    return {container + name.strip() for name in names.split("|")}


def test_imports_page_tells_the_layers_that_are_enforced() -> None:
    layered = _layered()
    enforced = [_layer(names, f"{package}.") for package in layered[None] for names in layered[package]]
    assert [_layer(line) for line in _block("layers")] == enforced


def test_imports_page_tells_the_rooms_that_are_enforced() -> None:
    layered = _layered()
    rooms = {name: [_layer(one) for one in layers] for name, layers in layered.items() if name and "." in name}
    told = (line.partition(": ") for line in _block("rooms"))
    assert {name: [_layer(one) for one in layers.split(">")] for name, _, layers in told} == rooms
