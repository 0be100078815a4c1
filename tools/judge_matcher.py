"""How good the verdicts of a model of pairs are: every labelled set through the real engine, in one table.

    RECOMMENDER_TEST_DATA=... python -m tools.judge_matcher [--model FILE] [--only NAME ...] [--json FILE]
        [--vectors FOLDER] [--pairs FILE ...] [--targets 0.95 0.9] [--review-budget 1]

Streams longer than `MOST` are cut to whole groups, drawn with a seed. Of product sets with published pairs the pairs of
the test split are judged too: alone, and with the nearest other items in view. Precision counts what is labelled; `low`
is the lower bound of its 95 % score interval. `review` is the share of items in that band, `held` how many true repeats
it holds, `lost` how many are in no band, `top20` how many of the twenty likeliest in review are true; `ece` and `over`
are the mean error of pairs stated at 0.1 or more in bins of equal count, and by how much a bin is too sure at most.
Vectors are kept in the folder, one file for each set: a second run takes minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from recommender_engine.embedding import KNOWN_MODELS, ModelCatalogue
from recommender_engine.evaluation import LabelledPair, PairJudge, RecordedEncoders, Split, embed, gather
from recommender_engine.items import DEFAULT_MODEL, CollectionSettings
from recommender_engine.matching import PairModel, default_model
from recommender_engine.text import clean
from tools.arrivals import STREAMS, Arrivals, item_of, rows_of, thinned, whole_groups, with_twins
from tools.judged import View, view_of_pairs, view_of_stream
from tools.mail_export import mail_export
from tools.played import Player
from tools.trial_texts import MAILS
from tools.trials import (
    as_arrivals,
    burst,
    close_together,
    floods,
    grouped,
    in_bursts,
    mails,
    summary,
    sure_pairs,
    together,
)

ROOT = Path(__file__).parents[1]
DEFAULTS = CollectionSettings()
TARGETS = (0.95, 0.9)
MOST = {
    "bugs_openoffice": 2000,
    "music_musicbrainz": 1500,
    "product_abt_buy": 1500,
    "product_amazon_google": 1500,
    "intent_banking77": 1500,
    "neardup_mccormick": 300,
}
PAIRS = {
    "product_wdc_computers": ("title",),
    "product_wdc_cameras": ("title",),
    "product_abt_buy": ("name", "description"),
    "product_amazon_google": ("title", "manufacturer"),
}
THIN = ("product_wdc_computers", "product_abt_buy", "music_musicbrainz", "bugs_openoffice")
THIN_MOST = 800
TWINS = (1, 3, 8)
TWINS_OF = ("product_wdc_computers", "music_musicbrainz", "bugs_openoffice")
ITEMS_WITH_TWINS = 240
OWN_PAIRS = ROOT / "tests" / "quality" / "pairs.jsonl"
OWN_BURSTS = ROOT / "tests" / "quality" / "bursts.jsonl"
FLOOD = 20
WIDTH = 34


class Judge:
    """Plays sets with one model.

    Args:
        data: folder of the labelled sets.
        vectors: folder where vectors are kept.
        model: of pairs.
        targets: of precision, the first one that of the table's order.
        backend: what computes the vectors.
        budget: of review, in streams.
    """

    def __init__(
        self,
        data: Path,
        vectors: Path,
        model: PairModel,
        targets: Sequence[float],
        backend: str,
        budget: float | None = DEFAULTS.review_budget,
    ) -> None:
        self._budget = budget
        self._data = data
        self._vectors = vectors
        self._model = model
        self._targets = targets
        self._models = ModelCatalogue(KNOWN_MODELS, backend=backend)
        vectors.mkdir(parents=True, exist_ok=True)

    def stream(self, stream: Arrivals, cache: str) -> list[View]:
        """A stream as it came, and its candidate pairs alone."""
        encoders = self._encoders(cache)
        embed_ahead(encoders, stream)
        said, stated = {}, {}
        for target in self._targets:
            with Player(encoders, self._model, target, review_budget=self._budget, with_alone=True) as player:
                said[target] = player.arrive(stream.items)
                stated[target] = [one for item in stream.items for one in player.stated.get(item.id, ())]
        encoders.recorded.save()
        return list(view_of_stream(stream, stated, said))

    def pairs(self, name: str) -> list[View]:
        """The published test pairs of a set, alone and in view of the nearest others."""
        pairs = gather(published(name, self._data))
        encoders = self._encoders(f"{name}-pairs")
        vectors = embed(encoders.recorded, [clean(item.content) for item in pairs.items])
        encoders.recorded.save()
        views = []
        for view, alone in (("pairs alone", True), ("pairs in view", False)):
            judge = PairJudge(pairs, vectors, alone=alone)
            verdicts = {
                target: judge.verdicts(self._model, CollectionSettings(target_precision=target))
                for target in self._targets
            }
            stated = np.array([one.probability for one in verdicts[self._targets[0]]])
            bands = {target: [one.band for one in said] for target, said in verdicts.items()}
            views.append(view_of_pairs(view, pairs.labels, stated, bands))
        return views

    def burst(self) -> dict[str, Any]:
        """Three incidents among bank questions."""
        stream = burst(self._data)
        encoders = self._encoders("trial_burst")
        found = {}
        for target in self._targets:
            with Player(encoders, self._model, target) as player:
                said = player.arrive(stream.items)
                found[str(target)] = grouped(stream, said, [player.group(item.id) for item in stream.items])
        encoders.recorded.save()
        return found

    def close_together(self, path: Path) -> dict[str, dict[str, int]]:
        """Eights of short texts that arrive close together among bank questions, by half and whether they are one."""
        encoders = self._encoders("trial_bursts")
        texts = [one for one in close_together(path) if one.length == "short"]
        eights = {
            f"{half}, {'one incident' if same else 'unlike matters'}": [
                one.reports for one in texts if (one.half, one.same) == (half, same)
            ]
            for half in ("tuned", "kept")
            for same in (True, False)
        }
        eights["floods of one intent"] = [asked for _, asked in floods(self._data, FLOOD)]
        found = {}
        for name, groups in eights.items():
            counts: Counter[str] = Counter()
            for start in range(0, len(groups), 3):
                step = 1.2 if name.startswith("floods") else 2.5
                stream = burst(self._data, groups[start : start + 3], seed=start, step=step)
                with Player(encoders, self._model, self._targets[0]) as player:
                    said = player.arrive(stream.items)
                    counts.update(grouped(stream, said, [player.group(item.id) for item in stream.items]))
                counts["told by a burst"] += len(in_bursts(said))
            found[name] = dict(counts)
        encoders.recorded.save()
        return found

    def sure(self, path: Path) -> dict[str, Any]:
        """Pairs beyond doubt, as arrivals among the samples; also by halves where the file has them."""
        encoders = self._encoders(f"pairs_{path.stem}")
        pairs = sure_pairs(path)
        told = as_arrivals(pairs, self._data, encoders, self._model, self._targets[0])
        among_each_other = together(pairs, self._data, encoders, self._model, self._targets[0])
        encoders.recorded.save()
        halves = {one.id: one.half for one in pairs}
        said: dict[str, Any] = {"all": summary(told), "told": told, "together": among_each_other}
        for half in sorted({half for half in halves.values() if half}):
            said[half] = summary([one for one in told if halves[one["id"]] == half])
        return said

    def _encoders(self, cache: str) -> RecordedEncoders:
        return RecordedEncoders(self._models, DEFAULT_MODEL, self._vectors / f"{cache}.npz")


def embed_ahead(encoders: RecordedEncoders, stream: Arrivals) -> None:
    """Texts of like length together, which is faster than in order of arrival."""
    embed(encoders.recorded, [clean(item.content) for item in stream.items])
    encoders.recorded.save()


def published(name: str, data: Path) -> Iterator[LabelledPair]:
    """The test pairs of a set."""
    for row in rows_of(data / name / "pairs.csv.gz"):
        if row["split"] == "test":
            left, right = (
                item_of("-", {field: row[f"{side}_{field}"] for field in PAIRS[name]}, attributes=_price(row, side))
                for side in ("left", "right")
            )
            yield LabelledPair(left, right, row["label"] == "1", Split.TEST)


def _price(row: dict[str, str], side: str) -> dict[str, float]:
    price = row.get(f"{side}_price", "")
    return {"price": float(price)} if price else {}


def streams(data: Path) -> dict[str, tuple[str, Callable[[], Arrivals]]]:
    """By name, how to read each stream that is played, and which set its vectors are kept with."""

    def whole(name: str) -> Arrivals:
        return whole_groups(STREAMS[name](data), MOST.get(name, 5000))

    def thin(name: str) -> Arrivals:
        found = thinned(whole(name))
        return found.only(range(min(THIN_MOST, len(found.items))))

    def twins(name: str, count: int) -> Arrivals:
        return with_twins(whole(name), count, ITEMS_WITH_TWINS // (count + 1))

    found: dict[str, tuple[str, Callable[[], Arrivals]]] = {name: (name, partial(whole, name)) for name in STREAMS}
    found |= {f"{name}, 3 % repeats": (name, partial(thin, name)) for name in THIN}
    found |= {f"{name}, {count} twins": (name, partial(twins, name, count)) for name in TWINS_OF for count in TWINS}
    found["mail_export"] = ("mail_export", lambda: mail_export().stream)
    found |= {f"trial_mails_{form}": (f"trial_mails_{form}", partial(mails, data, form)) for form in MAILS}
    return found


def head(targets: Sequence[float]) -> str:
    columns = "".join(f" | {target}: flag     P   low     R  revw held lost top20" for target in targets)
    return f"{'set':{WIDTH}s} {'view':13s}  items  pairs  same    AP    F1{columns} |   ece  over"


def line(name: str, view: View) -> str:
    """One row of the table."""
    figures = f"{_number(view.average_precision)} {_number(view.best_f1)}"
    parts = [f"{name:{WIDTH}s} {view.name:13s} {view.items:6d} {view.pairs:6d} {view.same:5d} {figures}"]
    for target, flags in view.flags.items():
        said = flags.to_json()
        unknown = f"+{flags.flagged - flags.known}" if flags.flagged > flags.known else ""
        parts.append(
            f"{target!s:4s} {f'{flags.known}{unknown}':>7s} {_number(said['precision'])}"
            f" {_number(said['precision_lower'])} {_number(said['recall'])} {100 * flags.review:5.1f}"
            f" {flags.held:4d} {flags.lost:4d} {flags.queue:5d}"
        )
    parts.append(f"{_number(view.calibration_error)} {_number(view.overconfident)}")
    return " | ".join(parts)


def _number(value: float | None) -> str:
    return "    -" if value is None else f"{value:5.3f}"


def tell_sure(name: str, said: dict[str, Any]) -> None:
    for part, one in said.items():
        if part not in {"told", "together"}:
            for label in ("different", "same"):
                counts = one[label]
                wrong = f"{counts['wrong']} of {counts['pairs']} called a duplicate of what they are not"
                print(f"{name}, {part}, {label}: {wrong}; arrived {counts['arrived']}; compared {counts['compared']}")
    print(f"{name}, all in one collection, by what the second ones are called: {said['together']}")
    print(f"{name}, wrong by kind: {said['all']['wrong_by_kind']}")


def play_bursts(judge: Judge, wanted: Callable[[str], bool]) -> dict[str, Any]:
    """What arrives close together."""
    report: dict[str, Any] = {}
    if wanted("trial_burst"):
        report["trial_burst"] = judge.burst()
        print(f"trial_burst, repeats flagged or in the group, and others that are: {report['trial_burst']}", flush=True)
    if wanted("trial_bursts") and OWN_BURSTS.is_file():
        report["trial_bursts"] = judge.close_together(OWN_BURSTS)
        for name, one in report["trial_bursts"].items():
            print(f"trial_bursts, {name}: {one}", flush=True)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model's file; by default the one that ships")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="sets whose names begin so")
    parser.add_argument("--vectors", type=Path, default=Path(tempfile.gettempdir()) / "recommender-vectors")
    parser.add_argument("--backend", default="auto", help="what computes vectors; see RECOMMENDER_EMBEDDING_BACKEND")
    parser.add_argument("--pairs", type=Path, nargs="+", default=[], help="further files of pairs beyond doubt")
    parser.add_argument("--targets", type=float, nargs="+", default=TARGETS)
    parser.add_argument(
        "--review-budget", type=float, default=DEFAULTS.review_budget, help="share of the items in review; 1 is any"
    )
    parser.add_argument("--json", type=Path, help="write all figures to a file")
    options = parser.parse_args()
    data = Path(os.environ.get("RECOMMENDER_TEST_DATA", ROOT.parent / "shared" / "data"))
    model = default_model()
    if options.model:
        model = PairModel.from_json(json.loads(options.model.read_text(encoding="utf-8")))
    judge = Judge(data, options.vectors, model, options.targets, options.backend, options.review_budget)

    def wanted(name: str) -> bool:
        return not options.only or any(name.startswith(one) for one in options.only)

    report: dict[str, Any] = {"seconds": {}}
    print(head(options.targets), flush=True)
    for name, (cache, read) in streams(data).items():
        if not wanted(name):
            continue
        started = time.process_time()
        views = [*judge.stream(read(), cache), *(judge.pairs(name) if name in PAIRS else ())]
        report[name] = [view.to_json() for view in views]
        report["seconds"][name] = round(time.process_time() - started, 1)
        for view in views:
            print(line(name, view), flush=True)
    report |= play_bursts(judge, wanted)
    for path in (*([OWN_PAIRS] if OWN_PAIRS.is_file() else []), *options.pairs):
        name = f"pairs_{path.parent.name}"
        if wanted(name):
            report[name] = judge.sure(path)
            tell_sure(name, report[name])
    print(f"processor seconds {report['seconds']}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
