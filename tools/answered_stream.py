"""What answers are worth on a stream: a person answers through the first half, the verdicts on the second are judged.

    RECOMMENDER_TEST_DATA=... python -m tools.answered_stream [--silent] [--target-precision 0.95] [--vectors FILE.npz]

Bug reports through the real engine; every item in the bands `duplicate` and `review` is answered from the labels, as
soon as its batch is decided.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from recommender_engine import open_recommender
from recommender_engine.embedding import KNOWN_MODELS, ModelCatalogue
from recommender_engine.evaluation import RecordedEncoders
from recommender_engine.items import (
    DEFAULT_MODEL,
    Band,
    CollectionSettings,
    Command,
    ConfigureCollection,
    Entry,
    EntryId,
    GiveFeedback,
    ItemProcessed,
    UpsertItem,
)
from tools.arrivals import bug_reports
from tools.fit_matcher import data_folder

BATCH = 16
START_MS = 1_767_225_600_000


def answers(said: list[ItemProcessed], group: dict[str, int]) -> list[Command]:
    """What somebody who knows the labels says of the pairs that were put before them."""
    return [
        GiveFeedback(
            id=one.item_id,
            answer="same" if group[one.item_id] == group[one.matched_id] else "different",
            other=one.matched_id,
        )
        for one in said
        if one.matched_id is not None and one.band in {Band.DUPLICATE, Band.REVIEW}
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--silent", action="store_true", help="nobody answers")
    parser.add_argument("--target-precision", type=float, default=CollectionSettings().target_precision)
    parser.add_argument("--vectors", type=Path, help="keep vectors here")
    options = parser.parse_args()
    source = bug_reports(data_folder())
    group = {item.id: int(number) for item, number in zip(source.items, source.groups, strict=True)}
    encoders = RecordedEncoders(ModelCatalogue(KNOWN_MODELS), DEFAULT_MODEL, options.vectors)
    engine = open_recommender(None, encoders)
    sent = 0

    def send(commands: list[Command]) -> list[ItemProcessed]:
        nonlocal sent
        entries = [Entry(EntryId(START_MS + sent + place, 0), one) for place, one in enumerate(commands)]
        sent += len(commands)
        return [event.data for event in engine.process(entries) if isinstance(event.data, ItemProcessed)]

    settings = CollectionSettings(target_precision=options.target_precision, review_budget=None)
    send([ConfigureCollection(collection="default", settings=settings)])
    half = len(source.items) // 2
    late: list[ItemProcessed] = []
    given = 0
    for start in range(0, len(source.items), BATCH):
        said = send([UpsertItem(id=one.id, fields=one.fields) for one in source.items[start : start + BATCH]])
        if start >= half:
            late += said
        elif not options.silent and (told := answers(said, group)):
            given += len(told)
            send(told)
    encoders.recorded.save()
    engine.close()
    earliest: dict[int, str] = {}
    for item in source.items:
        earliest.setdefault(group[item.id], item.id)
    twins = sum(earliest[group[one.item_id]] != one.item_id for one in late)
    flagged = [one for one in late if one.duplicate_of is not None]
    right = sum(group[one.item_id] == group[one.duplicate_of] for one in flagged if one.duplicate_of)
    print(f"{given} answers; of {len(late)} later items {len(flagged)} flagged:", end=" ")
    print(f"precision {right / max(len(flagged), 1):.3f}, recall {right / twins:.3f}")
    ranked = sorted((one.probability, group[one.item_id] == group[one.matched_id]) for one in late if one.matched_id)
    for precision in (0.95, 0.9, 0.85, 0.8):
        found = best = 0
        for place, (_, same) in enumerate(reversed(ranked), start=1):
            found += same
            best = found if found >= precision * place else best
        print(f"recall at precision {precision}: {best / twins:.3f}")


if __name__ == "__main__":
    main()
