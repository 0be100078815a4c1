"""Writes collections to judge recommendations by: ``items.csv`` and ``interactions.csv`` for ``recommender evaluate``.

    python -m tools.recommendation_sets misleading-text DIR [--seed 1]   what is used together has unlike texts
    python -m tools.recommendation_sets noisy-behaviour DIR [--seed 1]   before the split, baskets are drawn at random
    python -m tools.recommendation_sets withheld DIR --items FILE --interactions FILE --split TIME [--count 300]
    RECOMMENDER_TEST_DATA=... python -m tools.recommendation_sets retail DIR

The split of the two made collections is 2026-04-01. ``withheld`` takes all interactions of some items before the split
away; the seed chooses the items from those that are asked for and were used. Every file is a function of the seed.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import gzip
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from celery_recommender.records import Row, open_records
from celery_recommender.records.interactions import FIELDS, FileInteraction, resolve_interactions
from celery_recommender.records.values.dates import DateForm
from recommender_engine.evaluation.recommendations import History, Interaction, truth_of

ROOT = Path(__file__).parents[1]
BEGIN, SPLIT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
DAYS = 135
BASKETS, USERS = 10_000, 400
NOUNS = (
    *("teapot", "lantern", "cushion", "picture frame", "wall clock", "bread bin", "lunch box", "hand towel", "doormat"),
    *("candle holder", "photo album", "cake tin", "wooden tray", "paper garland", "garden fork", "umbrella", "mirror"),
    *("jewellery box", "night light", "oven glove", "egg cup", "key ring", "shopping bag", "coat hook", "sugar bowl"),
    *("door stop", "water bottle", "pencil case", "greeting card", "plant pot", "hot water bottle", "bath mat"),
    *(
        "wine rack",
        "serving spoon",
        "table cloth",
        "notebook",
        "tea strainer",
        "bird feeder",
        "alarm clock",
        "toy train",
    ),
)
LOOKS = (
    *("red spotty", "blue floral", "vintage white", "oak", "brass", "retro green", "polka dot pink", "slate grey"),
    *("ivory lace", "copper", "rustic", "striped navy", "marble", "bamboo", "enamel cream"),
)
ZIPF = 0.6
NOISE = 0.1
SEVERAL = 3  # bundles that a user likes


def made(kind: str, seed: int) -> tuple[list[tuple[str, str]], Iterator[FileInteraction]]:
    """Items (id and text) and interactions of a made collection."""
    texts = [f"{look} {noun}" for noun in NOUNS for look in LOOKS]
    items = [(f"p{number:03}", text) for number, text in enumerate(texts)]
    return items, _interactions(kind, seed, len(items))


def _interactions(kind: str, seed: int, count: int) -> Iterator[FileInteraction]:
    """Baskets out of bundles of as many items as there are looks.

    The items of a bundle have one noun in common, or, where text misleads, look and noun are drawn.
    """
    drawn = np.random.default_rng(seed)
    places = np.arange(count) if kind == "noisy-behaviour" else drawn.permutation(count)
    bundles = places.reshape(len(NOUNS), len(LOOKS))
    shares = 1.0 / np.arange(1, len(LOOKS) + 1) ** ZIPF
    popular = 1.0 / np.arange(1, count + 1) ** ZIPF
    popular = drawn.permutation(popular / popular.sum())
    liked = np.array([drawn.choice(len(bundles), SEVERAL, replace=False) for _ in range(USERS)])
    minutes = np.sort(drawn.integers(DAYS * 24 * 60, size=BASKETS))
    for basket, minute in enumerate(minutes.tolist()):
        at = BEGIN + dt.timedelta(minutes=minute)
        user, size = int(drawn.integers(USERS)), int(drawn.integers(3, 9))
        if kind == "noisy-behaviour" and at < SPLIT:
            chosen = drawn.choice(count, size, replace=False, p=popular)
        else:
            bundle = bundles[drawn.choice(liked[user])]
            chosen = drawn.choice(bundle, size, replace=False, p=shares / shares.sum())
            chosen = np.where(drawn.random(size) < NOISE, drawn.choice(count, size, p=popular), chosen)
        for item in dict.fromkeys(chosen.tolist()):
            yield FileInteraction(f"p{item:03}", at, f"u{user}", f"b{basket}", "buy", None)


def withheld(
    ids: Sequence[str], interactions: Sequence[FileInteraction], split: dt.datetime, count: int, seed: int
) -> tuple[set[str], list[FileInteraction]]:
    """Some of the items that are asked for and warm, and the interactions without theirs before the split."""
    split_ms = round(split.timestamp() * 1000)
    known = [
        Interaction(one.item, round(one.at.timestamp() * 1000), one.user, one.session, one.kind) for one in interactions
    ]
    truth = truth_of(History(ids, known, split_ms))
    warm = sorted(ids[item] for item in truth.partners if truth.warm[item])
    chosen = set(np.random.default_rng(seed).permutation(warm)[:count].tolist())
    return chosen, [one for one in interactions if one.at >= split or one.item not in chosen]


def read_interactions(path: Path) -> list[FileInteraction]:
    """All interactions of a file; rows that are none are left out."""
    with open_records(str(path)) as reader:
        mapping = resolve_interactions(reader)
        found = [mapping.read(row) for row in reader if isinstance(row, Row)]
    return [one for one in found if isinstance(one, FileInteraction)]


def read_ids(path: Path) -> list[str]:
    """Ids in the column ``id``."""
    with open_records(str(path)) as reader:
        return [str(row.values["id"]) for row in reader if isinstance(row, Row)]


def retail(data: Path) -> tuple[list[tuple[str, str]], Iterator[FileInteraction]]:
    """The catalogue of gifts with its invoices."""
    folder = data / "rec_online_retail"
    items = [(row["stock_code"], row["description"]) for row in _rows(folder / "items.csv.gz")]
    return items, (
        FileInteraction(
            code, dt.datetime.fromtimestamp(int(row["unix_time"]), dt.UTC), row["customer"], row["invoice"], "buy", None
        )
        for row in _rows(folder / "baskets.csv.gz")
        for code in row["stock_codes"].split()
    )


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as file:
        yield from csv.DictReader(file)


def write_items(folder: Path, items: Iterable[tuple[str, str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "items.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "text"), *items])


def write_interactions(folder: Path, interactions: Iterable[FileInteraction]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "interactions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        for one in interactions:
            value = "" if one.value is None else one.value
            writer.writerow((one.user or "", one.session or "", one.item, one.kind, value, one.at.isoformat()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["misleading-text", "noisy-behaviour", "withheld", "retail"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--items", type=Path)
    parser.add_argument("--interactions", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--count", type=int, default=300)
    asked = parser.parse_args()
    if asked.kind == "withheld":
        if not (asked.items and asked.interactions and (split := DateForm(per_second=1).read(asked.split))):
            parser.error("withheld needs --items, --interactions and --split")
        chosen, rest = withheld(
            read_ids(asked.items), read_interactions(asked.interactions), split, asked.count, asked.seed
        )
        write_interactions(asked.folder, rest)
        (asked.folder / "withheld.txt").write_text("".join(f"{id_}\n" for id_ in sorted(chosen)))
        return
    if asked.kind == "retail":
        items, interactions = retail(Path(os.environ.get("RECOMMENDER_TEST_DATA", ROOT.parent / "shared" / "data")))
    else:
        items, interactions = made(asked.kind, asked.seed)
    write_items(asked.folder, items)
    write_interactions(asked.folder, interactions)


if __name__ == "__main__":
    main()
