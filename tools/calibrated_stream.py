"""What the answers of `recommender calibrate` are worth: asked on the first half of a stream, judged on the second.

    RECOMMENDER_TEST_DATA=... python -m tools.calibrated_stream SET [--target 0.9] [--answers 30] [--kind long_prose]
        [--queue] [--review-budget 0.15] [--model FILE] [--corrected SHARE] [--vectors FILE.npz] [--json FILE]

The first half of a set arrives in the real engine. Then the pairs that the engine proposes are answered from the labels
of the set, one at a time, and the second half arrives. Precision and recall are of the second half alone, of which no
label was seen. Recall counts items with an earlier true twin; precision counts what is labelled, and `low` is the lower
bound of its 95 % score interval. Calibration is that of all candidate pairs of the second half that are stated at 0.1
or more, in bins of equal count of at least 100. With `--corrected` so large a share of the surest pairs that are
labelled as different is answered, and counted, as the same: what readers found of them (`tools.fit_matcher`, `MISSED`);
drawn by the ids of a pair. `--model` begins with another model of pairs than the one that ships, such as one that has
not seen the domain. With `--queue` the pairs in `review` are answered, the likeliest first; `review` is the share of
the second half in that band, and how many true repeats it holds.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from recommender_engine.embedding import KNOWN_MODELS, ModelCatalogue
from recommender_engine.evaluation import RecordedEncoders
from recommender_engine.items import DEFAULT_MODEL, Band, ItemProcessed
from recommender_engine.matching import PairModel
from recommender_engine.matching.model.operating_points import lower_bound
from recommender_engine.pipeline.dedup.review_order import chance_of
from tools.arrivals import STREAMS, Arrivals
from tools.fit_matcher import READ_FROM, ROOT
from tools.judge_matcher import embed_ahead
from tools.played import DEFAULTS, Player

LEAST_IN_BIN = 100
STATED_FROM = 0.1
_LEARNS_FROM = (
    "recommender_engine.matching.matchers.learned.default_model",
    "recommender_engine.pipeline.learning.models.default_model",
    "recommender_engine.pipeline.learning.training.default_model",
)


@dataclass
class Person:
    """Answers from the labels of a stream.

    Attributes:
        stream: with the labels.
        corrected: of the surest pairs labelled as different, the share that is the same all the same.
    """

    stream: Arrivals
    corrected: float = 0.0
    _numbers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._numbers = {item.id: place for place, item in enumerate(self.stream.items)}

    def says(self, one: str, other: str, probability: float) -> bool | None:
        """Whether two items are the same; ``None`` where nobody knows."""
        same = self.stream.same(self._numbers[one], self._numbers[other])
        if same is False and probability >= READ_FROM:
            return chance_of(other, one) < self.corrected
        return same


@contextmanager
def beginning_with(model: PairModel | None) -> Iterator[None]:
    """Collections begin with this model of pairs; ``None`` leaves the one that ships."""
    with ExitStack() as patched:
        for name in _LEARNS_FROM if model is not None else ():
            patched.enter_context(patch(name, lambda: model))
        yield


def asked(player: Player, person: Person, most: int, kind: str | None) -> list[dict[str, Any]]:
    """Answer pairs as `recommender calibrate --limit` asks them; each with how the band stood before."""
    found: list[dict[str, Any]] = []
    unknown: set[tuple[str, str]] = set()
    while len(found) < most:
        proposed = player.propose(kind, 1 + len(unknown))
        kind = kind or (None if proposed.promise is None else proposed.promise.kind)
        pair = next((one for one in proposed.pairs if (one.item_id, one.other_id) not in unknown), None)
        if pair is None or proposed.promise is None:
            break
        same = person.says(pair.item_id, pair.other_id, pair.probability)
        if same is None:
            unknown.add((pair.item_id, pair.other_id))
            continue
        player.answer(pair.item_id, pair.other_id, same=same)
        found.append(
            {
                "kind": proposed.promise.kind,
                "same": same,
                "stated": pair.probability,
                "measured_before": proposed.promise.measured,
                "out_of_reach_before": proposed.out_of_reach,
            }
        )
    return found


def queued(player: Player, person: Person, said: list[ItemProcessed], most: int) -> list[bool]:
    """Answer what is in review, the likeliest first, as it stood when the first half had arrived."""
    found: list[bool] = []
    for one in sorted(said, key=lambda one: -one.probability):
        if len(found) == most:
            break
        if one.band is Band.REVIEW and one.matched_id is not None:
            same = person.says(one.item_id, one.matched_id, one.probability)
            if same is not None:
                player.answer(one.item_id, one.matched_id, same=same)
                found.append(same)
    return found


def in_review(said: list[ItemProcessed], person: Person) -> dict[str, Any]:
    """What is in review."""
    found = [one for one in said if one.band is Band.REVIEW and one.matched_id is not None]
    right = sum(bool(person.says(one.item_id, str(one.matched_id), one.probability)) for one in found)
    return {"share": len(found) / len(said), "right": right}


def flags(said: list[ItemProcessed], person: Person, twins: int) -> dict[str, Any]:
    """How good the duplicate band is."""
    flagged = [one for one in said if one.band is Band.DUPLICATE and one.duplicate_of is not None]
    labels = [person.says(one.item_id, str(one.duplicate_of), one.probability) for one in flagged]
    known = [label for label in labels if label is not None]
    return {
        "flagged": len(flagged),
        "right": sum(known),
        "precision": sum(known) / len(known) if known else None,
        "low": lower_bound(sum(known), len(known)) if known else None,
        "recall": sum(known) / twins if twins else None,
    }


def calibration(stated: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Expected calibration error in bins of equal count, and by how much a bin is too sure at most."""
    order = np.argsort(stated, kind="stable")
    bins = np.array_split(order, max(len(order) // LEAST_IN_BIN, 1))
    apart = [float(stated[one].mean() - labels[one].mean()) for one in bins if len(one)]
    weights = [len(one) / max(len(order), 1) for one in bins if len(one)]
    return {
        "pairs": len(order),
        "bins": len(apart),
        "expected_calibration_error": float(np.dot(np.abs(apart), weights)) if apart else None,
        "too_sure_at_most": max(apart, default=None),
    }


def measured(
    stream: Arrivals, player: Player, person: Person, answers: int, kind: str | None, *, queue: bool = False
) -> dict[str, Any]:
    """Play a stream, with questions after its first half."""
    half = len(stream.items) // 2
    early = player.arrive(stream.items[:half])
    if queue:
        told = queued(player, person, early, answers)
        about: dict[str, Any] = {"answers": len(told), "same": sum(told)}
    else:
        about = _asked(player, person, answers, kind)
    late = player.arrive(stream.items[half:])
    pairs = [one for item in stream.items[half:] for one in player.stated.get(item.id, ()) if one.probability < 1]
    known = [(one.probability, person.says(one.item, one.other, one.probability)) for one in pairs]
    sure = [(stated, same) for stated, same in known if stated >= STATED_FROM and same is not None]
    return {
        **about,
        "band": flags(late, person, int(stream.repeats()[half:].sum())),
        "review": in_review(late, person),
        "calibration": calibration(
            np.array([stated for stated, _ in sure]), np.array([float(same) for _, same in sure])
        ),
    }


def _asked(player: Player, person: Person, answers: int, kind: str | None) -> dict[str, Any]:
    given = asked(player, person, answers, kind)
    after = player.propose(given[0]["kind"] if given else kind)
    return {
        "answers": len(given),
        "same": sum(one["same"] for one in given),
        "open_after": next((place for place, one in enumerate(given) if one["measured_before"]), None),
        "out_of_reach_after": next((place for place, one in enumerate(given) if one["out_of_reach_before"]), None),
        "promise": None if after.promise is None else after.promise.model_dump(mode="json"),
        "asked": [(round(one["stated"], 3), int(one["same"])) for one in given],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=sorted(STREAMS), metavar="SET", help="one of the labelled streams")
    parser.add_argument("--target", type=float, default=0.95, help="the target precision of the collection")
    parser.add_argument("--answers", type=int, default=100, help="how many pairs are answered")
    parser.add_argument("--kind", help="of text; by default what the engine proposes")
    parser.add_argument("--queue", action="store_true", help="answer what is in review instead")
    parser.add_argument("--review-budget", type=float, default=DEFAULTS.review_budget, help="1 is none")
    parser.add_argument("--model", type=Path, help="a model's file to begin with")
    parser.add_argument("--corrected", type=float, default=0.0, metavar="SHARE", help="of the surest errors by labels")
    parser.add_argument("--vectors", type=Path, help="keep vectors here")
    parser.add_argument("--json", type=Path, help="write all figures to a file")
    options = parser.parse_args()
    data = Path(os.environ.get("RECOMMENDER_TEST_DATA", ROOT.parent / "shared" / "data"))
    stream = STREAMS[options.set](data)
    encoders = RecordedEncoders(ModelCatalogue(KNOWN_MODELS), DEFAULT_MODEL, options.vectors)
    embed_ahead(encoders, stream)
    model = None
    if options.model is not None:
        model = PairModel.from_json(json.loads(options.model.read_text(encoding="utf-8")))
    with (
        beginning_with(model),
        Player(encoders, None, options.target, review_budget=options.review_budget) as player,
    ):
        person = Person(stream, options.corrected)
        found = measured(stream, player, person, options.answers, options.kind, queue=options.queue)
    text = json.dumps({"set": options.set, "target": options.target, **found}, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
