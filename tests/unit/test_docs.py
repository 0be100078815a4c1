"""What the documentation says, held against the code."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from celery import Celery

from celery_recommender.broker.commands.log import decode
from celery_recommender.broker.events import retention
from celery_recommender.broker.redis.embedded import LARGEST_VALUE
from celery_recommender.celery.messages.validation import MOST_BYTES
from celery_recommender.celery.tasks.commands import TASKS
from celery_recommender.celery.tasks.port import MOST_ITEMS
from celery_recommender.cli.input.policies import checked, settings_of
from celery_recommender.fleet import exchange
from celery_recommender.frames.columns import ADDED
from celery_recommender.owner.delivery import webhook_lane
from celery_recommender.owner.telemetry import status
from celery_recommender.settings import SECRETS, Settings, variable
from celery_recommender.webhooks import endpoints, sending
from recommender_engine import EntryId, Recommender, open_recommender
from recommender_engine.embedding import Encoder
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import (
    START,
    CollectionSettings,
    CommandRejected,
    ItemProcessed,
    WordLists,
    limits,
    parse_command,
)
from recommender_engine.items.commands import COMMAND_TYPES
from recommender_engine.items.events import EVENT_TYPES
from recommender_engine.items.limits import KEY_WINDOW_MS
from recommender_engine.matching import differences
from recommender_engine.matching.differences import figures
from recommender_engine.matching.pair import profile
from recommender_engine.matching.text import terms
from recommender_engine.matching.text.highlights import MOST_SPANS
from recommender_engine.matching.text.reading import MOST_CHARACTERS
from recommender_engine.message.elements import MOST_TAGS
from recommender_engine.message.markup import DEEPEST
from recommender_engine.message.message import MOST_LINES
from recommender_engine.pipeline.candidates import attribute_columns
from recommender_engine.pipeline.dedup.answers import MOST_ANSWERS, MOST_IN_ALL, MOST_IN_MEMORY
from recommender_engine.pipeline.learning.training import MOST_LEARNED_FROM
from recommender_engine.pipeline.lexical import shared
from recommender_engine.pipeline.migration.incoming import _MOST_PAGE_BYTES
from recommender_engine.pipeline.migration.retention import INTERACTIONS_MS
from recommender_engine.pipeline.queries.search.searching import MOST_HITS
from recommender_engine.recommend.behaviour import learning as behaviour_learning
from recommender_engine.recommend.behaviour import rows as behaviour_rows
from recommender_engine.store import behaviour, moves, outbox, payloads, vectors
from recommender_engine.store.changed_items import MOST_CHANGED
from recommender_engine.store.mentions import MOST_MENTIONS
from recommender_engine.store.tombstones import MOST_TOMBSTONES, TOMBSTONE_WINDOW_MS
from recommender_engine.testing import DeterministicEncoder
from tests.support.engine import Log, at, opened

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
POLICIES = (DOCS / "guide/policies.md").read_text()
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "deploy/runbook.md"])
ELSEWHERE = {"RECOMMENDER_TEST_DATA", "RECOMMENDER_TORCH", "RECOMMENDER_COMPLETE"}  # of tests, tools/setup.sh, click


def _sections(page: Path) -> dict[str, str]:
    """Text by second-level heading."""
    _, *parts = re.split(r"^## (.+)\n", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _rows(text: str) -> dict[str, list[str]]:
    """Rows of all tables by the names in their first cell: ``| `a`, `b` | … |`` is a row of both."""
    rows: dict[str, list[str]] = {}
    for line in re.findall(r"^\| (`.+)\|$", text, re.MULTILINE):
        first, *cells = (cell.strip() for cell in re.split(r"(?<!\\)\|", line))
        rows |= dict.fromkeys(re.findall(r"`([^`]+)`", first), cells)
    return rows


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


# -- every page --------------------------------------------------------------------------------------------------------


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _broken(page: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        place, _, anchor = link.partition("#")
        if place.startswith("http"):
            continue
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert list(_broken(page)) == []


def test_index_leads_to_every_page() -> None:
    listed = {(DOCS / link).resolve() for link in re.findall(r"\]\(([^)#]+)", (DOCS / "index.md").read_text())}
    adr = {
        (DOCS / "adr" / link).resolve() for link in re.findall(r"\]\(([^)#]+)", (DOCS / "adr/README.md").read_text())
    }
    assert [str(page) for page in PAGES if page not in listed | adr and page != DOCS / "index.md"] == []


def test_variables_exist() -> None:
    known = (
        {variable(name) for name in Settings.model_fields} | {f"{variable(name)}_FILE" for name in SECRETS} | ELSEWHERE
    )
    used = {name for page in PAGES for name in re.findall(r"RECOMMENDER_[A-Z_]*[A-Z]", page.read_text())}
    assert variable("redis_url") in used
    assert used <= known


def test_tests_that_a_page_names_exist() -> None:
    paths = list((ROOT / "tests").rglob("test_*.py"))
    there = {path.stem for path in paths}.union(*map(_functions, paths))
    pages = [page for page in (*PAGES, *ROOT.glob("*.md")) if page.name != "testing.md"]  # its tests are the reader's
    named = {name for page in pages for name in re.findall(r"\btest_\w+", page.read_text())}
    assert len(named) > 100
    assert named - there == set()


def test_modules_that_a_page_names_exist() -> None:
    """A page that leads to a module leads to one that is there, also after modules have moved."""
    there = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if ".venv" not in path.parts}
    named = {
        name for page in (*PAGES, *ROOT.glob("*.md")) for name in re.findall(r"`([\w./-]+\.py)`", page.read_text())
    }
    assert len(named) > 100
    assert {name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in there)} == set()


def test_faults_have_a_number_each_in_order() -> None:
    numbers = [
        int(number) for number in re.findall(r"^\| F(\d+) \|", (DOCS / "reliability.md").read_text(), re.MULTILINE)
    ]
    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))


def test_decisions_are_listed_in_order() -> None:
    listed = re.findall(r"^\| \[(\d+)\]\((\S+)\)", (DOCS / "adr/README.md").read_text(), re.MULTILINE)
    records = sorted(path.name for path in (DOCS / "adr").glob("0*.md"))
    assert [name for _, name in listed] == records
    for number, name in listed:
        assert name.startswith(f"{number}-")
        assert (DOCS / "adr" / name).read_text().startswith(f"# {int(number)}. ")


# -- security ----------------------------------------------------------------------------------------------------------


def test_each_line_on_what_a_producer_can_do_names_a_test() -> None:
    section = _sections(DOCS / "security.md")["What a producer can and cannot do"]
    lines = [
        line for line in re.findall(r"^\| (.+) \|$", section, re.MULTILINE) if not line.startswith(("it can", "---"))
    ]
    assert len(lines) > 15
    there = {f"{path.name}::{name}" for path in (ROOT / "tests").rglob("test_*.py") for name in _functions(path)}
    for line in lines:
        named = re.findall(r"`(test_\w+\.py::test_\w+)`", line)
        assert named, line
        assert [test for test in named if test not in there] == []


def _functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


# -- generated pages ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_reference", ROOT / "tools/generate_reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_fresh(generator: ModuleType) -> None:
    assert generator.stale() == [], "run: python tools/generate_reference.py"


def test_every_setting_is_described(generator: ModuleType) -> None:
    rows = _rows(generator.text_of("docs/reference/settings.md").partition("## URLs")[0])
    assert rows.keys() == {variable(name) for name in Settings.model_fields}
    assert rows["RECOMMENDER_THREADS"] == [
        "",
        "whole number from 1 to 1024",
        "CPU threads of the model; empty: one for each processor that a container's quota, too, allows.",
    ]


# -- commands, events, tasks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", COMMAND_TYPES)
def test_commands_page_describes_each_command(type_: str) -> None:
    section = _sections(REFERENCE / "commands.md")[type_]
    assert COMMAND_TYPES[type_].model_fields.keys() <= _rows(section).keys()
    (example,) = _blocks(section, "json")
    assert parse_command(type_, example.encode()).type == type_


def test_commands_page_tells_the_defaults() -> None:
    rows = _rows(_sections(REFERENCE / "commands.md")["collection.configured"])
    told = {name: rows[name][0].strip("`") for name in CollectionSettings.model_fields}
    defaults = CollectionSettings().model_dump(mode="json")
    assert told == {name: one if isinstance(one, str) else json.dumps(one) for name, one in defaults.items()}


def test_commands_page_tells_every_word_list() -> None:
    rows = _rows(_sections(REFERENCE / "commands.md")["collection.configured"])
    assert {field.alias or name for name, field in WordLists.model_fields.items()} <= rows.keys()


def test_products_page_shows_words() -> None:
    (shown,) = _blocks((DOCS / "guide/products.md").read_text(), "toml words")
    lists = tomllib.loads(shown)
    assert WordLists.model_validate(lists).given() == lists


def test_products_page_shows_a_task_that_takes_whatever_is_delivered() -> None:
    (shown,) = (one for one in _blocks((DOCS / "guide/products.md").read_text(), "python") if "@app.task" in one)
    app, saved = Celery(), dict[str, list[str]]()
    names: dict[str, Any] = {"app": app, "save_recommendations": saved.__setitem__, "forget": saved.pop}
    exec(compile(shown, "products.md", "exec"), names)
    log, told = Log(), set[str]()
    with contextlib.closing(opened()) as engine:
        engine.process([log.upsert(id_, id_, vector=at(degrees)) for id_, degrees in (("a", 0), ("b", 40), ("c", 90))])
        engine.process([log.patch("a", {"in_stock": False}), log.delete("c")])
        for row in engine.outbox.after(START, 100):
            if row.type in Settings(redis_url="redis://x").deliver_types:
                app.tasks["shop.tasks.on_event"](json.loads(row.event))
                told.add(row.type)
    assert told >= {"recommender.item.processed.v1", "recommender.item.patched.v1", "recommender.item.deleted.v1"}
    assert saved.keys() == {"a", "b"}
    assert saved["b"] == ["a"]


@pytest.mark.parametrize("policy", re.findall(r"^```toml policy\n(.*?)^```$", POLICIES, re.DOTALL | re.MULTILINE))
def test_policies_page_shows_policies(policy: str) -> None:
    collections = tomllib.loads(policy)
    assert collections
    for name, settings in collections.items():
        assert checked(name, settings) != CollectionSettings()


def test_policies_page_shows_settings_as_they_are_typed() -> None:
    rows = _rows(_sections(DOCS / "guide/policies.md")["Scope"])
    assert rows == {}, "the first cell is prose"
    typed = re.findall(r"^\| [^`|]+ \| `([^`]+)` \|$", POLICIES, re.MULTILINE)
    assert len(typed) >= 5
    for words in typed:
        assert checked("any", settings_of(words.split())) != CollectionSettings()


@pytest.mark.parametrize("type_", EVENT_TYPES)
def test_events_page_describes_each_event(type_: str) -> None:
    described = _rows(_sections(REFERENCE / "events.md")[type_]).keys()
    assert EVENT_TYPES[type_].model_fields.keys() - {"command"} == described


def test_events_page_shows_an_event() -> None:
    (example,) = _blocks((REFERENCE / "events.md").read_text(), "json")
    event = json.loads(example)
    assert event["type"] == ItemProcessed.type
    assert ItemProcessed.model_validate_json(json.dumps(event["data"])).model_dump(mode="json") == event["data"]


def test_celery_page_names_every_task() -> None:
    tasks = {name for name in _rows(_sections(DOCS / "guide/celery.md")["Tasks"]) if name.startswith("recommender.")}
    assert tasks == {task.name for task in TASKS}


def test_enrich_page_names_every_column() -> None:
    assert list(_rows(_sections(DOCS / "guide/enrich.md")["Added columns"])) == list(ADDED)


# -- limits and rejections ---------------------------------------------------------------------------------------------


def _code_of(call: ast.Call) -> set[str]:
    return {node.value for node in ast.walk(call.args[0]) if isinstance(node, ast.Constant)} if call.args else set()


def _codes() -> set[str]:
    from recommender_engine.items import RefuseMessage, commands

    codes = {*commands._CODES.values(), "wrong_type", "invalid_value"}
    codes |= set(get_args(RefuseMessage.model_fields["code"].annotation))
    for path in [*(ROOT / "recommender").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "InvalidCommand":
                codes |= _code_of(node)
    return codes


def _rejections() -> dict[str, list[str]]:
    return _rows(_sections(REFERENCE / "limits-and-errors.md")["Rejected commands"])


def test_every_code_is_explained() -> None:
    assert _rejections().keys() == _codes()


class _TwoModels:
    """The default model's name and another one, without their weights."""

    names = (CollectionSettings().model, "other")

    def __init__(self) -> None:
        self._encoders = {
            name: DeterministicEncoder(dimension) for name, dimension in zip(self.names, (64, 32), strict=True)
        }

    def encoder(self, name: str) -> Encoder:
        if name not in self._encoders:
            raise ConfigurationError(name)
        return self._encoders[name]


