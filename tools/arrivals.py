"""Labelled streams: items in the order they arrive, and which of them are the same thing.

Read from the folder that ``RECOMMENDER_TEST_DATA`` names, and from the samples of this project. A stream can be thinned
to few repeats, cut to whole groups, or given a number of twins for each thing; every draw has a seed.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from recommender_engine.items import Item
from tools.edits import Edits
from tools.streams import groups_of

SAMPLES = Path(__file__).parents[1] / "workers" / "celery_recommender" / "samples"
# Longer ones do not fit into an item.
LONGEST_FIELD = 16_000
ORDINARY_SHARE = 0.03
SEED = 13


@dataclass(frozen=True)
class Arrivals:
    """A stream of items.

    Attributes:
        items: in order of arrival, each with an id of its own.
        groups: the true group of each item, shape (n,).
        apart: pairs of groups, the lower first, that are known to be different things; ``None`` where all are that are
            not the same.
        sources: where each item is from, if nobody looked for what repeats itself in one source, shape (n,).
    """

    items: list[Item]
    groups: np.ndarray
    apart: frozenset[tuple[int, int]] | None = None
    sources: np.ndarray | None = None

    def same(self, one: int, other: int) -> bool | None:
        """Whether two items are the same thing, by number; ``None`` where nobody knows."""
        low, high = sorted((int(self.groups[one]), int(self.groups[other])))
        if low == high:
            return True
        if self.sources is not None and self.sources[one] == self.sources[other]:
            return None
        return False if self.apart is None or (low, high) in self.apart else None

    def repeats(self) -> np.ndarray:
        """Whether each item repeats an earlier one, shape (n,)."""
        _, first = np.unique(self.groups, return_index=True)
        repeated = np.ones(len(self.groups), bool)
        repeated[first] = False
        return repeated

    def only(self, kept: Sequence[int] | np.ndarray) -> Arrivals:
        """These items alone, in the order given."""
        chosen = np.array(kept, int)
        sources = None if self.sources is None else self.sources[chosen]
        return Arrivals([self.items[number] for number in chosen], self.groups[chosen], self.apart, sources)


def whole_groups(stream: Arrivals, most: int, seed: int = SEED) -> Arrivals:
    """Groups drawn until there are about ``most`` items; in the order they came."""
    if len(stream.items) <= most:
        return stream
    groups, sizes = np.unique(stream.groups, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(groups))
    drawn = order[: int(np.searchsorted(np.cumsum(sizes[order]), most, side="right"))]
    return stream.only(np.flatnonzero(np.isin(stream.groups, groups[drawn])))


def thinned(stream: Arrivals, share: float = ORDINARY_SHARE, seed: int = SEED) -> Arrivals:
    """The stream without as many repeats as leave this share of all items; first ones stay."""
    repeated = stream.repeats()
    numbers = np.flatnonzero(repeated)
    wanted = round(share * (~repeated).sum() / (1 - share))
    kept = ~repeated
    kept[np.random.default_rng(seed).permutation(numbers)[:wanted]] = True
    return stream.only(np.flatnonzero(kept))


def with_twins(stream: Arrivals, twins: int, things: int, seed: int = SEED) -> Arrivals:
    """A stream in which so many things have exactly so many twins, and as many items again have none.

    Groups that are large enough are cut; where there are too few of those, the largest are filled up with edited copies
    of their own members. Twins come at random places behind the first.

    Args:
        stream: where items are taken from.
        twins: of each repeated thing, beside its first item.
        things: how many are repeated.
        seed: of the draws.
    """
    draw = np.random.default_rng(seed)
    members: dict[int, list[int]] = {}
    for number, group in enumerate(stream.groups.tolist()):
        members.setdefault(group, []).append(number)
    drawn = [list(members.values())[place] for place in draw.permutation(len(members))]
    large = sorted(drawn, key=lambda group: -min(len(group), twins + 1))[:things]
    taken = {stream.groups[group[0]] for group in large}
    edits = Edits([text for item in stream.items for text in (item.fields or {"text": item.text or ""}).values()], draw)
    made: list[tuple[Item, int]] = []
    for group in large:
        chosen = [stream.items[number] for number in group[: twins + 1]]
        made += [(item, int(stream.groups[group[0]])) for item in chosen]
        made += [
            (_edited(chosen[copy % len(chosen)], edits, f"copy-{copy}"), int(stream.groups[group[0]]))
            for copy in range(twins + 1 - len(chosen))
        ]
    single = [group[0] for group in drawn if stream.groups[group[0]] not in taken][: len(made)]
    made += [(stream.items[number], int(stream.groups[number])) for number in single]
    order = draw.permutation(len(made))
    return Arrivals([made[place][0] for place in order], np.array([made[place][1] for place in order]), stream.apart)


def _edited(item: Item, edits: Edits, name: str) -> Item:
    said: dict[str, Any]
    if item.fields:
        (first, text), *others = item.fields.items()
        said = {"fields": {first: edits.reworded(text), **dict(others)}}
    else:
        said = {"text": edits.reworded(item.text or "")}
    return item.model_copy(update={"id": f"{item.id}-{name}", **said})


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a table, gzipped or not."""
    opened: Any = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def item_of(key: str, fields: Mapping[str, str], **others: Any) -> Item:
    """An item of named texts, without the empty ones."""
    said = {name: value[:LONGEST_FIELD] for name, value in fields.items() if value}
    return Item(id=key, fields=said or {"title": "-"}, **others)


def linked(items: list[Item], links: Iterable[tuple[str, str]]) -> Arrivals:
    """Items with the groups that links between their ids make; links to others are passed over."""
    number = {item.id: place for place, item in enumerate(items)}
    same = [(number[one], number[other]) for one, other in links if one in number and other in number]
    return Arrivals(items, groups_of(len(items), same))


