"""A text that is longer than the model reads: cut off, or read in overlapping windows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from recommender_engine.embedding.computing import embed
from recommender_engine.embedding.encoder import Vectors
from recommender_engine.embedding.tokens import Inputs, Tokens

MODEL_READS, SPECIAL, OVERLAP = 16, 2, 2
START, END = 1, 2


class Numerals:
    """Stands in for a tokenizer of transformers: a text is numbers, each of them a token."""

    pad_token_id = 0
    padding_side = "right"
    model_input_names = ("input_ids", "attention_mask")

    def num_special_tokens_to_add(self) -> int:
        return SPECIAL

    def __call__(
        self, texts: list[str], *, max_length: int, stride: int = 0, return_overflowing_tokens: bool = False, **_: Any
    ) -> dict[str, Any]:
        windows, places = [], []
        for place, text in enumerate(texts):
            numbers, size, start = [int(one) for one in text.split()], max_length - SPECIAL, 0
            while True:
                windows.append([START, *numbers[start : start + size], END])
                places.append(place)
                if not return_overflowing_tokens or start + size >= len(numbers):
                    break
                start += size - stride
        return {"input_ids": windows, "overflow_to_sample_mapping": places}


def text(tokens: int, first: int = 10) -> str:
    return " ".join(str(first + number) for number in range(tokens - SPECIAL))


def tokens(windows: int) -> Tokens:
    return Tokens(Numerals(), MODEL_READS, windows)  # type: ignore[arg-type]


def test_cut_off_it_is_one_window() -> None:
    read = tokens(1).tokenise([text(16), text(17), text(3)])
    assert [len(ids) for ids in read.ids] == [16, 16, 3]
    assert read.truncated.tolist() == [False, True, False]
    assert read.starts.tolist() == [0, 1, 2]
    assert tokens(1).most == MODEL_READS
    assert tokens(1).reading == ""


def test_windows_overlap_and_hold_all_of_it() -> None:
    read = tokens(4).tokenise([text(5), text(30), text(16)])
    assert read.starts.tolist() == [0, 1, 4]
    assert not read.truncated.any()
    first, second, third = (ids[1:-1] for ids in read.ids[1:4])
    assert first[-OVERLAP:] == second[:OVERLAP]
    assert [*first, *second[OVERLAP:], *third[OVERLAP:]] == list(range(10, 38))
    assert all(ids[0] == START and ids[-1] == END and len(ids) <= MODEL_READS for ids in read.ids)
    assert read.lengths.tolist() == [len(ids) for ids in read.ids]


@pytest.mark.parametrize("windows", [2, 3, 5])
def test_so_many_windows_and_no_more(windows: int) -> None:
    some = tokens(windows)
    read = some.tokenise([text(some.most), text(some.most + 1), text(500)])
    assert read.truncated.tolist() == [False, True, True]
    assert read.starts.tolist() == [0, windows, 2 * windows]
    assert len(read.ids) == 3 * windows
    assert some.most == MODEL_READS + (windows - 1) * (MODEL_READS - SPECIAL - OVERLAP)


class ByFirst:
    """A backend whose vector of a window says which number it begins with."""

    name = "by-first"
    passes_at_once = 2

    def __init__(self) -> None:
        self.tokens_per_pass = 40
        self.sizes: list[int] = []

    def embed(self, passes: Iterable[Inputs]) -> list[Vectors]:
        found = []
        for inputs in passes:
            self.sizes.append(inputs["input_ids"].size)
            found.append(np.eye(64, dtype=np.float32)[inputs["input_ids"][:, 1] % 64])
        return found


def test_its_vector_is_the_mean_of_its_windows_weighted_by_tokens() -> None:
    backend, some = ByFirst(), tokens(4)
    read = some.tokenise([text(5), text(22, first=20)])
    vectors = embed(backend, some, read, 64)
    expected = np.zeros((2, 64))
    expected[0, 10] = 1
    expected[1, 20], expected[1, 32] = 16, 10  # tokens of its windows
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-6)


def test_passes_are_filled_by_windows() -> None:
    backend, some = ByFirst(), tokens(16)
    embed(backend, some, some.tokenise([text(500), text(3)]), 64)
    assert max(backend.sizes) <= backend.tokens_per_pass
    assert sum(backend.sizes) >= 16 * MODEL_READS


@pytest.mark.parametrize(("texts", "passes"), [(4, 1), (16, 1), (32, 2), (96, 2), (640, 10)])
def test_what_computes_several_passes_at_a_time_gets_several(texts: int, passes: int) -> None:
    backend, some = ByFirst(), tokens(1)
    backend.tokens_per_pass = 1024
    embed(backend, some, some.tokenise([text(MODEL_READS)] * texts), 64)
    assert len(backend.sizes) == passes


@pytest.mark.model
def test_the_end_of_a_long_text_counts_and_it_is_another_model() -> None:
    from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2
    from recommender_engine.embedding.sentence_transformer import SentenceTransformerEncoder

    cut, windows = (SentenceTransformerEncoder(ALL_MINILM_L6_V2, windows=most) for most in (1, 3))
    assert cut.identity.key != windows.identity.key
    assert windows.identity.max_tokens == 256 + 2 * (256 - 2 - 32)
    printer = "The printer in room four prints nothing but lines. "
    invoice = "Your invoice of March lists one order twice. "
    texts = [printer * 40 + invoice * 25, printer * 40 + printer * 25, printer]
    assert cut.encode(texts).truncated.tolist() == [True, True, False]
    vectors, truncated = windows.encode(texts)
    assert not truncated.any()
    assert vectors[0] @ vectors[1] < 0.95 < 0.999 < (cut.encode(texts[:2]).vectors).prod(axis=0).sum()
    np.testing.assert_allclose(vectors[2], cut.encode(texts[2:]).vectors[0], atol=1e-5)
    assert windows.encode([printer * 200]).truncated.all()


def test_a_setting_says_which() -> None:
    from celery_recommender.celery.worker.plugin import catalogue
    from celery_recommender.settings import Settings
    from recommender_engine.items.limits import MAX_WINDOWS

    made = [vars(catalogue(Settings(long_texts=kind)))["_windows"] for kind in ("truncate", "windows")]  # type: ignore[arg-type]
    assert made == [1, MAX_WINDOWS]