@pytest.fixture
def engine() -> Iterator[Recommender]:
    with contextlib.closing(open_recommender(None, _TwoModels())) as engine:
        yield engine


def _send(engine: Recommender, place: int, fields: dict[str, str]) -> Any:
    raw = {name.encode(): value.encode() for name, value in fields.items()}
    (event,) = engine.process([decode(EntryId(1_764_000_000_000, place), raw, now_ms=1_764_000_000_000)])
    return event.data


@pytest.mark.parametrize(("code", "example"), [(code, cells[1]) for code, cells in _rejections().items() if cells[1]])
def test_examples_of_rejections_are_rejected(engine: Recommender, code: str, example: str) -> None:
    _send(engine, 0, {"data": '{"id":"T-0","collection":"tickets","text":"black screen"}'})
    words = shlex.split(example.strip("`"))
    data = _send(engine, 1, dict(zip(words[::2], words[1::2], strict=True)))
    assert isinstance(data, CommandRejected)
    assert data.code == code


def test_the_page_states_the_limits_of_webhooks() -> None:
    text = _sections(REFERENCE / "limits-and-errors.md")["Webhooks"]
    told = [cell for row in re.findall(r"\| ([\d,; ]+) \|$", text, re.MULTILINE) for cell in row.split("; ")]
    lane = webhook_lane
    assert [int(number.replace(",", "")) for number in told] == [
        endpoints.MOST_ENDPOINTS,
        lane.CAPACITY,
        sending.MOST_READ,
        lane.MOST_ATTEMPTS,
        lane.MOST_REFUSED,
        lane.MOST_LETTERS,
    ]


