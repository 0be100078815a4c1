"""Trials of the matcher on streams made for it: a burst of reports, an export of mails, and pairs beyond doubt."""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recommender_engine.embedding import Encoders
from recommender_engine.items import Band, Item, ItemProcessed
from recommender_engine.matching import PairModel
from tools.arrivals import SEED, Arrivals, questions, rows_of, sample
from tools.played import Player
from tools.streams import groups_of
from tools.trial_texts import CLOSINGS, DISCLAIMER, GREETINGS, INCIDENTS, MAILS, SENDERS, SENT_TWICE

QUESTIONS, LETTERS = 300, 300


def burst(data: Path, incidents: Sequence[Sequence[str]] = INCIDENTS, seed: int = SEED, step: float = 2.5) -> Arrivals:
    """Incidents, each reported within about twenty arrivals, among bank questions.

    Args:
        data: folder of the labelled sets.
        incidents: at most three.
        seed: of the draws.
        step: one report comes so many arrivals after the other.
    """
    draw = np.random.default_rng(seed)
    asked = questions(data).items
    chosen = [asked[place] for place in draw.permutation(len(asked))[:QUESTIONS]]
    placed = [(float(place), item, place) for place, item in enumerate(chosen)]
    for incident, reports in enumerate(incidents):
        start = 60 + 80 * incident
        for place, report in enumerate(reports):
            at = start + step * place + draw.random()
            placed.append((at, Item(id=f"incident-{incident}-{place}", text=report), QUESTIONS + incident))
    placed.sort(key=lambda one: one[0])
    return Arrivals([item for _, item, _ in placed], np.array([group for _, _, group in placed]))


@dataclass(frozen=True)
class Texts:
    """Eight texts that arrive close together.

    Attributes:
        name: what they are about.
        same: whether they report one incident; else each tells of a matter of its own.
        half: ``tuned`` for what may be looked at, ``kept`` for what only judges.
        length: ``short`` or ``long`` prose.
        reports: the texts.
    """

    name: str
    same: bool
    half: str
    length: str
    reports: tuple[str, ...]


def close_together(path: Path) -> list[Texts]:
    """Read a file of JSON lines, one for each eight texts."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return [Texts(row["name"], row["same"], row["half"], row["length"], tuple(row["reports"])) for row in rows]


def floods(data: Path, most: int) -> list[tuple[str, tuple[str, ...]]]:
    """Of each intent of the bank questions some that different people ask, by its name."""
    asked: dict[str, dict[str, None]] = {}
    for row in rows_of(data / "intent_banking77" / "tickets.csv.gz"):
        if row["split"] == "test":
            asked.setdefault(row["intent"], {})[row["text"]] = None
    draw = np.random.default_rng(SEED)
    chosen = {intent: [*found] for intent, found in sorted(asked.items())}
    return [(name, tuple([found[n] for n in draw.permutation(len(found))[:most]])) for name, found in chosen.items()]


def mails(data: Path, form: str) -> Arrivals:
    """An export of HTML mails with signatures: forty matters sent twice by different people, and other tickets.

    Args:
        data: folder of the labelled sets.
        form: of the mark-up, see `MAILS`.
    """
    draw = np.random.default_rng(SEED)
    tickets = sample("tickets", data)
    chosen = draw.permutation(np.flatnonzero(~tickets.repeats()))[: LETTERS - 2 * len(SENT_TWICE)]
    texts = [(str(tickets.items[place].fields["description"]), group) for group, place in enumerate(chosen)]
    for group, (one, other) in enumerate(SENT_TWICE):
        texts += [(one, len(chosen) + group), (other, len(chosen) + group)]
    items, groups = [], []
    for number, place in enumerate(draw.permutation(len(texts))):
        body, group = texts[place]
        name, department, company, phone = SENDERS[int(draw.integers(len(SENDERS)))]
        written = MAILS[form].format(
            greeting=GREETINGS[int(draw.integers(len(GREETINGS)))],
            body=html.escape(body).replace("\n", "<br>"),
            closing=CLOSINGS[int(draw.integers(len(CLOSINGS)))],
            name=name,
            department=department,
            company=html.escape(company),
            phone=phone,
            disclaimer=DISCLAIMER,
        )
        items.append(Item(id=f"mail-{number}", text=written))
        groups.append(group)
    return Arrivals(items, np.array(groups))


def grouped(stream: Arrivals, said: Sequence[ItemProcessed], groups: Sequence[str]) -> dict[str, int]:
    """How a burst came out: repeats flagged rightly or in the group of an earlier report, and others that were."""
    number = {item.id: place for place, item in enumerate(stream.items)}
    repeats = stream.repeats()
    found = others = 0
    for place, one in enumerate(said):
        mates = [other for other in range(len(groups)) if other != place and groups[other] == groups[place]]
        flagged = None if one.duplicate_of is None else number[one.duplicate_of]
        near = mates if flagged is None else [*mates, flagged]
        if repeats[place]:
            found += any(stream.groups[other] == stream.groups[place] for other in near)
        others += any(stream.groups[other] != stream.groups[place] for other in near)
    return {"repeats": int(repeats.sum()), "found": found, "others": others}


def in_bursts(said: Sequence[ItemProcessed]) -> list[ItemProcessed]:
    """Those that are told to report the incident that others reported just before."""
    return [one for one in said if any(reason.code == "same_incident" for reason in one.reasons)]


@dataclass(frozen=True)
class Sure:
    """A pair of which any person is sure.

    Attributes:
        id: of the pair.
        kind: what makes the two the same or not.
        label: whether they are the same thing.
        one: said first.
        other: said after it.
        half: ``tuned`` for what may be looked at, ``kept`` for what only judges; empty where the file has no halves.
    """

    id: str
    kind: str
    label: bool
    one: str | dict[str, str]
    other: str | dict[str, str]
    half: str = ""


def sure_pairs(path: Path) -> list[Sure]:
    """Read a file of JSON lines: ``a``, ``b``, ``label``, ``kind``, and ``id`` if there is one."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return [
        Sure(str(row.get("id", number)), row["kind"], bool(row["label"]), row["a"], row["b"], row.get("half", ""))
        for number, row in enumerate(rows)
    ]


