"""One entry in the table of features is all that a feature takes: it is added to a copy, and looked for everywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recommender_engine.items import CollectionSettings, Item
from recommender_engine.matching import Candidate, Comparable, CountedTerms, LearnedMatcher, default_model, rows_from
from recommender_engine.matching.features.table import EVIDENCE, FEATURES, TABLE
from recommender_engine.matching.model.learning import adapt
from recommender_engine.matching.model.pair_model import PairModel

ROOT = Path(__file__).parents[2]

COURTESY = '''
"""Whether one of the two says please."""

from collections.abc import Iterator

from recommender_engine.matching.pair.agreement import NOTHING, Agreement
from recommender_engine.matching.pair.comparison import Comparison
from recommender_engine.matching.pair.context import Context
from recommender_engine.matching.features.feature import Evidence, ReasonInput, WeighedReason


def courtesy_differs(pair: Comparison) -> float:
    """1 if one of the two says please."""
    return float(bool(_found(pair).here or _found(pair).there))


def lead_twice(context: Context) -> float:
    """Twice the lead."""
    return 2 * context.lead


def _found(pair: Comparison) -> Agreement[str]:
    here, there = ("please" in side.terms.whole.counts for side in (pair.one, pair.other))
    return NOTHING if here == there else Agreement((), ("please",) * here, ("please",) * there)


def _courtesy(inputs: ReasonInput) -> Iterator[WeighedReason]:
    if "courtesy" in inputs.pair.contradictions:
        at = inputs.texts.ranges(["please"])
        text = "one of the two says please"
        yield inputs.reason("courtesy_differs", text, inputs.weight, **at)._replace(prevents_duplicate=True)


COURTESY = Evidence("courtesy", _courtesy, contradiction=_found)
'''

ENTRIES = """
    Feature("courtesy_differs", -1, PAIR, courtesy.courtesy_differs, courtesy.COURTESY, before=0.0),
    Feature("lead_twice", 1, CONTEXT_KIND, courtesy.lead_twice, meaning.MEANING),
"""

LOOK = """
import importlib.util, json, sys
import numpy as np
from recommender_engine.items import CollectionSettings, Item
from recommender_engine.matching import Candidate, Comparable, CountedTerms, LearnedMatcher, default_model, rows_from
from recommender_engine.matching.features.table import CONTEXT, FEATURES, MONOTONE
from recommender_engine.matching.model.learning import UNIVERSAL, fit, learn
from recommender_engine.matching.model.pair_model import PairModel
from recommender_engine.matching.matchers.reasons import contributions

said = json.load(sys.stdin)
draw = np.random.default_rng(0)
rows = draw.random((1200, len(FEATURES)))
place = FEATURES.index("courtesy_differs")
labels = (rows[:, 0] > 0.5) & (rows[:, place] < 0.5)
model = fit(rows, labels)
low, high = rows.copy(), rows.copy()
low[:, place], high[:, place] = 0.0, 1.0
answered = rows_from([json.loads(row) for row in said["answers"]])
taught = learn(model, answered, np.array([True, False] * 4))

item, other = (Comparable(Item(id=text, text=text), text.encode()) for text in said["texts"])
def judged(by):
    return LearnedMatcher(lambda _: CountedTerms(), lambda _: by)
pair = [Candidate(other, 0.98)]
verdict = judged(model).explain(item, pair, 0, CollectionSettings())
row = judged(model).row(item, pair, 0, CollectionSettings())
older = PairModel.from_json(said["model"])

spec = importlib.util.spec_from_file_location("generate_reference", said["generator"])
generator = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generator)