def test_the_page_states_the_actual_limits() -> None:
    text = _sections(REFERENCE / "limits-and-errors.md")["What a message may hold"]
    told = [int(number.replace(",", "")) for number in re.findall(r"\| ([\d,]+)[^|]*\|$", text, re.MULTILINE)]
    assert told == [
        limits.MAX_MESSAGE_BYTES,
        limits.MAX_NESTING,
        limits.MAX_TEXT_BYTES,
        limits.MAX_ID_BYTES,
        limits.MAX_KEY_BYTES,
        limits.MAX_NAME_CHARS,
        limits.MAX_FIELDS,
        limits.MAX_ATTRIBUTES,
        limits.MAX_ATTRIBUTE_BYTES,
        limits.MAX_ATTRIBUTE_VALUES,
        limits.MAX_VECTOR_DIMENSION,
        limits.MAX_WORDS_BYTES,
        MOST_ITEMS,
        100,
        MOST_HITS,
        shared.TERMS_READ,
        MOST_SPANS,
        limits.MAX_FILTER_DEPTH,
        limits.MAX_FILTER_CONDITIONS,
        limits.MAX_FILTER_VALUES,
        limits.MAX_FILTER_BYTES,
        limits.MAX_SHOWN_BYTES,
        MOST_BYTES,
        int(LARGEST_VALUE.removesuffix("mb")),
    ]


