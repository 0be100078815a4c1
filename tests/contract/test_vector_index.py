"""What every vector index promises, on each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine.index import (
    NO_LABEL,
    AdaptiveIndex,
    FlatIndex,
    HnswIndex,
    HnswParameters,
    Labels,
    SearchResult,
    Vectors,
    make_index,
)

Index = FlatIndex | HnswIndex | AdaptiveIndex
Maker = Callable[[int], Index]

DIMENSION = 16
NARROW = HnswParameters(ef_search_floor=8)  # so narrow that the graph answers, not the exact search for small indexes

MAKERS: dict[str, Maker] = {
    "exact": FlatIndex,
    "hnsw": partial(HnswIndex.empty, parameters=NARROW),
    "adaptive-before-switch": partial(AdaptiveIndex, parameters=NARROW, switch_at=10**9),
    "adaptive-after-switch": partial(AdaptiveIndex, parameters=NARROW, switch_at=1),
    "adaptive-with-graph-from-start": partial(AdaptiveIndex, parameters=NARROW, switch_at=0),
}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Iterator[Maker]:
    made: list[Index] = []

    def maker(dimension: int = DIMENSION) -> Index:
        made.append(MAKERS[request.param](dimension))
        return made[-1]

    yield maker
    for index in made:
        index.close()


def unit(count: int, dimension: int = DIMENSION, seed: int = 7) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def clustered(count: int, dimension: int, seed: int) -> Vectors:
    """Texts come in topics: a hundred centres with a cloud around each."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(100, dimension))
    vectors = (centres[rng.integers(0, 100, count)] + 0.7 * rng.normal(size=(count, dimension))).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def fill(index: Index, labels: Labels, vectors: Vectors) -> Index:
    index.add(labels, vectors)
    if isinstance(index, AdaptiveIndex):
        assert index.settle(timeout_s=60)
    return index


def filled(make: Maker, count: int, first: int = 100) -> tuple[Index, Labels, Vectors]:
    labels, vectors = np.arange(first, first + count), unit(count)
    return fill(make(DIMENSION), labels, vectors), labels, vectors


def assert_nothing(found: SearchResult, queries: int, k: int) -> None:
    assert found.labels.shape == found.similarities.shape == (queries, k)
    assert (found.labels == NO_LABEL).all()
    assert (found.similarities == -np.inf).all()


def test_an_empty_index_finds_nothing(make: Maker) -> None:
    index = make(DIMENSION)
    assert len(index) == 0
    assert_nothing(index.search(unit(3), 5), 3, 5)
    assert index.labels().shape == (0,)
    assert index.vectors(np.empty(0, np.int64)).shape == (0, DIMENSION)


def test_an_empty_batch_changes_nothing_and_finds_nothing(make: Maker) -> None:
    index, _, _ = filled(make, 20)
    index.add(np.empty(0, np.int64), np.empty((0, DIMENSION), np.float32))
    index.remove(np.empty(0, np.int64))
    assert len(index) == 20
    assert_nothing(index.search(np.empty((0, DIMENSION), np.float32), 2), 0, 2)


def test_a_single_vector_is_found_and_the_rest_is_padding(make: Maker) -> None:
    index, labels, vectors = filled(make, 1)
    found = index.search(vectors, 3)
    assert found.labels.tolist() == [[int(labels[0]), NO_LABEL, NO_LABEL]]
    assert found.similarities[0, 0] == pytest.approx(1.0, abs=1e-6)
    assert found.similarities[0, 1:].tolist() == [-np.inf, -np.inf]


def test_what_was_added_is_found_at_once(make: Maker) -> None:
    index, vectors = make(DIMENSION), unit(300)
    for start in range(0, 300, 30):
        batch = np.arange(start, start + 30)
        fill(index, batch, vectors[batch])
        found = index.search(vectors[batch], 1)
        assert found.labels[:, 0].tolist() == batch.tolist()
    assert len(index) == 300
    assert sorted(index.labels().tolist()) == list(range(300))


