"""Themes of a collection: what is found, what it is called, and that it is the same each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from celery_recommender.celery.tasks import themes as tasks
from celery_recommender.cli import asking
from celery_recommender.cli.data import themes as cli
from celery_recommender.cli.data.themes import themes as command
from recommender_engine import open_recommender
from recommender_engine.errors import InvalidCommand
from recommender_engine.pipeline.queries import export
from recommender_engine.themes import LEAST_MEMBERS, MOST_ITEMS, ThemeItem, exported, find_themes
from recommender_engine.themes.communities import Links, communities
from recommender_engine.themes.labels import labels
from tests.support.engine import Log, Models, at, opened
from tests.unit.test_eager import ask, made

DIMENSION = 32
SUBJECTS = ("invoice wrong amount", "printer jam paper", "login password reset", "delivery parcel late")


def items(count: int = 200, seed: int = 3, *, outliers: int = 0) -> list[ThemeItem]:
    """Items about four subjects, in turns; outliers are about nothing that others are about."""
    chance = np.random.default_rng(seed)
    centres = np.eye(DIMENSION)[: len(SUBJECTS)]
    found = []
    for one in range(count):
        subject = one % len(SUBJECTS)
        vector = centres[subject] + chance.normal(scale=0.08, size=DIMENSION)
        found.append(ThemeItem(f"i{one}", f"the {SUBJECTS[subject]} {one}", unit(vector)))
    apart = np.eye(DIMENSION)[len(SUBJECTS) :]
    return [*found, *(ThemeItem(f"o{one}", f"something else {one}", unit(apart[one])) for one in range(outliers))]


def unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def subject_of(id_: str) -> int:
    return int(id_[1:]) % len(SUBJECTS)


def test_items_about_one_thing_are_a_theme() -> None:
    found = find_themes(items(outliers=3))
    assert found.items == 203
    assert 180 <= found.covered == sum(theme.size for theme in found.themes) <= 200
    for theme in found.themes:
        (subject,) = {subject_of(member) for member in theme.members}
        assert set(theme.label) & set(SUBJECTS[subject].split())
        assert theme.size == len(theme.members) >= 5
        assert theme.members == tuple(sorted(theme.members, key=lambda id_: int(id_[1:])))
        assert [subject_of(one.id) for one in theme.representatives] == [subject] * 3
    sizes = [theme.size for theme in found.themes]
    assert sizes == sorted(sizes, reverse=True)
    assert len({theme.label for theme in found.themes}) == len(found.themes)


def test_representatives_are_nearest_to_the_mean_and_differ() -> None:
    """Items with one vector are one representative; all of them are members."""
    one, *others = items(40)
    copies = [one._replace(id=f"copy{number}", text="a copy") for number in range(30)]
    found = find_themes([one, *others, *copies])
    (theme,) = [theme for theme in found.themes if "copy0" in theme.members]
    assert {"i0", *(copy.id for copy in copies)} <= set(theme.members)
    shown = [representative.id for representative in theme.representatives]
    assert shown[0] == "i0"
    assert not any(id_.startswith("copy") for id_ in shown)


def test_small_themes_are_left_out() -> None:
    found = find_themes(items(16))
    assert found.themes == ()
    assert find_themes(items(16), least=4).covered == 16


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_a_few_items_are_no_reason_to_fail(count: int) -> None:
    found = find_themes(items(count))
    assert (found.items, found.covered) == (count, 0)


SCRIPT = """
import sys
sys.path.insert(0, {root!r})
from tests.unit.test_themes import items
from recommender_engine.themes import find_themes
print(find_themes(items(300, outliers=5)).model_dump_json())
"""


def test_ten_processes_find_the_same() -> None:
    root = Path(__file__).parents[2]
    script = SCRIPT.format(root=str(root))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
        )
        for seed in range(10)
    ]
    printed = {process.communicate()[0] for process in started}
    assert [process.returncode for process in started] == [0] * 10
    assert printed == {find_themes(items(300, outliers=5)).model_dump_json().encode() + b"\n"}


def test_words_and_examples_are_those_of_the_message_that_is_compared() -> None:
    log, engine = Log(), opened()
    footer = "\n\n-- \nJo Weber\nQuartzberg Holding\nZinnstrasse 4, Quartzberg"
    mails = []
    for n in range(40):
        said = f"We have the {SUBJECTS[n % 4]} once more, and nobody here knows how to go on."
        text = said + footer if n % 4 == 1 else said
        mails.append(log.upsert(f"m{n}", text, vector=at(90.0 * (n % 4) + n / 50)))
    engine.process(mails)
    found = find_themes(exported(engine.export, "default") or ())
    assert found.covered == 40
    assert not [theme.label for theme in found.themes if {"quartzberg", "zinnstrasse", "holding"} & set(theme.label)]
    shown = [one.text for theme in found.themes for one in theme.representatives]
    assert not [text for text in shown if "Quartzberg" in text]


# -- parts -------------------------------------------------------------------------------------------------------------


def graph(*edges: tuple[int, int, float]) -> list[Links]:
    found: list[Links] = [{} for _ in range(1 + max(max(one, other) for one, other, _ in edges))]
    for one, other, weight in edges:
        found[one][other] = found[other][one] = weight
    return found


def modularity(links: list[Links], of: list[int], resolution: float) -> float:
    total = sum(sum(edges.values()) for edges in links)
    inner = sum(weight for one, edges in enumerate(links) for other, weight in edges.items() if of[one] == of[other])
    degrees = Counter[int]()
    for one, edges in enumerate(links):
        degrees[of[one]] += sum(edges.values())
    return inner / total - resolution * sum((degree / total) ** 2 for degree in degrees.values())


def test_two_cliques_with_a_bridge_are_two_communities() -> None:
    cliques = [
        (one, other, 1.0) for base in (0, 5) for one in range(base, base + 5) for other in range(one + 1, base + 5)
    ]
    assert communities(graph(*cliques, (4, 5, 1.0)), 1.0) == [0] * 5 + [1] * 5


def test_no_two_communities_are_better_as_one() -> None:
    chance = np.random.default_rng(5)
    links = graph(*[(int(one), int(other), 1.0) for one, other in chance.integers(60, size=(150, 2)) if one != other])
    found = communities(links, 1.0)
    count = len(set(found))
    assert sorted(set(found)) == list(range(count))
    best = modularity(links, found, 1.0)
    assert best > max(0.3, modularity(links, list(range(len(links))), 1.0))
    for one in range(count):
        for other in range(one):
            merged = [other if number == one else number for number in found]
            assert modularity(links, merged, 1.0) <= best + 1e-9


def test_of_equally_good_communities_the_smaller_is_taken() -> None:
    path = graph((0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0))
    assert communities(path, 1.0) == [0, 0, 1, 1]


def test_labels_tell_themes_apart() -> None:
    common = {"card": 10, "bank": 10}
    one, other = Counter({**common, "refund": 6, "refunds": 5, "money": 2}), Counter({**common, "pin": 6, "code": 2})
    first, second = labels([one, other])
    assert first[0] == "refund"
    assert "refunds" not in first
    assert second[0] == "pin"
    assert labels([Counter({"a": 1}), Counter({"a": 1})]) == [("a",), ("a", "(2)")]


# -- where one asks ----------------------------------------------------------------------------------------------------


def test_a_collection_has_the_themes_of_its_newest_items() -> None:
    log = Log()
    with closing(opened()) as engine:
        engine.process([log.upsert(one.id, one.text, vector=[*one.vector.tolist(), *[0.0] * 32]) for one in items(120)])
        assert exported(engine.export, "nowhere") is None
        read = exported(engine.export, "default", last=100)
        assert read is not None
        found = find_themes(read)
    assert found.items == 100
    assert {subject_of(member) for theme in found.themes for member in theme.members} == {0, 1, 2, 3}
    assert min(int(member[1:]) for theme in found.themes for member in theme.members) >= 20


def test_the_task_answers_without_members_unless_they_are_asked_for() -> None:
    app = made(task_always_eager=True)
    assert ask(app, "themes", "nowhere") is None
    many = [{"id": one.id, "text": one.text, "vector": [*one.vector.tolist(), *[0.0] * 32]} for one in items(80)]
    ask(app, "ingest_many", many)
    found = ask(app, "themes")
    assert found["covered"] == found["items"] == 80
    assert all("members" not in theme for theme in found["themes"])
    assert sum(len(theme["members"]) for theme in ask(app, "themes", members=True)["themes"]) == 80
    with pytest.raises(InvalidCommand, match="least must be a whole number from 2"):
        ask(app, "themes", least=1)
    with pytest.raises(InvalidCommand, match="last must be a whole number from 1 to 100,000"):
        ask(app, "themes", last=100_001)


def test_commands_are_decided_between_two_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The items are read by a question for each page; what is decided in between belongs to the themes, too."""
    app = made(task_always_eager=True)
    monkeypatch.setattr(export, "_PAGE_ITEMS", 10)
    many = [{"id": one.id, "text": one.text, "vector": [*one.vector.tolist(), *[0.0] * 32]} for one in items(60)]
    ask(app, "ingest_many", many[:30])
    waiting = iter(many[30:])

    def page(self: tasks.FindThemes, collection: str, after: int, last: int) -> export.ExportPage | None:
        for one in list(islice(waiting, 10)):
            ask(app, "ingest", one)
        return read(self, collection, after, last)

    read = tasks.FindThemes._page
    monkeypatch.setattr(tasks.FindThemes, "_page", page)
    assert ask(app, "themes")["items"] == 60


