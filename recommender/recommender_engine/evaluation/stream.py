"""Items through the real engine, in their order, against the true duplicates."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recommender_engine.embedding import Encoders
from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation.clusters import bcubed, clusters
from recommender_engine.evaluation.flags import Flags, share
from recommender_engine.evaluation.metrics import Labels, Scores, expected_calibration_error
from recommender_engine.evaluation.recording import RecordingMatcher
from recommender_engine.items import (
    Band,
    CollectionSettings,
    CommandRejected,
    ConfigureCollection,
    Entry,
    EntryId,
    Event,
    ItemProcessed,
    UpsertItem,
)
from recommender_engine.items.values import Value
from recommender_engine.matching import LearnedMatcher
from recommender_engine.opening import open_recommender
from recommender_engine.pipeline import Recommender

BATCH = 64
_START_MS = 1_767_225_600_000  # any moment would do: 2026-01-01
_DEPTHS = (1, 5, 10)


class StreamFigures(Value):
    """How good the verdicts on a stream are; ``None`` where there is nothing to divide by.

    Attributes:
        items: decided.
        twins: items that had a true twin among the earlier ones.
        pair_precision: of the items in the duplicate band, the share whose ``duplicate_of`` is truly the same thing.
        pair_recall: of ``twins``, the share in the duplicate band and right.
        review_recall: of ``twins``, the share in the duplicate or review band and matched with a true twin.
        review_twins: of ``twins``, the share in the duplicate or review band, whichever item they were matched with.
        looked_at: of all items, the share in the duplicate or review band.
        bcubed_precision: see `BCubed`; of the groups as they stand after the last item.
        bcubed_recall: the same.
        bcubed_f1: the same.
        hit_at: by depth k, the share of ``twins`` with a true earlier twin among the k likeliest candidates.
        expected_calibration_error: of the probability that an item is the same thing as the one it was matched with.
        items_per_s: items decided a second, embedding included unless it was recorded.
        decide_ms: mean milliseconds for an item's neighbours and verdict.
        bands: items by band.
        rejected: items that the engine refused, by code.
    """

    items: int
    twins: int
    pair_precision: float | None
    pair_recall: float | None
    review_recall: float | None
    review_twins: float | None
    looked_at: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f1: float
    hit_at: dict[str, float | None]
    expected_calibration_error: float | None
    items_per_s: float
    decide_ms: float
    bands: dict[str, int]
    rejected: dict[str, int]


@dataclass(frozen=True, slots=True)
class StreamVerdict:
    """The verdict on one item when it arrived, and whether it is true.

    Attributes:
        verdict: data of its event.
        twin: the earliest true twin that came before it, if any.
        matched_right: whether the item it was matched with is the same thing.
        flagged_right: whether ``duplicate_of`` is; ``None`` outside the duplicate band.
        rank: how many candidates were judged likelier than its first true twin; ``None`` if no candidate was one.
    """

    verdict: ItemProcessed
    twin: str | None
    matched_right: bool
    flagged_right: bool | None
    rank: int | None


@dataclass(frozen=True, slots=True)
class StreamRun:
    """The verdicts of the engine.

    Attributes:
        verdicts: data of the events, in the order of the items.
        groups: the group of each item after the last one.
        candidates: ids of the judged candidates of each item, the likeliest first.
        rejected: refused items by code.
        seconds: that the engine took.
    """

    verdicts: list[ItemProcessed]
    groups: dict[str, str]
    candidates: dict[str, list[str]]
    rejected: Counter[str]
    seconds: float


def run_stream(
    items: Sequence[UpsertItem],
    encoders: Encoders,
    settings: CollectionSettings | None = None,
    done: Callable[[int], None] = lambda count: None,
) -> StreamRun:
    """Send items of one collection, each id once, through an engine whose state is in memory.

    Args:
        items: in order.
        encoders: with the model that the settings name.
        settings: of the collection.
        done: called after each batch with the number of its items.

    Raises:
        ConfigurationError: there is no item, or the settings are refused.
        EncodingError: the model failed.
    """
    if not items:
        raise ConfigurationError("there is no item to evaluate")
    candidates: dict[str, list[str]] = {}
    engine = open_recommender(
        None,
        encoders,
        matcher=lambda statistics, models: RecordingMatcher(LearnedMatcher(statistics, models), candidates),
    )
    try:
        name = items[0].collection
        # Items come a millisecond apart here: what is judged are verdicts, not how many are taken.
        unlimited = (settings or CollectionSettings()).model_copy(update={"commands_per_second": None})
        configured = ConfigureCollection(collection=name, settings=unlimited)
        _require_accepted(engine.process([Entry(EntryId(_START_MS, 0), configured)]))
        entries = [Entry(EntryId(_START_MS + 1 + place, 0), item) for place, item in enumerate(items)]
        events: list[Event] = []
        seconds = 0.0
        for start in range(0, len(entries), BATCH):
            batch = entries[start : start + BATCH]
            started = time.perf_counter()
            events += engine.process(batch)
            seconds += time.perf_counter() - started
            done(len(batch))
        verdicts = [event.data for event in events if isinstance(event.data, ItemProcessed)]
        rejected = Counter(event.data.code for event in events if isinstance(event.data, CommandRejected))
        return StreamRun(verdicts, dict(_groups(engine, verdicts)), candidates, rejected, seconds)
    finally:
        engine.close()


def judge_stream(run: StreamRun, links: Iterable[tuple[str, str]]) -> tuple[StreamFigures, list[StreamVerdict]]:
    """Compare a run with the truth.

    Args:
        run: the verdicts of the engine.
        links: pairs of ids that are the same thing, in any order; closed transitively.

    Raises:
        ConfigurationError: no item was decided.
    """
    if not run.verdicts:
        raise ConfigurationError("no item was decided: all of them were rejected")
    true = clusters(links, [one.item_id for one in run.verdicts])
    verdicts = list(_verdicts(run, true))
    twins = [one for one in verdicts if one.twin is not None]
    flagged = [one for one in verdicts if one.verdict.band is Band.DUPLICATE]
    flags = Flags(len(flagged), len(twins), sum(bool(one.flagged_right) for one in flagged))
    shown = [one for one in verdicts if one.verdict.band in {Band.DUPLICATE, Band.REVIEW}]
    repeats = [one for one in shown if one.twin is not None]
    found = sum(one.matched_right or bool(one.flagged_right) for one in repeats)
    groups = bcubed(true, run.groups)
    labels, stated = matched(verdicts)
    return StreamFigures(
        items=len(verdicts),
        twins=len(twins),
        pair_precision=flags.precision,
        pair_recall=flags.recall,
        review_recall=share(found, len(twins)),
        review_twins=share(len(repeats), len(twins)),
        looked_at=len(shown) / len(verdicts),
        bcubed_precision=groups.precision,
        bcubed_recall=groups.recall,
        bcubed_f1=groups.f1,
        hit_at={
            str(depth): share(sum(one.rank is not None and one.rank < depth for one in twins), len(twins))
            for depth in _DEPTHS
        },
        expected_calibration_error=expected_calibration_error(labels, stated) if len(labels) else None,
        items_per_s=len(verdicts) / run.seconds,
        decide_ms=sum(one.verdict.timings.decide_ms for one in verdicts) / len(verdicts),
        bands={band.value: sum(one.verdict.band is band for one in verdicts) for band in Band},
        rejected=dict(run.rejected),
    ), verdicts


def matched(verdicts: Sequence[StreamVerdict]) -> tuple[Labels, Scores]:
    """Of the items that were matched with another: whether it is the same thing, and the probability stated."""
    known = [one for one in verdicts if one.verdict.matched_id is not None]
    return (
        np.array([one.matched_right for one in known], np.bool_),
        np.array([one.verdict.probability for one in known], np.float64),
    )


def _verdicts(run: StreamRun, true: dict[str, int]) -> Iterator[StreamVerdict]:
    earliest: dict[int, str] = {}
    for verdict in run.verdicts:
        cluster = true[verdict.item_id]
        same = [true[other] == cluster for other in run.candidates.get(verdict.item_id, ())]
        yield StreamVerdict(
            verdict=verdict,
            twin=earliest.get(cluster),
            matched_right=verdict.matched_id is not None and true[verdict.matched_id] == cluster,
            flagged_right=None if verdict.duplicate_of is None else true[verdict.duplicate_of] == cluster,
            rank=same.index(True) if any(same) else None,
        )
        earliest.setdefault(cluster, verdict.item_id)


def _groups(engine: Recommender, verdicts: Sequence[ItemProcessed]) -> Iterator[tuple[str, str]]:
    for one in verdicts:
        view = engine.get(one.item_id, one.collection)
        yield one.item_id, one.group if view is None else view.group  # gone, where the settings let items expire


def _require_accepted(events: Sequence[Event]) -> None:
    for event in events:
        if isinstance(event.data, CommandRejected):
            raise ConfigurationError(event.data.message)
