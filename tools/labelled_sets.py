"""The labelled sets that the matcher is fitted to and judged by: pairs of items, embedded and compared.

Read from the folder that ``RECOMMENDER_TEST_DATA`` names, and from the samples of this project. Vectors are kept in a
cache folder, since embedding takes longer than everything else together.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from recommender_engine.embedding import KNOWN_MODELS, Encoder, ModelCatalogue
from recommender_engine.items import DEFAULT_MODEL, Item
from recommender_engine.items.values import AttributeValue
from recommender_engine.matching.features.table import FEATURES, compare, features
from recommender_engine.matching.pair.context import LED, Context
from recommender_engine.matching.pair.profile import item_terms, profile
from recommender_engine.matching.pair.statistics import CountedTerms
from recommender_engine.matching.text.terms import terms_of
from recommender_engine.pipeline.candidates.search import NEAREST
from tools.arrivals import STREAMS, Arrivals, item_of, rows_of, whole_groups
from tools.edits import Edits
from tools.streams import arriving_rows, candidates

BATCH = 1024
LONGEST_STREAM = 5000
STREAMED = (
    "bugs_openoffice",
    "bugs_hadoop",
    "music_musicbrainz",
    "sample_products",
    "sample_tickets",
    "neardup_mccormick",
)
EDITED, EDIT_SEED = 3000, 11
OUT_OF_VIEW = -1.0  # an item is no candidate of its own


@dataclass(frozen=True)
class Pairs:
    """Labelled pairs of items.

    Attributes:
        items: all texts of the set; the statistics of terms are theirs.
        pairs: numbers of the two items, shape (n, 2).
        labels: true where they are the same thing, shape (n,).
        splits: ``train``, ``valid`` or ``test``, shape (n,).
        sides: for two catalogues, which one each item is in; candidates then come from the other one. ``pool`` for all
            items where candidates come from the whole set. Else ``None``.
        groups: for a stream, the true group of each item; its pairs are in order of arrival. Else ``None``.
    """

    items: list[Item]
    pairs: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    sides: np.ndarray | None = None
    groups: np.ndarray | None = None


@dataclass(frozen=True)
class LabelledSet:
    """Pairs in numbers.

    Attributes:
        name: of the set.
        rows: features, shape (n, len(FEATURES)).
        tfidf: cosine of plain TF-IDF vectors, the baseline, shape (n,).
    """

    name: str
    source: Pairs
    rows: np.ndarray
    tfidf: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return self.source.labels

    def split(self, *names: str) -> np.ndarray:
        return np.flatnonzero(np.isin(self.source.splits, names))

    @property
    def cosine(self) -> np.ndarray:
        return self.rows[:, FEATURES.index("cosine")]


class Embedder:
    """Vectors of texts by the default model, kept in files named after the texts."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._encoder: Encoder | None = None

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        path = self.path(texts)
        if path.is_file():
            kept: np.ndarray = np.load(path)
            return kept
        self._encoder = self._encoder or ModelCatalogue(KNOWN_MODELS).encoder(DEFAULT_MODEL)
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        sorted_texts = [texts[number] for number in order]
        batches = [
            self._encoder.encode(sorted_texts[start : start + BATCH]).vectors for start in range(0, len(texts), BATCH)
        ]
        vectors = np.empty((len(texts), batches[0].shape[1]), np.float32)
        vectors[order] = np.concatenate(batches)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, vectors)
        return vectors

    def path(self, texts: Sequence[str]) -> Path:
        digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
        return self._cache / f"vectors-{digest[:24]}.npy"


def load(name: str, data: Path, embed: Embedder) -> LabelledSet:
    """Read one of `SETS`.

    Raises:
        FileNotFoundError: it is not in the folder.
    """
    return measured(name, SETS[name](data, embed), embed)


def measured(name: str, source: Pairs, embed: Embedder) -> LabelledSet:
    vectors = embed([item.content for item in source.items])
    weights = tfidf(source.items)
    left, right = source.pairs.T
    words = np.asarray(weights[left].multiply(weights[right]).sum(axis=1)).ravel()
    if source.groups is not None:
        return LabelledSet(name, source, arriving_rows(source.items, source.pairs, vectors), words)
    found = [Context()] * len(source.pairs)
    if source.sides is not None:
        found = _catalogue_contexts(source.pairs, np.flatnonzero(source.sides != "left"), vectors, weights)
    said = [item_terms(item) for item in source.items]
    statistics = CountedTerms(one.whole.counts for one in said)
    profiles = [profile(item, one, statistics) for item, one in zip(source.items, said, strict=True)]
    cosines = np.einsum("ij,ij->i", vectors[left], vectors[right])
    rows = [
        features(compare(profiles[a], profiles[b], float(cosine)), context)
        for a, b, cosine, context in zip(left, right, cosines, found, strict=True)
    ]
    return LabelledSet(name, source, np.array(rows), words)