def test_the_page_states_how_much_of_a_text_is_read() -> None:
    rows = _sections(REFERENCE / "limits-and-errors.md")["What is read of a text"].splitlines()
    told = [int(row.split("|")[2].split()[0].replace(",", "")) for row in rows if re.match(r"\|[^|]+\| \d", row)]
    assert told == [
        256,  # of the model's own files
        terms.MOST_READ,
        terms._MOST_MEASURES,
        MOST_CHARACTERS,
        differences._MOST_TOKENS,
        figures._MOST_DATED,
        MOST_LINES,
        MOST_TAGS,
        DEEPEST,
    ]


def test_the_page_states_the_actual_bounds() -> None:
    rows = _rows(_sections(REFERENCE / "limits-and-errors.md")["What is kept, and how much of it"])
    settings = Settings()
    mib = 2**20
    bounds: dict[str, list[str]] = {
        "commands": [f"({settings.most_waiting:,})"],
        "dead-letters": [
            f"({settings.dead_letters_max_length:,})",
            f"({settings.dead_letters_max_bytes // mib} MiB)",
        ],
        "events-trimmed": [f"{retention._MOST_GAPS} consumer groups"],
        "status": [f"{status.MOST_BYTES // 1024} KiB"],
        "embed-replies": [f"{exchange.MOST_REPLIES:,}"],
        "collections": [f"({settings.max_collections:,})"],
        "answers": [f"{MOST_ANSWERS:,}", f"{MOST_IN_ALL:,}", f"{MOST_IN_MEMORY:,}"],
        "models": [f"{MOST_LEARNED_FROM:,}"],
        "tombstones": ["a week" if TOMBSTONE_WINDOW_MS == 7 * 86_400_000 else "?", f"{MOST_TOMBSTONES:,}"],
        "payloads": [f"{payloads.MOST_BYTES // mib} MiB"],
        "outbox": [
            f"({settings.outbox_hours})",
            f"{outbox.MOST_EVENTS:,}",
            f"({settings.outbox_max_bytes // 2**30} GiB)",
        ],
        "keys": [f"{KEY_WINDOW_MS // 3_600_000} hours", f"{outbox.MOST_KEYS:,}"],
        "users": [f"{behaviour_rows.MOST_IN_PROFILE} items", f"{behaviour_learning.MOST_PER_DAY} interactions"],
        "used_items": [
            f"{behaviour.MOST_WAITING:,}",
            f"{behaviour_rows.MOST_PARTNERS} partners",
            f"{behaviour_rows.RING} sessions",
        ],
        "sessions": [
            "an hour" if behaviour_learning.SESSION_GAP_MS == 3_600_000 else "?",
            f"latest {behaviour_rows.RING}",
            f"{behaviour_rows.MOST_IN_SESSION} items",
        ],
        "interactions": [f"{INTERACTIONS_MS // 86_400_000} days"],
        "mentions": [f"{MOST_MENTIONS:,}"],
        "forwards": [f"{moves.MOST_HELD:,}", f"{moves.MOST_HELD_BYTES // mib} MiB"],
        "move_parts": [f"{_MOST_PAGE_BYTES // mib} MiB"],
        "texts": [f"{profile.CACHE_BYTES // mib} MiB"],
        "items": ["48 MiB", "32,768"],
        "vectors": [f"{vectors._VECTORS_KEPT // mib} MiB"],
        "attributes": [
            f"{attribute_columns.MOST_BYTES // mib} MiB",
            f"{attribute_columns._MOST_NAMES:,}",
            f"{MOST_CHANGED:,}",
        ],
    }
    for name, told in bounds.items():
        assert [one for one in told if one not in rows[name][0]] == [], name


