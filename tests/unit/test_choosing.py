"""Which backend computes the vectors: the fastest of those that agree with the reference."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender_engine.embedding import choosing
from recommender_engine.embedding.backend import Backend
from recommender_engine.embedding.backends import REFERENCE
from recommender_engine.embedding.choosing import PROBE, Chooser, require_agreement
from recommender_engine.embedding.computing import embed
from recommender_engine.embedding.encoder import Vectors
from recommender_engine.embedding.tokens import Inputs, Tokenised, passes
from recommender_engine.errors import ConfigurationError, EncodingError, ModelError
from tests.support.logs import logged

DIMENSION = 8


class Numbers:
    """Stands in for ``Tokens``: a text is its length and its first letters."""

    def tokenise(self, texts: Any) -> Tokenised:
        ids = [[len(text), *map(ord, text[:DIMENSION])] for text in texts]
        return Tokenised(ids, np.array([len(one) for one in ids]), np.arange(len(ids)), np.zeros(len(ids), np.bool_))

    def padded(self, ids: Any) -> Inputs:
        rows = np.zeros((len(ids), DIMENSION + 1), np.int64)
        for place, one in enumerate(ids):
            rows[place, : len(one)] = one
        return {"input_ids": rows}


class Clock:
    """Stands in for the module ``time``: nothing takes time but what says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s

    monotonic = perf_counter


CLOCK = Clock()


class Made:
    """A backend that takes a while, or is wrong."""

    tokens_per_pass = 40
    passes_at_once = 1

    def __init__(self, name: str, takes_s: float = 0.0, turned: float = 0.0) -> None:
        self.name = name
        self._takes_s = takes_s
        self._turned = turned

    def embed(self, passes: Iterable[Inputs]) -> list[Vectors]:
        return [self._embed(inputs) for inputs in passes]

    def _embed(self, inputs: Inputs) -> Vectors:
        CLOCK.now_s += self._takes_s
        rows = inputs["input_ids"][:, :DIMENSION].astype(np.float32)
        return rows + self._turned * rows[:, ::-1]


@pytest.fixture(autouse=True)
def clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "model" not in request.keywords:
        monkeypatch.setattr(choosing, "time", CLOCK)
        monkeypatch.setattr(choosing, "_MEASURED_S", 0.0)


SLOW_S, QUICK_S = 0.004, 0.001


def chooser(backends: dict[str, Made], cache: Path | None = None) -> tuple[Chooser, list[str]]:
    made: list[str] = []

    def make(name: str) -> Backend:
        made.append(name)
        found = backends[name]
        if isinstance(found, Exception):
            raise found
        return found

    return Chooser(make, tuple(backends), Numbers(), DIMENSION, cache), made  # type: ignore[arg-type]


def chosen(backends: dict[str, Any], cache: Path | None = None, threads: int = 1) -> str:
    return chooser(backends, cache)[0].choose("model@0123", threads).name


def three(**others: Any) -> dict[str, Any]:
    return {
        REFERENCE: Made(REFERENCE, SLOW_S),
        "fast": Made("fast", QUICK_S),
        "middling": Made("middling", SLOW_S / 2),
        **others,
    }


def test_the_fastest_is_taken() -> None:
    assert chosen(three()) == "fast"
    assert chosen({REFERENCE: Made(REFERENCE, QUICK_S), "slow": Made("slow", SLOW_S)}) == REFERENCE


def test_one_that_makes_other_vectors_is_not(caplog: pytest.LogCaptureFixture) -> None:
    assert chosen(three(fast=Made("fast", turned=0.5))) == "middling"
    assert [record.event for record in caplog.records if record.levelno == logging.WARNING] == ["encoder.disagrees"]


