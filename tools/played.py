"""Items through the real engine, by any model of pairs, with all that was stated of every candidate.

Each item is judged as it arrives, among its candidates; beside it every pair is judged alone, as `compare` judges two
texts, with the statistics of terms as they were at that moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from recommender_engine import open_recommender
from recommender_engine.embedding import Encoders
from recommender_engine.items import (
    Band,
    CollectionSettings,
    Command,
    ConfigureCollection,
    DeleteItem,
    Entry,
    EntryId,
    GiveFeedback,
    Item,
    ItemProcessed,
    PairVerdict,
    UpsertItem,
)
from recommender_engine.matching import Candidate, Comparable, LearnedMatcher, Matcher, PairModel
from recommender_engine.pipeline.queries.calibrating import Calibration

BATCH = 64
START_MS = 1_767_225_600_000  # any moment would do: 2026-01-01
COLLECTION = "default"
DEFAULTS = CollectionSettings()


class Stated(NamedTuple):
    """What was stated of an item and one earlier one.

    Attributes:
        item: id of the one that arrived.
        other: id of the candidate.
        probability: among the other candidates.
        alone: probability of the pair judged alone.
        alone_band: its band.
        contested: whether the two dispute something.
        row: what the matcher saw of the pair, by name; empty if nobody asked.
    """

    item: str
    other: str
    probability: float
    alone: float
    alone_band: Band
    contested: bool
    row: Mapping[str, float]


@dataclass
class Noted:
    """A ``Matcher`` that notes what it states of the candidates that an item arrives with.

    Attributes:
        matcher: judges.
        with_alone: whether each pair is judged alone as well.
        with_rows: whether what it sees is noted as well.
        stated: the notes.
    """

    matcher: Matcher
    with_alone: bool
    with_rows: bool = False
    stated: dict[str, list[Stated]] = field(default_factory=dict)

    def judge(
        self, item: Comparable, candidates: Sequence[Candidate], settings: CollectionSettings
    ) -> list[PairVerdict]:
        """The verdicts of the matcher, in the order given."""
        key = item.item.id
        # When groups are compared an item is judged again; what counts is what was said on its arrival.
        new = key not in self.stated
        alone = [
            self.matcher.judge(item, [Candidate(one.other, one.similarity)], settings)[0]
            for one in candidates
            if new and self.with_alone
        ]
        verdicts = self.matcher.judge(item, candidates, settings)
        if new:
            seen = range(len(verdicts)) if self.with_rows else ()
            rows = [self.matcher.row(item, candidates, place, settings) for place in seen] or [{}] * len(verdicts)
            self.stated[key] = [
                Stated(key, one.other.item.id, said.probability, single.probability, single.band, said.contested, row)
                for one, said, single, row in zip(candidates, verdicts, alone or verdicts, rows, strict=True)
            ]
        return verdicts

    def explain(
        self, item: Comparable, candidates: Sequence[Candidate], chosen: int, settings: CollectionSettings
    ) -> PairVerdict:
        """The verdict of the matcher with its reasons."""
        return self.matcher.explain(item, candidates, chosen, settings)

    def row(
        self, item: Comparable, candidates: Sequence[Candidate], chosen: int, settings: CollectionSettings
    ) -> dict[str, float]:
        """What the matcher sees of the pair."""
        return self.matcher.row(item, candidates, chosen, settings)


class Player:
    """An engine in memory with one collection.

    Args:
        encoders: with the default model.
        model: of pairs; ``None`` for what the engine itself takes.
        target_precision: of the collection.
        review_budget: of the collection.
        with_alone: whether each pair is judged alone as well.
        with_rows: whether what the matcher sees of each pair is noted.
    """

    def __init__(
        self,
        encoders: Encoders,
        model: PairModel | None,
        target_precision: float,
        *,
        review_budget: float | None = DEFAULTS.review_budget,
        with_alone: bool = False,
        with_rows: bool = False,
    ) -> None:
        notes: list[Noted] = []

        def matcher(statistics: object, models: object) -> Matcher:
            chosen = models if model is None else lambda collection: model
            notes.append(Noted(LearnedMatcher(statistics, chosen), with_alone, with_rows))  # type: ignore[arg-type]
            return notes[0]

        self._engine = open_recommender(None, encoders, matcher=matcher)  # type: ignore[arg-type]
        self._noted = notes[0]
        self._sent = 0
        # Items come a millisecond apart here: what is judged are verdicts, not how many are taken.
        settings = CollectionSettings(
            target_precision=target_precision, review_budget=review_budget, commands_per_second=None
        )
        self._send([ConfigureCollection(collection=COLLECTION, settings=settings)])

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()

    @property
    def stated(self) -> dict[str, list[Stated]]:
        """What was stated of each item's candidates, by its id."""
        return self._noted.stated

    def arrive(self, items: Iterable[Item]) -> list[ItemProcessed]:
        """What is said of items, in the order they come."""
        commands = [
            UpsertItem(id=one.id, text=one.text, fields=one.fields, attributes=one.attributes, timestamp=one.timestamp)
            for one in items
        ]
        said = []
        for start in range(0, len(commands), BATCH):
            said += self._send(commands[start : start + BATCH])
        if len(said) != len(commands):
            raise ValueError(f"{len(commands) - len(said)} items were rejected")
        return said

    def leave(self, ids: Iterable[str]) -> None:
        """Items go, as if they had never been."""
        self._send([DeleteItem(id=one) for one in ids])

    def compare(self, one: Item, other: Item) -> PairVerdict:
        """What the library's ``compare`` says."""
        return self._engine.compare(one, other)

    def propose(self, kind: str | None = None, limit: int = 1) -> Calibration:
        """Which pairs a person is asked about next."""
        found = self._engine.calibrating.propose(COLLECTION, kind, limit)
        if found is None:
            raise ValueError("nothing has arrived")
        return found

    def answer(self, item_id: str, other_id: str, *, same: bool) -> None:
        """A person says what two items are."""
        answer: Literal["same", "different"] = "same" if same else "different"
        self._send([GiveFeedback(id=item_id, other=other_id, answer=answer)])

    def group(self, item_id: str) -> str:
        """The group of an item, as it stands now."""
        view = self._engine.get(item_id, COLLECTION)
        return item_id if view is None else view.group

    def _send(self, commands: Sequence[Command]) -> list[ItemProcessed]:
        entries = [Entry(EntryId(START_MS + self._sent + place, 0), one) for place, one in enumerate(commands)]
        self._sent += len(commands)
        return [event.data for event in self._engine.process(entries) if isinstance(event.data, ItemProcessed)]
