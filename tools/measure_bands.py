"""Measure where the duplicate band begins, by view and kind of text, and write it into the model that ships.

    RECOMMENDER_TEST_DATA=... python -m tools.measure_bands [--write] [--vectors FOLDER] [--rows FOLDER]

Every labelled stream is played through the engine once, with its candidates and the terms as they were, also thinned to
3 % repeats. Sets that the model was fitted to are judged by a fit to the streams of all other domains; the samples of
this project by the model itself. A probability carries a precision in a view and for a kind if every set with `ENOUGH`
flagged has it there (`carries`: the share, and nearly the lower bound of its 95 % interval), and all sets together have
it; the point is the lowest such one, to a hundredth of log-odds. Where there is none, the band is closed from that
precision on. Deterministic: the same data give the same points.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import recommender_engine.matching.model.pair_model as shipped
from recommender_engine.embedding import KNOWN_MODELS, ModelCatalogue
from recommender_engine.evaluation import RecordedEncoders
from recommender_engine.items import DEFAULT_MODEL, Item
from recommender_engine.matching import CountedTerms, PairModel, default_model, item_terms, rows_from
from recommender_engine.matching.features.table import CONTEXT
from recommender_engine.matching.model.learning import Recipe, fit
from recommender_engine.matching.model.operating_points import OperatingPoint, carries
from recommender_engine.matching.pair.profile import Profile, profile
from recommender_engine.matching.pair.segments import SEGMENTS, Kind, Segment, View, kind_of
from tools.arrivals import Arrivals
from tools.fit_matcher import (
    CONTEXT_HIDDEN,
    DOMAINS,
    FIELDS,
    FIELDS_HIDDEN,
    MISSED,
    PRECISIONS,
    READ_FROM,
    ROOT,
    SEED,
    balanced,
    hide,
)
from tools.judge_matcher import THIN, embed_ahead, streams
from tools.played import Player

# Of the streams those that the weights were fitted to (`about` in the model's file): another fit judges them. The
# samples of this project were among them too, but are to be flagged as the model that ships flags them.
FITTED = ("product_abt_buy", "product_amazon_google", "bugs_openoffice")
OWN = ("sample_products", "sample_tickets")
NEVER_FITTED = ("product_wdc_computers", "product_wdc_cameras", "music_musicbrainz", "bugs_hadoop")
# Of fewer flagged one more wrong one decides: they count with all other sets. A sample of fewer items has few repeats
# to flag in any kind: there the share alone is asked for.
ENOUGH, LARGE = 35, 500
MOST_PAIRS = 2500  # of each stream, to fit those that judge
GRID = 1 / (1 + np.exp(-np.arange(-3.0, 7.55, 0.01)))


@dataclass(frozen=True)
class Seen:
    """All candidate pairs of a stream, as the engine saw them.

    Attributes:
        name: of the stream.
        rows: features, shape (n, len(FEATURES)).
        items: number of the item that arrived, shape (n,).
        labels: 1 where they are the same thing, 0 where not, -1 where nobody knows, shape (n,).
        held: which of them no probability flags, contested ones, and which need none, the same text; shape (n,).
        kinds: place of the kind in `Kind`, shape (n,).
    """

    name: str
    rows: np.ndarray
    items: np.ndarray
    labels: np.ndarray
    held: np.ndarray
    kinds: np.ndarray

    @property
    def set_name(self) -> str:
        """The set that the stream is made of."""
        return self.name.partition(",")[0]

    @property
    def domain(self) -> str:
        return DOMAINS.get(self.set_name, self.set_name)


def seen(name: str, stream: Arrivals, encoders: RecordedEncoders) -> Seen:
    """Play a stream."""
    embed_ahead(encoders, stream)
    with Player(encoders, default_model(), 0.95, with_rows=True) as player:
        player.arrive(stream.items)
        found = [one for item in stream.items for one in player.stated.get(item.id, ())]
    number = {item.id: segment for segment, item in enumerate(stream.items)}
    pairs = np.array([(number[one.item], number[one.other]) for one in found])
    labels = [stream.same(one, other) for one, other in pairs.tolist()]
    return Seen(
        name,
        rows_from([one.row for one in found]),
        pairs[:, 0],
        np.array([-1 if same is None else int(same) for same in labels]),
        np.array([one.contested or one.probability == 1.0 for one in found]),
        kinds(stream.items, pairs),
    )


def kinds(items: Sequence[Item], pairs: np.ndarray) -> np.ndarray:
    """The kind of each pair, by its place in `Kind`."""
    nothing, segments = CountedTerms(), {kind: segment for segment, kind in enumerate(Kind)}

    @cache
    def of(number: int) -> Profile:
        return profile(items[number], item_terms(items[number]), nothing)

    return np.array([segments[kind_of(of(one), of(other))] for one, other in pairs.tolist()])


def fitted_without(found: Sequence[Seen], domain: str) -> PairModel:
    """A fit to the streams of all other domains, by the recipe of the model that ships: it reads what that one reads.

    A feature that the shipped model does not read says nothing of its probabilities, and would move the points.
    """
    draw = np.random.default_rng(SEED)
    rows, labels, weights = [], [], []
    for one in found:
        if one.domain == domain or one.name != one.set_name:
            continue
        known = np.flatnonzero((one.labels >= 0) & ~np.isnan(one.rows[:, 0]))
        same, different = known[one.labels[known] == 1], known[one.labels[known] == 0]
        chosen = np.concatenate([same, draw.permutation(different)[: max(MOST_PAIRS - len(same), len(same))]])
        rows.append(one.rows[chosen])
        labels.append(one.labels[chosen] == 1)
        weights.append(balanced(labels[-1]))
    every = np.concatenate(rows)
    every = hide(every, CONTEXT, draw.random(len(every)) < CONTEXT_HIDDEN)
    every = hide(every, FIELDS, draw.random(len(every)) < FIELDS_HIDDEN)
    recipe = Recipe(features=default_model().features)
    return fit(every, np.concatenate(labels), np.concatenate(weights), recipe)


@dataclass(frozen=True)
class Flaggable:
    """Of one set what a band can flag in one place: probability and label of each, the likeliest first.

    Attributes:
        name: of the stream.
        large: whether it is more than a sample.
        stated: falling, shape (n,).
        right: summed labels, what a reader found of the surest errors counted as the share that is none; shape (n,).
    """

    name: str
    large: bool
    stated: np.ndarray
    right: np.ndarray

    def counts(self, probability: float) -> tuple[float, int]:
        """How many right ones there are from a probability on, and how many in all."""
        flagged = int(np.searchsorted(-self.stated, -probability, side="right"))
        return (float(self.right[flagged - 1]), flagged) if flagged else (0.0, 0)


def flaggable(one: Seen, model: PairModel, segment: Segment) -> Flaggable:
    """In a stream, of each item its likeliest pair of the kind; alone, each pair."""
    rows = one.rows if segment.view is View.STREAM else hide(one.rows, CONTEXT)
    chosen = np.flatnonzero((one.labels >= 0) & ~one.held & (one.kinds == list(Kind).index(segment.kind)))
    stated = model.probabilities(rows[chosen]) if len(chosen) else np.zeros(0)
    order = np.argsort(-stated, kind="stable")
    if segment.view is View.STREAM:
        _, first = np.unique(one.items[chosen][order], return_index=True)
        order = order[np.sort(first)]
    labels = one.labels[chosen][order].astype(float)
    missed = np.where(stated[order] >= READ_FROM, MISSED.get(one.set_name, 0.0), 0.0)
    return Flaggable(one.name, one.items.max() >= LARGE, stated[order], np.cumsum(np.where(labels == 1, 1.0, missed)))


def point(sets: Sequence[Flaggable], precision: float) -> float | None:
    """The lowest probability that carries a precision on all of some sets, and on each that is large enough."""
    for probability in GRID.tolist():
        counts = [one.counts(probability) for one in sets]
        enough = [(one.large, *count) for one, count in zip(sets, counts, strict=True) if count[1] >= ENOUGH]
        together = (True, sum(right for right, _ in counts), sum(flagged for _, flagged in counts))
        if all(
            carries(right, flagged, precision) if large else right >= precision * flagged
            for large, right, flagged in (*enough, together)
        ):
            return float(probability)
    return None


def points(sets: Sequence[Flaggable]) -> tuple[OperatingPoint, ...]:
    """Of one place; none from the first precision on that nothing carries."""
    found: list[OperatingPoint] = []
    for precision in PRECISIONS:
        probability = point(sets, precision)
        if probability is None:
            break
        least = found[-1].probability + 0.0001 if found else 0.0
        found.append(OperatingPoint(precision, round(max(probability, least), 4)))
    return tuple(found)


def measured(found: Sequence[Seen], model: PairModel) -> dict[Segment, tuple[OperatingPoint, ...]]:
    """The points of all places, each set judged by a model that has not seen its domain."""
    judges = {one.domain: fitted_without(found, one.domain) for one in found if one.set_name in FITTED}
    return {
        segment: points([flaggable(one, judges.get(one.domain, model), segment) for one in found])
        for segment in SEGMENTS
    }


def kept(name: str, folder: Path, read: Any, vectors: Path, cache_name: str) -> Seen:
    """The pairs of a stream, from a file where it was played before."""
    path = folder / f"{name.replace(', ', '-').replace(' ', '_').replace('%', 'percent')}.npz"
    if not path.is_file():
        encoders = RecordedEncoders(ModelCatalogue(KNOWN_MODELS), DEFAULT_MODEL, vectors / f"{cache_name}.npz")
        one = seen(name, read(), encoders)
        encoders.recorded.save()
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **{key: value for key, value in one.__dict__.items() if key != "name"})
    with np.load(path) as file:
        return Seen(name, **file)


def write(segments: Mapping[Segment, tuple[OperatingPoint, ...]], names: Sequence[str]) -> Path:
    path = Path(shipped.__file__).with_name(shipped.DEFAULT_FILE)
    said = json.loads(path.read_text(encoding="utf-8"))
    said["about"]["places"] = {"script": "tools/measure_bands.py", "streams": list(names)}
    model = replace(PairModel.from_json(said), segments=dict(segments))
    text = json.dumps({**said, "places": model.to_json()["places"]}, separators=(",", ":"))
    path.write_text(text + "\n", encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the points into the model that ships")
    parser.add_argument("--vectors", type=Path, default=Path(tempfile.gettempdir()) / "recommender-vectors")
    parser.add_argument("--rows", type=Path, default=Path(tempfile.gettempdir()) / "recommender-rows")
    options = parser.parse_args()
    data = Path(os.environ.get("RECOMMENDER_TEST_DATA", ROOT.parent / "shared" / "data"))
    every = streams(data)
    names = [*FITTED, *OWN, *NEVER_FITTED, *(f"{name}, 3 % repeats" for name in THIN)]
    options.vectors.mkdir(parents=True, exist_ok=True)
    found = [kept(name, options.rows, every[name][1], options.vectors, every[name][0]) for name in names]
    segments = measured(found, default_model())
    for segment, said in segments.items():
        told = ", ".join(f"{one.precision}: {one.probability}" for one in said) or "closed"
        print(f"{segment.view.value:7s} {segment.kind.value:14s} {told}")
    if options.write:
        print(write(segments, names))


if __name__ == "__main__":
    main()