def test_bounds_are_the_same_everywhere() -> None:
    assert cli.MOST_ITEMS == MOST_ITEMS
    assert cli._LEAST_MEMBERS == LEAST_MEMBERS


def test_one_caller_at_a_time() -> None:
    app = made(task_always_eager=True)
    with tasks._AT_WORK, pytest.raises(InvalidCommand, match="ask again later"):
        ask(app, "themes")
    assert ask(app, "themes") is None


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    log = Log()
    with closing(open_recommender(tmp_path / "state" / "default", Models())) as engine:
        entries = [log.upsert(one.id, one.text, vector=[*one.vector.tolist(), *[0.0] * 32]) for one in items(80)]
        engine.process(entries)
    monkeypatch.setenv("RECOMMENDER_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(asking, "catalogue", lambda settings: Models())
    monkeypatch.setattr(asking, "owner_is_at_work", lambda settings: False)
    return tmp_path


def called(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_the_command_shows_words_and_examples(state: Path) -> None:
    shown = called("default").output
    assert "printer" in shown
    assert "80 of 80 items are in a theme" in shown
    found = json.loads(called("default", "--json", "--members").output)
    assert found["collection"] == "default"
    assert sum(len(theme["members"]) for theme in found["themes"]) == 80
    assert "members" not in json.loads(called("default", "--json").output)["themes"][0]
    assert "there is no collection 'nowhere'" in called("nowhere").output


@pytest.mark.parametrize("name", ["themes.png", "themes.svg"])
def test_the_command_draws_a_picture(state: Path, name: str) -> None:
    pytest.importorskip("matplotlib")
    done = called("default", "--plot", str(state / name))
    assert done.exit_code == 0, done.output
    assert (state / name).stat().st_size > 1000