def together(
    pairs: Sequence[Sure], data: Path, encoders: Encoders, model: PairModel | None, target: float
) -> dict[str, int]:
    """All pairs of plain texts in one collection with the samples: what the second ones are called."""
    plain = [pair for pair in pairs if isinstance(pair.one, str)]
    numbers: dict[str, int] = {}
    for pair in plain:
        for text in (str(pair.one), str(pair.other)):
            numbers.setdefault(text, len(numbers))
    groups = groups_of(len(numbers), [(numbers[str(one.one)], numbers[str(one.other)]) for one in plain if one.label])
    said: Counter[str] = Counter()
    with Player(encoders, model, target) as player:
        for table in ("products", "tickets"):
            player.arrive(sample(table, data).items)
        text_of: dict[str, str] = {}
        for pair in plain:
            one, other = _item(f"{pair.id}-a", pair.one), _item(f"{pair.id}-b", pair.other)
            text_of |= {one.id: str(pair.one), other.id: str(pair.other)}
            second = player.arrive([one, other])[1]
            label = "same" if pair.label else "different"
            said[label] += 1
            if second.duplicate_of is not None:
                found = text_of.get(second.duplicate_of)
                right = found is not None and groups[numbers[found]] == groups[numbers[str(pair.other)]]
                said[f"{label}, {'right' if right else 'wrong'}"] += 1
    return dict(said)


def as_arrivals(
    pairs: Sequence[Sure], data: Path, encoders: Encoders, model: PairModel | None, target: float
) -> list[dict[str, Any]]:
    """What is said of each pair: arrived one after the other among the samples of this project, and compared.

    Each pair has the samples for itself: it leaves before the next one comes.
    """
    told = []
    with Player(encoders, model, target) as player:
        for table in ("products", "tickets"):
            player.arrive(sample(table, data).items)
        for pair in pairs:
            one, other = _item(f"{pair.id}-a", pair.one), _item(f"{pair.id}-b", pair.other)
            first, second = player.arrive([one, other])
            said = next((said for said in player.stated[other.id] if said.other == one.id), None)
            told.append(
                {
                    "id": pair.id,
                    "kind": pair.kind,
                    "label": pair.label,
                    "band": str(second.band),
                    "with_first": second.duplicate_of == one.id,
                    "wrong": _flagged_wrong(pair, first, second, one.id),
                    "probability": second.probability,
                    "of_the_pair": None if said is None else said.probability,
                    "compared": str(player.compare(one, other).band),
                }
            )
            player.leave([one.id, other.id])
    return told


def _flagged_wrong(pair: Sure, first: ItemProcessed, second: ItemProcessed, one: str) -> bool:
    """Whether the second is called a duplicate of what it is not; a sample that both repeat does not count."""
    both = first.band is Band.DUPLICATE and first.duplicate_of == second.duplicate_of
    if second.band is not Band.DUPLICATE or both:
        return False
    return not pair.label or second.duplicate_of != one


def summary(told: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts over pairs: bands as arrivals and compared, of different and of same ones, and errors by kind."""
    said: dict[str, Any] = {}
    for name, label in (("different", False), ("same", True)):
        chosen = [one for one in told if one["label"] is label]
        said[name] = {
            "pairs": len(chosen),
            "wrong": sum(one["wrong"] for one in chosen),
            "arrived": dict(Counter(one["band"] for one in chosen)),
            "compared": dict(Counter(one["compared"] for one in chosen)),
        }
    kinds = Counter(one["kind"] for one in told if not one["label"])
    wrong = Counter(one["kind"] for one in told if not one["label"] and one["wrong"])
    said["wrong_by_kind"] = {kind: f"{count} of {kinds[kind]}" for kind, count in wrong.most_common()}
    return said


def _item(key: str, said: str | dict[str, str]) -> Item:
    return Item(id=key, text=said) if isinstance(said, str) else Item(id=key, fields=said)
