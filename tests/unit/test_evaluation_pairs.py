"""Labelled pairs: how they are gathered, seen by the matcher, judged and learned from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation import (
    LabelledPair,
    PairEvaluation,
    PairJudge,
    PairSet,
    RecordedEncoder,
    RecordedEncoders,
    Series,
    Split,
    embed,
    gather,
    plot,
    report,
    run_stream,
)
from recommender_engine.evaluation.candidate_search import CandidateSearch
from recommender_engine.evaluation.labelled import split_of
from recommender_engine.items import Band, CollectionSettings, Item, UpsertItem
from recommender_engine.matching import FEATURES, default_model, item_terms
from recommender_engine.matching.features.table import CONTEXT
from recommender_engine.testing import DeterministicEncoder
from tests.support.engine import Models

LETTERS = "abcdefghijkl"


def item(text: str) -> Item:
    return Item(id="any", text=text)


def pair(left: str, right: str, label: bool, split: Split | None = None) -> LabelledPair:
    return LabelledPair(item(left), item(right), label, split)


def bottles(count: int, split: Split | None = None, *, coded: bool = True) -> list[LabelledPair]:
    """Of each bottle one true pair, and one with the bottle of the next number; names are codes, or words."""

    def named(number: int) -> str:
        return f"{LETTERS[number % 12] * 3}{number if coded else LETTERS[number // 12] * 2}"

    found = []
    for number in range(count):
        name = named(number)
        mine = f"steel bottle {name} black lid"
        found.append(pair(mine, f"bottle {name}, steel, with lid", True, split))
        other = named(number + 1)
        found.append(pair(mine, f"bottle {other}, steel, with lid", False, split))
    return found


def judge(pairs: PairSet, *, alone: bool = False) -> PairJudge:
    return PairJudge(pairs, embed(DeterministicEncoder(), [one.content for one in pairs.items]), alone=alone)


def test_distinct_items_are_gathered_once() -> None:
    found = gather([pair("a", "x", True), pair("a", "y", False), pair("x", "a", False)])
    assert [one.content for one in found.items] == ["a", "x", "y", "x", "a"]
    assert len({one.id for one in found.items}) == 5, "left and right are two lists"
    assert (found.left.tolist(), found.right.tolist()) == ([0, 0, 3], [1, 2, 4])


def test_attributes_tell_items_apart() -> None:
    cheap, dear = (Item(id="p", text="bottle", attributes={"price": price}) for price in (1.0, 2.0))
    assert len(gather([LabelledPair(cheap, dear, True), LabelledPair(dear, dear, False)]).items) == 3


def test_a_split_is_chosen_by_hash_where_none_is_declared() -> None:
    found = gather(bottles(300))
    assert not found.declared
    counts = Counter(found.splits.tolist())
    assert 0.5 < counts["train"] / 600 < 0.7
    assert 0.1 < counts["valid"] / 600 < 0.3
    assert split_of("one", "two") is split_of("two", "one")


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "both kinds"),
        ([pair("a", "b", True)], "both kinds"),
        ([pair("a", "b", True, Split.TEST), pair("a", "c", False)], "give one to all or to none"),
    ],
)
def test_unusable_pairs(pairs: list[LabelledPair], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        gather(pairs)


def test_margins_are_over_all_items_of_the_right() -> None:
    pairs = gather(bottles(30, coded=False))
    vectors = embed(DeterministicEncoder(), [one.content for one in pairs.items])
    rows = judge(pairs).rows()
    rights = np.unique(pairs.right)
    for number, (left, right) in enumerate(zip(pairs.left, pairs.right, strict=True)):
        cosines = {int(other): float(vectors[left] @ vectors[other]) for other in rights}
        mine = cosines.pop(int(right))
        assert rows[number, FEATURES.index("margin")] == pytest.approx(mine - max(cosines.values()), abs=1e-6)
        above = sum(other > mine for other in cosines.values())
        assert rows[number, FEATURES.index("rank")] == min(above, 10)


def test_candidates_are_those_of_the_engine() -> None:
    """Also those that share rare words and are far away by vector."""
    texts = dict.fromkeys(one.right.content for one in bottles(40, coded=False))
    rare = "what comes with zyxqv is anyone's guess, said the neighbour of my aunt"
    items = [Item(id=f"r{n}", text=text) for n, text in enumerate([*texts, rare])]
    asked = Item(id="left", text="steel bottle bbbaa zyxqv lid")
    every = [*items, asked]
    vectors = embed(DeterministicEncoder(), [one.content for one in every])
    search = CandidateSearch(np.arange(len(items)), vectors, [item_terms(one) for one in every])
    found = {every[position].id for position in search.candidates(len(items))}
    upserts = [UpsertItem(id=one.id, text=one.text) for one in every]
    assert found == set(run_stream(upserts, Models()).candidates["left"])
    nearest = np.argsort(-(vectors[:-1] @ vectors[-1]))[:10].tolist()
    assert len(items) - 1 not in nearest
    assert items[-1].id in found


def test_where_both_name_codes_the_meaning_of_the_others_does_not_count() -> None:
    rows = judge(gather(bottles(5))).rows()
    assert np.isnan(rows[:, [FEATURES.index(name) for name in ("margin", "lead", "rank")]]).all()
    assert not np.isnan(
        rows[:, [FEATURES.index(name) for name in ("their_margin", "words_margin", "words_lead")]]
    ).any()


def test_alone_there_is_no_margin() -> None:
    rows = judge(gather(bottles(5, coded=False)), alone=True).rows()
    assert np.isnan(rows[:, [FEATURES.index(name) for name in CONTEXT]]).all()


def test_a_pair_that_stands_twice_is_judged_twice() -> None:
    pairs = gather([*bottles(12), bottles(12)[3]])
    rows = judge(pairs).rows()
    assert len(rows) == 25
    np.testing.assert_array_equal(rows[24], rows[3])


def test_the_same_text_is_a_duplicate_for_sure() -> None:
    pairs = gather([pair("Printer on fire", "printer on FIRE", True), pair("Printer on fire", "no coffee", False)])
    same, other = judge(pairs).verdicts(default_model(), CollectionSettings())
    assert (same.band, same.probability) == (Band.DUPLICATE, 1.0)
    assert other.probability < 0.5


def test_baselines() -> None:
    found = judge(gather([pair("red cup", "cup red", True), pair("red cup", "blue hat", False)])).baselines
    assert found.tfidf == pytest.approx([1.0, 0.0])
    assert found.cosine[0] > found.cosine[1]


def splits(train: int, valid: int, test: int) -> PairSet:
    numbers = (Split.TRAIN, train), (Split.VALID, valid), (Split.TEST, test)
    return gather([one for split, count in numbers for one in bottles(count, split)])


def test_learning_helps_and_is_judged_on_test() -> None:
    pairs = splits(60, 30, 30)
    judged = judge(pairs)
    evaluation = PairEvaluation(pairs, judged, CollectionSettings(), Split.TEST)
    shipped, learned = evaluation.shipped(), evaluation.learned(judged.rows())
    assert len(shipped.labels) == len(learned.labels) == 60
    assert learned.figures.expected_calibration_error < shipped.figures.expected_calibration_error
    assert (learned.figures.f1 or 0) >= (shipped.figures.f1 or 0)
    assert 0 < learned.figures.threshold < 1
    review, duplicate = learned.figures.bands.review, learned.figures.bands.duplicate
    assert review.threshold <= duplicate.threshold
    assert (review.recall or 0) >= (duplicate.recall or 0)


def test_errors_come_the_surest_first_and_explained() -> None:
    pairs = gather([*bottles(8), pair("red cup", "red cup", False), pair("red cup", "blue hat of wool", True)])
    evaluation = PairEvaluation(pairs, judge(pairs), CollectionSettings())
    shipped = evaluation.shipped()
    wrong = list(evaluation.explained(shipped, shipped.wrong()))
    assert wrong[0][0] == 16, "the same text, labelled as different"
    assert wrong[0][1].explanation == "the same text but for case and white space"
    assert [bool(pairs.labels[pair]) for pair, _ in wrong] == sorted(bool(pairs.labels[pair]) for pair, _ in wrong)
    missed = [verdict.probability for pair, verdict in wrong if pairs.labels[pair]]
    assert missed == sorted(missed)
    assert 17 in dict(wrong)


def test_target_precision_moves_the_duplicate_band(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "default_model", lambda: replace(default_model(), segments=None))
    pairs = gather(bottles(30))
    judged = judge(pairs)
    low, high = (
        PairEvaluation(pairs, judged, CollectionSettings(target_precision=target)).shipped().figures
        for target in (0.6, 0.99)
    )
    assert low.threshold is not None
    assert high.threshold is None or low.threshold < high.threshold
    assert (low.recall or 0) > (high.recall or 0)


def test_curve_starts_with_no_answer_and_takes_no_more_than_there_are() -> None:
    pairs = splits(20, 10, 30)
    judged = judge(pairs)
    points = list(PairEvaluation(pairs, judged, CollectionSettings(), Split.TEST).curve(judged.rows()))
    assert [point.answers for point in points] == [0, 10, 30]
    assert points == list(PairEvaluation(pairs, judged, CollectionSettings(), Split.TEST).curve(judged.rows()))


def test_learning_needs_both_kinds_in_train() -> None:
    pairs = gather([pair("a", "b", True, Split.TRAIN), *bottles(9, Split.VALID), *bottles(9, Split.TEST)])
    judged = judge(pairs)
    with pytest.raises(ConfigurationError, match="'train' needs pairs of both kinds"):
        PairEvaluation(pairs, judged, CollectionSettings(), Split.TEST).learned(judged.rows())


# -- recorded vectors --------------------------------------------------------------------------------------------------

TEXTS = ["one", "two", "a third", "one"]


def _no_model() -> DeterministicEncoder:
    raise AssertionError("the model was loaded")


def test_recorded_vectors_need_no_model(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npz"
    first = RecordedEncoder(DeterministicEncoder, path)
    made = first.encode(TEXTS)
    first.save()
    again = RecordedEncoder(_no_model, path)
    assert again.identity == DeterministicEncoder().identity
    np.testing.assert_array_equal(again.encode(TEXTS).vectors, made.vectors)
    np.testing.assert_array_equal(DeterministicEncoder().encode(TEXTS).vectors, made.vectors)


def test_truncation_is_recorded(tmp_path: Path) -> None:
    recorded = RecordedEncoder(lambda: DeterministicEncoder(max_tokens=1), tmp_path / "vectors.npz")
    assert recorded.encode(["one", "a third"]).truncated.tolist() == [False, True]
    recorded.save()
    assert RecordedEncoder(_no_model, tmp_path / "vectors.npz").encode(["a third"]).truncated.tolist() == [True]


def test_vectors_of_another_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npz"
    first = RecordedEncoder(DeterministicEncoder, path)
    first.encode(["one"])
    first.save()
    other = RecordedEncoder(lambda: DeterministicEncoder(32), path)
    with pytest.raises(ConfigurationError, match="holds vectors of deterministic@"):
        other.encode(["two"])


@pytest.mark.parametrize("content", [b"", b"no zip file", b"PK\x03\x04 cut off"])
def test_damaged_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vectors.npz"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"vectors\.npz does not hold recorded vectors"):
        RecordedEncoder(DeterministicEncoder, path)


def test_only_the_evaluated_model_is_recorded() -> None:
    other = DeterministicEncoder(32)
    models = Models(DeterministicEncoder(), other=other)
    recorded = RecordedEncoders(models, models.names[0])
    assert recorded.encoder("other") is other
    assert recorded.encoder(models.names[0]) is recorded.recorded


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_plot_is_written(tmp_path: Path) -> None:
    labels, scores = np.array([True, False, True]), np.array([0.9, 0.4, 0.3])
    path = tmp_path / "out.png"
    plot(path, "three pairs", [Series("one", labels, scores, threshold=0.4), Series("two", labels, scores, False)])
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigurationError, match=r"cannot write .*out\.xyz"):
        plot(tmp_path / "out.xyz", "unknown", [Series("one", labels, scores)])