# -- code that readers copy --------------------------------------------------------------------------------------------


def _examples(page: Path) -> list[tuple[str, str]]:
    """Blocks marked ``runnable``, each with the block of text behind it: what it prints."""
    pattern = r"^```python runnable\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?"
    return re.findall(pattern, page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.model
@pytest.mark.parametrize(
    ("page", "least"),
    [
        ("library.md", 5),
        ("search.md", 2),
        ("filters.md", 4),
        ("themes.md", 1),
        ("incidents.md", 1),
        ("recommendations.md", 2),
        ("uses/shop.md", 6),
        ("uses/product-page.md", 3),
        ("uses/customers-also-bought.md", 3),
        ("uses/basket.md", 3),
        ("uses/home-page.md", 4),
        ("uses/replenishment.md", 3),
        ("uses/cold-start.md", 4),
        ("dataframes.md", 4),
        ("fresh-lists.md", 4),
    ],
)
def test_examples_of_a_page_run(page: str, least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    examples = _examples(DOCS / "guide" / page)
    if "The examples continue the shop of" in (DOCS / "guide" / page).read_text():
        examples = [*_examples(DOCS / "guide" / "recommendations.md")[:1], *examples]
    assert len(examples) >= least
    for code, expected in examples:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, page, "exec"), names)
        assert printed.getvalue() == expected


@pytest.mark.model
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cells = json.loads((ROOT / "examples/notebook/duplicates.ipynb").read_text())["cells"]
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for cell in cells:
            if cell["cell_type"] == "code":
                assert cell["outputs"] == [], "outputs are not kept: they change with the libraries"
                exec(compile("".join(cell["source"]), "duplicates.ipynb", "exec"), names)
    assert "58 flagged, 56 of them repeats; there are 62 repeats in all" in printed.getvalue()
    assert names["found"].again(target_precision=0.8).bands["duplicate"] > names["found"].bands["duplicate"]
    assert (tmp_path / "products.html").read_text() == names["page"]


def test_doors_show_what_is_in_the_code() -> None:
    """Every line of a diff in CONTRIBUTING.md stands in the file that it names, in that order."""
    blocks = re.findall(r"```diff\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert len(blocks) >= 6
    missing = []
    for block in blocks:
        lines: list[str] = []
        for line in block.splitlines():
            if line.startswith("+++ "):
                lines = (ROOT / line.removeprefix("+++ ")).read_text().splitlines()
            elif line[1:] in lines:
                lines = lines[lines.index(line[1:]) + 1 :]
            else:
                missing.append(line)
    assert missing == []