def _catalogue_contexts(
    pairs: np.ndarray, others: np.ndarray, vectors: np.ndarray, weights: sparse.csr_matrix
) -> list[Context]:
    place = {int(item): number for number, item in enumerate(others)}
    theirs = weights[others]

    @cache
    def views(item: int) -> tuple[_View, _View]:
        seen = vectors[others] @ vectors[item], (theirs @ weights[item].T).toarray().ravel()
        return tuple(_View(np.where(others == item, OUT_OF_VIEW, values)) for values in seen)  # type: ignore[return-value]

    found = []
    for a, b in pairs.tolist():
        number = place[b]
        cosines, words = views(a)
        beside = [other for other in cosines.nearest if other != number]
        theirs_seen = _View(np.append(vectors[others[beside]] @ vectors[b], cosines.values[number]))
        found.append(
            Context(
                *cosines.current(number),
                cosines.rank(number),
                *theirs_seen.current(len(beside)),
                theirs_seen.rank(len(beside)),
                *words.current(number),
            )
        )
    return found


class _View:
    """All candidates of one item, by one similarity; or all that a candidate is close to, the item among them."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.nearest = np.argsort(-values, kind="stable")[:NEAREST].tolist()
        self._head = np.sort(values)[::-1][: LED + 1]

    def rank(self, number: int) -> float:
        return float((self.values > self.values[number]).sum())

    def current(self, number: int) -> tuple[float, float]:
        """How far one is above the best of the others, and above the mean of the best few of them."""
        value = float(self.values[number])
        best = float(self._head[int(value == self._head[0])])
        others = float(self._head.sum()) - max(value, float(self._head[-1]))
        return value - best, value - others / (len(self._head) - 1)


def tfidf(items: Sequence[Item]) -> sparse.csr_matrix:
    """Unit rows of (1 + ln count) ln(1 + N / frequency)."""
    counted = [terms_of(item.content).counts for item in items]
    columns: dict[str, int] = {}
    for counts in counted:
        for term in counts:
            columns.setdefault(term, len(columns))
    frequency = np.zeros(len(columns))
    for counts in counted:
        frequency[[columns[term] for term in counts]] += 1
    idf = np.log(1 + len(items) / frequency)
    rows = [number for number, counts in enumerate(counted) for _ in counts]
    at = [columns[term] for counts in counted for term in counts]
    values = [(1 + math.log(count)) for counts in counted for count in counts.values()]
    matrix = sparse.csr_matrix((np.array(values) * idf[at], (rows, at)), shape=(len(items), len(columns)))
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(norms, 1e-12)) @ matrix)


def split_of(key: str) -> str:
    """One fifth each for ``test`` and ``valid``, by a hash of the key."""
    fifth = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % 5
    return {0: "test", 1: "valid"}.get(fifth, "train")


def catalogues(folder: str, fields: Sequence[str], data: Path, embed: Embedder) -> Pairs:
    """Pairs of two catalogues with the published splits; candidates of an item are the whole other catalogue."""
    numbers: dict[tuple[str, ...], int] = {}
    items: list[Item] = []
    sides, pairs, labels, splits = [], [], [], []
    for row in rows_of(data / folder / "pairs.csv.gz"):
        pair = []
        for side in ("left", "right"):
            said = {field: row[f"{side}_{field}"] for field in fields}
            price = row[f"{side}_price"]
            key = (side, *said.values(), price)
            if key not in numbers:
                numbers[key] = len(items)
                items.append(item_of(str(len(items)), said, attributes={"price": float(price)} if price else {}))
                sides.append(side)
            pair.append(numbers[key])
        pairs.append(pair)
        labels.append(row["label"] == "1")
        splits.append(row["split"])
    return Pairs(items, np.array(pairs), np.array(labels), np.array(splits), np.array(sides))


def offers(folder: str, data: Path, embed: Embedder) -> Pairs:
    """Titles of one pool with the published splits; a thing has several of them, candidates are all others."""
    numbers: dict[str, int] = {}
    rows = rows_of(data / folder / "pairs.csv.gz")
    pairs = [[numbers.setdefault(row[side], len(numbers)) for side in ("left_title", "right_title")] for row in rows]
    items = [item_of(str(number), {"title": title}) for title, number in numbers.items()]
    labels = np.array([row["label"] == "1" for row in rows])
    splits = np.array([row["split"] for row in rows])
    return Pairs(items, np.array(pairs), labels, splits, np.full(len(items), "pool"))


def stream(arrivals: Arrivals, embed: Embedder) -> Pairs:
    """Each item against earlier ones, as a stream of items would meet them."""
    items, groups = arrivals.items, arrivals.groups
    pairs = candidates([item_terms(item) for item in items], embed([item.content for item in items]))
    labels = groups[pairs[:, 0]] == groups[pairs[:, 1]]
    splits = np.array([split_of(item.id) for item in items])[pairs[:, 0]]
    return Pairs(items, pairs, labels, splits, groups=groups)


def streamed(read: Callable[[Path], Arrivals], data: Path, embed: Embedder) -> Pairs:
    """A labelled stream as pairs, of whole groups where it is long."""
    return stream(whole_groups(read(data), LONGEST_STREAM), embed)


def sentences(data: Path, embed: Embedder) -> Pairs:
    """Sentences that people gave 4.6 of 5 or more against those below 3.6; those between are left out."""
    numbers: dict[str, int] = {}
    pairs, labels, splits = [], [], []
    for row in rows_of(data / "sts" / "stsbenchmark.csv.gz"):
        score = float(row["score"])
        if 3.6 < score < 4.6 or row["text1"] == row["text2"]:
            continue
        pairs.append([numbers.setdefault(row[side], len(numbers)) for side in ("text1", "text2")])
        labels.append(score >= 4.6)
        splits.append("valid" if row["split"] == "dev" else row["split"])
    items = [Item(id=str(number), text=text) for text, number in numbers.items()]
    return Pairs(items, np.array(pairs), np.array(labels), np.array(splits))


def questions(data: Path, embed: Embedder) -> Pairs:
    """Nearest questions of another intent: all of them different."""
    found = {row["text"]: row["intent"] for row in rows_of(data / "intent_banking77" / "tickets.csv.gz")}
    chosen = [text for text in found if split_of(text) == "test"]
    items = [Item(id=str(number), text=text) for number, text in enumerate(chosen)]
    near = stream(Arrivals(items, np.arange(len(items))), embed)
    intents = np.array([found[text] for text in chosen])
    differ = intents[near.pairs[:, 0]] != intents[near.pairs[:, 1]]
    return replace(near, pairs=near.pairs[differ], labels=near.labels[differ], splits=near.splits[differ])


def edited_copies(data: Path, embed: Embedder) -> Pairs:
    """Texts against copies of themselves: edited without changing what they are about, or with one thing changed.

    Labelled pairs are hardly ever that close, while streams are full of them: templates, variants of one article.
    """
    texts = sorted(
        {row["description"].capitalize() for row in rows_of(data / "rec_online_retail" / "items.csv.gz")}
        | {row["text"] for row in rows_of(data / "intent_banking77" / "tickets.csv.gz")}
        | {row["text1"] for row in rows_of(data / "sts" / "stsbenchmark.csv.gz")}
        | {row["text"].split(". ")[0] for row in rows_of(data / "neardup_mccormick" / "articles_1000.csv.gz")}
    )
    draw = np.random.default_rng(EDIT_SEED)
    edits = Edits(texts, draw)
    items: list[Item] = []
    labels = []
    for number in draw.permutation(len(texts))[:EDITED]:
        same = bool(draw.random() < 0.5)
        one, other = (edits.same if same else edits.different)(texts[int(number)])
        further = texts[int(draw.integers(len(texts)))]
        fielded, in_title = draw.random(2) < 0.5
        price: dict[str, AttributeValue] = {}
        if draw.random() < 0.5:
            price["price"] = float(draw.integers(100, 20_000)) / 100
        for text in (one, other):
            title, description = (text, further) if in_title else (further, text)
            said: dict[str, Any] = (
                {"fields": {"title": title, "description": description}} if fielded else {"text": text}
            )
            items.append(Item(id=str(len(items)), attributes=price, **said))
        labels.append(same)
    pairs = np.arange(len(items)).reshape(-1, 2)
    splits = np.array([split_of(items[one].content) for one in pairs[:, 0]])
    return Pairs(items, pairs, np.array(labels), splits)


SETS: dict[str, Callable[[Path, Embedder], Pairs]] = {
    "product_abt_buy": partial(catalogues, "product_abt_buy", ("name", "description")),
    "product_amazon_google": partial(catalogues, "product_amazon_google", ("title", "manufacturer")),
    "product_wdc_computers": partial(offers, "product_wdc_computers"),
    "product_wdc_cameras": partial(offers, "product_wdc_cameras"),
    **{name: partial(streamed, STREAMS[name]) for name in STREAMED},
    "sts": sentences,
    "intent_banking77": questions,
    "edited_copies": edited_copies,
}