def test_what_was_removed_is_never_found(make: Maker) -> None:
    index, labels, vectors = filled(make, 200)
    index.remove(labels[::2])
    found = index.search(vectors, 5)
    assert len(index) == 100
    assert not np.isin(found.labels, labels[::2]).any()
    assert found.labels[1::2, 0].tolist() == labels[1::2].tolist()
    assert index.labels().tolist() == labels[1::2].tolist()


def test_removing_what_is_not_there_is_ignored(make: Maker) -> None:
    index, labels, _ = filled(make, 20)
    index.remove(np.array([-5, 0, 10**12]))
    assert len(index) == 20
    index.remove(np.array([labels[0], labels[0], 10**12]))
    index.remove(labels[:1])
    assert len(index) == 19


def test_with_everything_removed_it_is_empty_and_can_be_filled_again(make: Maker) -> None:
    index, labels, vectors = filled(make, 50)
    index.remove(labels)
    assert len(index) == 0
    assert_nothing(index.search(vectors[:4], 2), 4, 2)
    fill(index, labels + 1000, vectors)
    assert index.search(vectors, 1).labels[:, 0].tolist() == (labels + 1000).tolist()


def test_more_neighbours_than_vectors_gives_all_of_them_and_padding(make: Maker) -> None:
    index, labels, vectors = filled(make, 30)
    found = index.search(vectors[:2], 1000)
    assert found.labels.shape == (2, 1000)
    for row in found.labels:
        assert set(row[:30].tolist()) == set(labels.tolist())
        assert (row[30:] == NO_LABEL).all()


def test_as_many_neighbours_as_vectors_gives_all_of_them(make: Maker) -> None:
    index, labels, vectors = filled(make, 600)
    found = index.search(vectors[:3], 600)
    for row in found.labels:
        assert sorted(row.tolist()) == labels.tolist()


def test_neighbours_come_best_first_and_equals_by_label(make: Maker) -> None:
    labels, vectors = np.arange(40), unit(40)
    same = [31, 5, 22, 8]
    vectors[same] = vectors[31]
    shuffled = np.random.default_rng(3).permutation(40)
    index = fill(make(DIMENSION), labels[shuffled], vectors[shuffled])
    found = index.search(vectors[[31]], 6)
    assert found.labels[0, :4].tolist() == sorted(same)
    assert len(set(found.similarities[0, :4].tolist())) == 1
    assert (np.diff(found.similarities[0]) <= 0).all()


def test_similarities_are_the_exact_cosine_rounded_once(make: Maker) -> None:
    index, labels, vectors = filled(make, 300)
    queries = unit(20, seed=8)
    exact = (queries.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.float32)
    found = index.search(queries, 7)
    np.testing.assert_array_equal(found.similarities, np.take_along_axis(exact, found.labels - labels[0], axis=1))


def test_the_answer_does_not_depend_on_the_batch(make: Maker) -> None:
    index, _, _ = filled(make, 300)
    queries = unit(33, seed=8)
    together = index.search(queries, 7)
    for i in range(len(queries)):
        alone = index.search(queries[i : i + 1], 7)
        np.testing.assert_array_equal(alone.labels[0], together.labels[i])
        np.testing.assert_array_equal(alone.similarities[0], together.similarities[i])


def test_stored_vectors_come_back_in_the_order_asked_for(make: Maker) -> None:
    index, labels, vectors = filled(make, 400)
    index.remove(labels[:350])
    fill(index, labels + 1000, unit(400, seed=9))
    np.testing.assert_array_equal(index.vectors(labels[[399, 360, 399]]), vectors[[399, 360, 399]])
    np.testing.assert_array_equal(index.vectors(labels + 1000), unit(400, seed=9))


def test_returned_vectors_are_the_callers_own(make: Maker) -> None:
    index, labels, vectors = filled(make, 10)
    index.vectors(labels)[:] = 0.0
    np.testing.assert_array_equal(index.vectors(labels), vectors)


def test_asking_for_a_vector_that_is_not_there_is_an_error(make: Maker) -> None:
    index, labels, _ = filled(make, 10)
    index.remove(labels[:1])
    with pytest.raises(KeyError, match="100"):
        index.vectors(labels[:1])