print(json.dumps({
    "features": FEATURES, "sign": MONOTONE["courtesy_differs"], "context": CONTEXT, "universal": UNIVERSAL,
    "fitted": model.features, "taught": taught.features,
    "moves": float((model.log_odds(low) - model.log_odds(high)).max()),
    "rises": float((model.log_odds(high) - model.log_odds(low)).max()),
    "row": row, "answers": answered[:, place].tolist(),
    "twice": bool(np.isnan(answered[:, FEATURES.index("lead_twice")]).all()),
    "verdict": verdict.model_dump(mode="json"),
    "weighed": "courtesy" in contributions(model, rows[:1])[0],
    "older": older.log_odds(rows_from([row])).tolist(),
    "page": generator.text_of("docs/reference/features.md"),
}))
"""


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a package says whose table has two entries more; with what this one says of the same pair."""
    folder = tmp_path_factory.mktemp("grown")
    shutil.copytree(ROOT / "recommender", folder / "recommender", ignore=shutil.ignore_patterns("__pycache__"))
    matching = folder / "recommender" / "recommender_engine" / "matching"
    (matching / "features" / "courtesy.py").write_text(COURTESY)
    table = matching / "features" / "table.py"
    before = table.read_text()
    after = before.replace("import contradictions,", "import contradictions, courtesy,", 1)
    after = after.replace('    Feature("margin",', f'{ENTRIES.strip()}\n    Feature("margin",', 1)
    assert "import contradictions, courtesy," in after
    assert ENTRIES.strip() in after
    table.write_text(after)

    texts = ["the parcel did arrive", "please, the parcel did arrive"]
    here = LearnedMatcher(lambda _: CountedTerms())
    item, other = (Comparable(Item(id=text, text=text), text.encode()) for text in texts)
    row = here.row(item, [Candidate(other, 0.98)], 0, CollectionSettings())
    learned = adapt(default_model(), rows_from([row] * 8), rows_from([row] * 8)[:, 0] > 1)
    said = {
        "texts": texts,
        "answers": [json.dumps(row)] * 8,
        "model": learned.to_json(),
        "generator": str(ROOT / "tools" / "generate_reference.py"),
    }
    path = os.pathsep.join([str(folder / "recommender"), str(ROOT), str(ROOT / "workers")])
    run = subprocess.run(
        [sys.executable, "-c", LOOK],
        input=json.dumps(said),
        env={**os.environ, "PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    stored = PairModel.from_json(json.loads(json.dumps(learned.to_json())))
    mine = here.explain(item, [Candidate(other, 0.98)], 0, CollectionSettings())
    return {
        **json.loads(run.stdout),
        "row_here": row,
        "learned": stored.log_odds(rows_from([row])).tolist(),
        "verdict_here": mine.model_dump(mode="json"),
    }


def test_it_is_a_column_where_it_stands(grown: dict[str, Any]) -> None:
    assert grown["features"] == [FEATURES[0], "courtesy_differs", "lead_twice", *FEATURES[1:]]
    assert grown["row"] == {**grown["row_here"], "courtesy_differs": 1.0}, "alone there is no lead"


def test_it_is_learned_in_its_direction(grown: dict[str, Any]) -> None:
    assert grown["sign"] == -1
    assert {"courtesy_differs", "lead_twice"} <= set(grown["universal"]) & set(grown["fitted"]) & set(grown["taught"])
    assert grown["moves"] > 1.0
    assert grown["rises"] <= 1e-9


def test_it_is_hidden_with_its_kind(grown: dict[str, Any]) -> None:
    assert "lead_twice" in grown["context"]
    assert "courtesy_differs" not in grown["context"]


def test_it_contests_the_pair_and_is_a_reason(grown: dict[str, Any]) -> None:
    verdict = grown["verdict"]
    assert verdict["contested"]
    assert not grown["verdict_here"]["contested"]
    assert verdict["band"] != "duplicate"
    assert grown["weighed"]
    (reason,) = [one for one in verdict["reasons"] if one["code"] == "courtesy_differs"]
    (there,) = reason["detail"]["there_at"]
    assert "please, the parcel did arrive"[slice(*there)] == "please"


def test_answers_and_models_of_before_are_read(grown: dict[str, Any]) -> None:
    assert grown["answers"] == [0.0] * 8
    assert grown["twice"], "what may be missing is missing"
    assert grown["older"] == grown["learned"], "a model goes on without what it does not know"


def test_it_is_documented(grown: dict[str, Any]) -> None:
    assert "| `courtesy_differs` | `different` | pair | courtesy | 1 if one of the two says please. |" in grown["page"]
    assert "| `lead_twice` | `same` | context | meaning | Twice the lead. |" in grown["page"]


def test_names_stand_once_and_functions_say_what_they_are() -> None:
    assert len(set(FEATURES)) == len(TABLE)
    assert len({one.name for one in EVIDENCE}) == len(EVIDENCE)
    assert [one.name for one in TABLE if not one.function.__doc__] == []
