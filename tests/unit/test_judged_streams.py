"""What the matcher is judged by: streams as they are drawn, and the figures made of verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from recommender_engine.items import Band, Item
from tools.arrivals import Arrivals, thinned, whole_groups, with_twins
from tools.judged import calibration, view_of_pairs, wilson_lower


def stream(*groups: int) -> Arrivals:
    words = ("lamp", "chair", "kettle", "rope", "tent", "drill", "clock", "plate")
    items = [Item(id=str(number), text=f"A {words[group % 8]} of kind {group}") for number, group in enumerate(groups)]
    return Arrivals(items, np.array(groups))


def test_a_thinned_stream_keeps_all_first_items_and_the_share_of_repeats_asked_for() -> None:
    whole = stream(*([*range(97)] * 3))
    found = thinned(whole, 0.03)
    assert len(found.items) == 100
    assert found.repeats().sum() == 3
    assert set(found.groups.tolist()) == set(range(97))
    assert [item.id for item in found.items] == sorted((item.id for item in found.items), key=int)


def test_whole_groups_are_never_cut() -> None:
    whole = stream(*([*range(40)] * 4))
    found = whole_groups(whole, 50)
    assert len(found.items) == 48
    assert set(np.bincount(found.groups)) <= {0, 4}


@pytest.mark.parametrize("twins", [1, 3, 8])
def test_things_have_as_many_twins_as_asked_for_also_where_the_set_has_fewer(twins: int) -> None:
    found = with_twins(stream(*([*range(30)] * 3), *range(30, 90)), twins, 5)
    sizes = np.bincount(found.groups)
    assert sorted(sizes[sizes > 1].tolist()) == [twins + 1] * 5
    assert len({item.id for item in found.items}) == len(found.items)


def test_unlabelled_pairs_are_neither_the_same_nor_different() -> None:
    some = Arrivals(stream(0, 0, 1, 2).items, np.array([0, 0, 1, 2]), frozenset({(0, 1)}))
    assert [some.same(1, other) for other in (0, 2, 3)] == [True, False, None]
    two = Arrivals(stream(0, 0, 1, 2).items, np.array([0, 0, 1, 2]), sources=np.array(["a", "a", "a", "b"]))
    assert [two.same(1, other) for other in (0, 2, 3)] == [True, None, False]
    assert two.only([3, 1]).same(0, 1) is False


def test_lower_bound_of_a_share() -> None:
    assert wilson_lower(35, 35) == pytest.approx(0.9011, abs=1e-4)
    assert wilson_lower(0, 0) is None


def test_bins_hold_equal_counts_of_what_is_stated_at_a_tenth_or_more() -> None:
    stated = np.concatenate([np.full(500, 0.05), np.full(150, 0.3), np.full(150, 0.9)])
    labels = np.concatenate([np.zeros(500, bool), np.ones(150, bool), np.zeros(150, bool)])
    bins = calibration(labels, stated)
    assert [(round(one.stated, 6), one.true, one.pairs) for one in bins] == [
        (0.3, 1.0, 100),
        (0.6, 0.5, 100),
        (0.9, 0.0, 100),
    ]


def test_flags_count_what_is_right_what_waits_for_a_look_and_what_is_lost() -> None:
    labels = np.array([True, False, True, True, False])
    stated = np.array([0.99, 0.97, 0.7, 0.1, 0.1])
    bands = [Band.DUPLICATE, Band.DUPLICATE, Band.REVIEW, Band.NEW, Band.SIMILAR]
    said = view_of_pairs("pairs", labels, stated, {0.95: bands}).flags[0.95]
    assert (said.flagged, said.right, said.of, said.held, said.lost, said.queue) == (2, 1, 3, 1, 1, 1)
    assert said.to_json()["precision"] == 0.5