BAD_VECTORS: dict[str, tuple[Vectors, str]] = {
    "nan": (np.full((1, DIMENSION), np.nan, np.float32), "vector 0 is not finite"),
    "inf": (np.full((1, DIMENSION), np.inf, np.float32), "vector 0 is not finite"),
    "one-nan-in-the-second": (np.where(np.eye(2, DIMENSION, 3), np.nan, unit(2)), "vector 0 is not finite"),
    "zero": (np.zeros((1, DIMENSION), np.float32), "vector 0 has length 0, not 1"),
    "too-long": (1.02 * unit(1), r"vector 0 has length 1\.02, not 1"),
    "too-short": (np.concatenate([unit(1), 0.98 * unit(1)]), r"vector 1 has length 0\.98, not 1"),
    "overflow": (np.full((1, DIMENSION), 1e30, np.float32), "vector 0 has length inf, not 1"),
    "wrong-dimension": (unit(1, DIMENSION - 1), r"vectors have shape \(1, 15\), not \(n, 16\)"),
    "flat": (unit(1)[0], r"vectors have shape \(16,\), not \(n, 16\)"),
}


@pytest.mark.parametrize("bad", BAD_VECTORS)
def test_vectors_that_are_not_of_unit_length_are_refused(make: Maker, bad: str) -> None:
    index, labels, vectors = filled(make, 20)
    wrong, message = BAD_VECTORS[bad]
    with pytest.raises(ValueError, match=message):
        index.search(wrong, 1)
    with pytest.raises(ValueError, match=message):
        index.add(np.arange(len(wrong)) + 1000, wrong)
    assert len(index) == 20
    assert index.search(vectors, 1).labels[:, 0].tolist() == labels.tolist()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        pytest.param(np.array([5, -1]), "label -1 is negative", id="negative"),
        pytest.param(np.array([5, 5]), "a label appears twice", id="twice"),
        pytest.param(np.array([5, 107]), "label 107 is already in the index", id="known"),
        pytest.param(np.array([5]), "1 labels for 2 vectors", id="too-few"),
        pytest.param(np.array([5.0, 6.9]), "labels are float64", id="fractions"),
        pytest.param(np.array([2**64 - 1, 1], np.uint64), "label -1 is negative", id="too-large"),
        pytest.param(np.array([[5, 6]]), r"of shape \(1, 2\)", id="matrix"),
    ],
)
def test_bad_labels_are_refused_and_nothing_is_added(make: Maker, labels: Labels, message: str) -> None:
    index, _, _ = filled(make, 20)
    with pytest.raises(ValueError, match=message):
        index.add(labels, unit(2, seed=9))
    assert sorted(index.labels().tolist()) == list(range(100, 120))
    assert 5 not in index.search(unit(2, seed=9), 20).labels


def test_fewer_than_one_neighbour_is_refused(make: Maker) -> None:
    index, _, _ = filled(make, 20)
    with pytest.raises(ValueError, match="k is 0, not at least 1"):
        index.search(unit(1), 0)
    with pytest.raises(ValueError, match="k is 0, not at least 1"):
        index.search(unit(1)[:0], 0)


RECALL_MAKERS: dict[str, Maker] = {
    "exact": FlatIndex,
    "hnsw": HnswIndex.empty,
    "adaptive-after-switch": partial(AdaptiveIndex, switch_at=2_000),
}


@pytest.mark.parametrize("kind", RECALL_MAKERS)
def test_recall_is_at_least_99_percent(kind: str) -> None:
    vectors, queries = clustered(5_000, 64, seed=2), clustered(300, 64, seed=3)
    labels = np.arange(5_000) * 3
    index = fill(RECALL_MAKERS[kind](64), labels[:4_000], vectors[:4_000])
    fill(index, labels[4_000:], vectors[4_000:])
    assert index.kind == ("exact" if kind == "exact" else "hnsw")
    truth = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :10] * 3
    found = index.search(queries, 10).labels
    recall = np.mean([np.isin(f, t).mean() for f, t in zip(found, truth, strict=True)])
    assert recall >= 0.99
    itself = index.search(vectors, 1).labels[:, 0] == labels
    assert itself.mean() >= 0.999