def bug_reports(data: Path) -> Arrivals:
    """OpenOffice: 55 % of the reports repeat an earlier one."""
    folder = data / "bugs_openoffice"
    reports = sorted(rows_of(folder / "reports.csv.gz"), key=lambda report: int(report["bug_id"]))
    items = [item_of(report["bug_id"], _fields(report, "title", "description")) for report in reports]
    return linked(items, [(row["bug_id"], row["duplicate_of"]) for row in rows_of(folder / "duplicates.csv.gz")])


def tracker(data: Path) -> Arrivals:
    """Hadoop: 2.6 % of the reports repeat an earlier one, and not all of them are linked."""
    return _with_truth(data / "bugs_hadoop", "items.csv.gz", "truth.csv.gz", ("title", "description"))


def songs(data: Path) -> Arrivals:
    """MusicBrainz: one to five records of a song, from sources with spellings and years in forms of their own."""
    fields = ("title", "artist", "album", "year")
    return _with_truth(data / "music_musicbrainz", "items.csv.gz", "truth.csv.gz", fields)


def articles(data: Path) -> Arrivals:
    """News with ten planted near-duplicates."""
    folder = data / "neardup_mccormick"
    items = [Item(id=row["id"], text=row["text"]) for row in rows_of(folder / "articles_1000.csv.gz")]
    return linked(items, [(row["id1"], row["id2"]) for row in rows_of(folder / "truth_1000.csv.gz")])


def questions(data: Path) -> Arrivals:
    """Banking77, the published test split: no question is known to repeat another."""
    found = [row["text"] for row in rows_of(data / "intent_banking77" / "tickets.csv.gz") if row["split"] == "test"]
    items = [Item(id=str(number), text=text) for number, text in enumerate(dict.fromkeys(found))]
    return Arrivals(items, np.arange(len(items)))


def sample(table: str, data: Path) -> Arrivals:
    """A sample of this project."""
    found = rows_of(SAMPLES / f"{table}.csv")
    items = [
        item_of(
            row["id"],
            _fields(row, "title", "description", "brand"),
            attributes={"price_eur": float(row["price_eur"])} if row.get("price_eur") else {},
            timestamp=row.get("created_at"),
        )
        for row in found
    ]
    return linked(items, [(row["id"], row["duplicate_of"]) for row in found if row["duplicate_of"]])


def catalogue(folder: str, fields: Sequence[str], data: Path, *, free: bool = True) -> Arrivals:
    """Two catalogues as one stream in a drawn order; all matches between them are known.

    Args:
        folder: of the set.
        fields: that are compared.
        data: folder of all sets.
        free: whether each catalogue is free of duplicates.
    """
    items = []
    for side in ("left", "right"):
        for row in rows_of(data / folder / f"{side}.csv.gz"):
            price = "".join(sign for sign in row.get("price", "") if sign in "0123456789.")
            attributes = {"price": float(price)} if price.strip("0.") and price.count(".") < 2 else {}
            items.append(item_of(f"{side}-{row['id']}", _fields(row, *fields), attributes=attributes))
    matches = rows_of(data / folder / "matches.csv.gz")
    links = [(f"left-{row['left_id']}", f"right-{row['right_id']}") for row in matches]
    found = linked(items, links)
    if not free:
        found = replace(found, sources=np.array([item.id.partition("-")[0] for item in items]))
    return found.only(np.random.default_rng(SEED).permutation(len(items)))


def offers(folder: str, data: Path, splits: Sequence[str] = ("test",)) -> Arrivals:
    """Offers of several shops for one product, those of some splits in a drawn order.

    Only some pairs are labelled: of two groups without a label between them nobody knows whether they are the same.
    """
    rows = [row for row in rows_of(data / folder / "pairs.csv.gz") if row["split"] in splits]
    titles = sorted({row[side] for row in rows for side in ("left_title", "right_title")})
    number = {title: place for place, title in enumerate(titles)}
    pairs = [(number[row["left_title"]], number[row["right_title"]], row["label"] == "1") for row in rows]
    groups = groups_of(len(titles), [(one, other) for one, other, same in pairs if same])
    between = [sorted((int(groups[one]), int(groups[other]))) for one, other, same in pairs if not same]
    apart = frozenset((low, high) for low, high in between if low != high)
    items = [item_of(str(place), {"title": title}) for place, title in enumerate(titles)]
    return Arrivals(items, groups, apart).only(np.random.default_rng(SEED).permutation(len(items)))


def _with_truth(folder: Path, items: str, truth: str, fields: Sequence[str]) -> Arrivals:
    found = [item_of(row["id"], _fields(row, *fields)) for row in rows_of(folder / items)]
    return linked(found, [(row["id1"], row["id2"]) for row in rows_of(folder / truth)])


def _fields(row: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: row.get(name, "") for name in names}


STREAMS: dict[str, Callable[[Path], Arrivals]] = {
    "product_wdc_computers": partial(offers, "product_wdc_computers"),
    "product_wdc_cameras": partial(offers, "product_wdc_cameras"),
    "product_abt_buy": partial(catalogue, "product_abt_buy", ("name", "description")),
    "product_amazon_google": partial(
        catalogue, "product_amazon_google", ("title", "manufacturer", "description"), free=False
    ),
    "music_musicbrainz": songs,
    "bugs_openoffice": bug_reports,
    "bugs_hadoop": tracker,
    "intent_banking77": questions,
    "neardup_mccormick": articles,
    "sample_products": partial(sample, "products"),
    "sample_tickets": partial(sample, "tickets"),
}