@pytest.mark.parametrize(
    "error", [ModelError("cannot be converted"), RuntimeError("no such instruction"), ValueError("shape")]
)
def test_one_that_fails_is_not(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    assert chosen(three(fast=error)) == "middling"
    assert "encoder.unusable" in {event for event, _ in logged(caplog)}


def test_a_choice_is_kept(tmp_path: Path) -> None:
    assert chosen(three(), tmp_path / "cache") == "fast"
    again, made = chooser(three(fast=Made("fast", 2 * SLOW_S)), tmp_path / "cache")
    assert again.choose("model@0123", 1).name == "fast", "it is not measured again"
    assert made == [REFERENCE, "fast"]
    kept = json.loads((tmp_path / "cache" / "0123-encoder.json").read_text())
    assert kept["chosen"] == "fast"
    assert kept["texts_per_s"].keys() == three().keys()


def change_threads(cache: Path) -> str:
    return chosen(three(fast=Made("fast", 2 * SLOW_S)), cache, threads=2)


def change_processor(cache: Path) -> str:
    path = cache / "0123-encoder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"processor": "another"}))
    return chosen(three(fast=Made("fast", 2 * SLOW_S)), cache)


def change_backends(cache: Path) -> str:
    return chosen(three(fast=Made("fast", 2 * SLOW_S), new=Made("new", 3 * SLOW_S)), cache)


def damage(cache: Path) -> str:
    (cache / "0123-encoder.json").write_text("{")
    return chosen(three(fast=Made("fast", 2 * SLOW_S)), cache)


def disagree(cache: Path) -> str:
    return chosen(three(fast=Made("fast", turned=0.5)), cache)


@pytest.mark.parametrize("change", [change_threads, change_processor, change_backends, damage, disagree])
def test_a_choice_is_made_anew_when_anything_has_changed(change: Callable[[Path], str], tmp_path: Path) -> None:
    assert chosen(three(), tmp_path) == "fast"
    assert change(tmp_path) == "middling"


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    assert chosen(three(), tmp_path / "file") == "fast"
    assert "encoder.choice_not_kept" in {event for event, _ in logged(caplog)}


def test_one_that_was_asked_for_must_be_the_model() -> None:
    reference, tokens = Made(REFERENCE), Numbers()
    require_agreement(Made("fine", turned=0.001), reference, tokens, DIMENSION)  # type: ignore[arg-type]
    with pytest.raises(
        ModelError, match=r"'odd' gives other vectors here than torch-float32: the worst cosine is 0\.\d+"
    ):
        require_agreement(Made("odd", turned=0.5), reference, tokens, DIMENSION)  # type: ignore[arg-type]
    require_agreement(Made("odd", turned=0.5), reference, tokens, DIMENSION, least=0.5)  # type: ignore[arg-type]


def test_vectors_come_back_in_order_and_of_unit_length() -> None:
    tokens = Numbers()
    vectors = embed(Made("any"), tokens, tokens.tokenise(PROBE), DIMENSION)  # type: ignore[arg-type]
    alone = [embed(Made("any"), tokens, tokens.tokenise([text]), DIMENSION) for text in PROBE]  # type: ignore[arg-type]
    np.testing.assert_array_equal(vectors, np.concatenate(alone))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_what_is_no_vector_is_an_error() -> None:
    tokens = Numbers()
    with pytest.raises(ValueError, match=r"texts gave an array of shape \(\d+, 8\)"):
        embed(Made("any"), tokens, tokens.tokenise(PROBE), DIMENSION + 1)  # type: ignore[arg-type]
    with pytest.raises(EncodingError, match="not finite or zero"):
        embed(Made("any", turned=float("nan")), tokens, tokens.tokenise(PROBE), DIMENSION)  # type: ignore[arg-type]


@pytest.mark.parametrize("budget", [1, 7, 40, 10_000])
def test_a_pass_holds_texts_of_similar_length_up_to_its_budget(budget: int) -> None:
    lengths = np.random.default_rng(1).integers(1, 60, 200)
    found = list(passes(lengths, budget))
    assert sorted(np.concatenate(found).tolist()) == list(range(200))
    longest = [int(lengths[places].max()) for places in found]
    assert longest == sorted(longest, reverse=True)
    assert all(len(places) == 1 or len(places) * size <= budget for places, size in zip(found, longest, strict=True))


@pytest.mark.model
def test_a_backend_that_is_not_here_is_named() -> None:
    from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2
    from recommender_engine.embedding.sentence_transformer import SentenceTransformerEncoder

    with pytest.raises(
        ConfigurationError, match=r"encoder 'torch-int4' is not available here; there are: auto, torch-f"
    ):
        SentenceTransformerEncoder(ALL_MINILM_L6_V2, backend="torch-int4")


@pytest.mark.model
def test_the_real_model_is_chosen_for_and_remembered(tmp_path: Path) -> None:
    from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2
    from recommender_engine.embedding.sentence_transformer import SentenceTransformerEncoder

    first = SentenceTransformerEncoder(ALL_MINILM_L6_V2, backend="auto", cache=tmp_path)
    kept = {path.name for path in tmp_path.iterdir()}
    again = SentenceTransformerEncoder(ALL_MINILM_L6_V2, backend="auto", cache=tmp_path)
    reference = SentenceTransformerEncoder(ALL_MINILM_L6_V2)
    assert again.identity == first.identity
    assert first.identity.key == reference.identity.key
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert any(name.endswith(".bin") for name in kept)
    cosines = (again.encode(PROBE).vectors * reference.encode(PROBE).vectors).sum(axis=1)
    assert cosines.min() >= choosing.LEAST_COSINE


@pytest.mark.model
def test_a_converted_model_that_was_tampered_with_is_not_used(tmp_path: Path) -> None:
    from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2
    from recommender_engine.embedding.sentence_transformer import SentenceTransformerEncoder

    SentenceTransformerEncoder(ALL_MINILM_L6_V2, backend="openvino-bfloat16", cache=tmp_path)
    (weights,) = tmp_path.glob("*.bin")
    weights.write_bytes(weights.read_bytes()[::-1])
    with pytest.raises((ModelError, EncodingError), match=r"other vectors|not finite|cannot be converted"):
        SentenceTransformerEncoder(ALL_MINILM_L6_V2, backend="openvino-bfloat16", cache=tmp_path)