@pytest.mark.parametrize("kind", ["exact", "auto", "hnsw"])
def test_every_configured_kind_can_be_made(kind: str) -> None:
    index = make_index(kind, DIMENSION)  # type: ignore[arg-type]
    index.add(np.arange(5), unit(5))
    assert index.kind == ("hnsw" if kind == "hnsw" else "exact")
    assert index.search(unit(5), 1).labels[:, 0].tolist() == [0, 1, 2, 3, 4]
    index.close()


def test_an_index_can_be_made_from_a_restored_one() -> None:
    for kind, serving in (("exact", "exact"), ("auto", "hnsw"), ("hnsw", "hnsw")):
        restored = HnswIndex.empty(DIMENSION)
        restored.add(np.arange(5), unit(5))
        index = make_index(kind, DIMENSION, restored=restored)  # type: ignore[arg-type]
        assert (index.kind, len(index)) == (serving, 5)
        index.close()
    with pytest.raises(ValueError, match="the restored index has dimension 16, not 8"):
        make_index("auto", 8, restored=HnswIndex.empty(DIMENSION))


# One step: ("add", how many), ("remove", which of those ever added), ("search", which query, k).
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 25)),
        st.tuples(st.just("remove"), st.lists(st.integers(0, 200), max_size=20)),
        st.tuples(st.just("search"), st.integers(0, 10**6), st.integers(1, 12)),
    ),
    max_size=25,
)


def nearest_in(model: dict[int, Vectors], query: Vectors) -> list[tuple[int, np.float32]]:
    """Every vector of the model, best first, equals by label."""
    scored = [(label, np.float32(vector.astype(float) @ query.astype(float))) for label, vector in model.items()]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0]))


def run_steps(
    index: Index, steps: list[tuple], check: Callable[[Index, dict[int, Vectors], Vectors, int], None]
) -> None:
    model: dict[int, Vectors] = {}
    added = 0
    for action, *arguments in steps:
        if action == "add":
            labels = np.arange(added, added + arguments[0])
            vectors = unit(arguments[0], seed=added)
            index.add(labels, vectors)
            model.update(zip(labels.tolist(), vectors, strict=True))
            added += arguments[0]
        elif action == "remove":
            index.remove(np.array(arguments[0], np.int64))
            for label in arguments[0]:
                model.pop(label, None)
        else:
            check(index, model, unit(1, seed=arguments[0])[0], arguments[1])
        assert sorted(index.labels().tolist()) == sorted(model)
        assert len(index) == len(model)
    if model:
        np.testing.assert_array_equal(index.vectors(np.array(list(model))), np.array(list(model.values())))


def agrees_exactly(index: Index, model: dict[int, Vectors], query: Vectors, k: int) -> None:
    found = index.search(query[None], k)
    expected = nearest_in(model, query)[:k]
    padding = k - len(expected)
    assert found.labels[0].tolist() == [label for label, _ in expected] + [NO_LABEL] * padding
    assert found.similarities[0].tolist() == [similarity for _, similarity in expected] + [-np.inf] * padding


def agrees_approximately(index: Index, model: dict[int, Vectors], query: Vectors, k: int) -> None:
    found = index.search(query[None], k)
    labels = found.labels[0][: min(k, len(model))].tolist()
    assert len(set(labels)) == len(labels)
    true_similarity = dict(nearest_in(model, query))
    assert found.similarities[0][: len(labels)].tolist() == [true_similarity[label] for label in labels]
    assert (found.labels[0][len(labels) :] == NO_LABEL).all()
    for label, vector in model.items():
        assert index.search(vector[None], 1).labels[0, 0] == label


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_the_exact_index_agrees_with_a_dict(steps: list[tuple]) -> None:
    run_steps(FlatIndex(DIMENSION), steps, agrees_exactly)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_the_graph_index_agrees_with_a_dict_but_for_order(steps: list[tuple]) -> None:
    run_steps(HnswIndex.empty(DIMENSION, NARROW), steps, agrees_approximately)
