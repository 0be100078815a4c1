from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recommender_engine.embedding import Encoder, ModelSource
from recommender_engine.embedding.model_files import locate
from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2
from recommender_engine.errors import ConfigurationError, EncodingError, ModelError
from recommender_engine.testing import DeterministicEncoder

TICKETS = (
    "My card payment was declined at the supermarket",
    "The card payment got declined in a supermarket",
    "How do I change the PIN of my card?",
    "Refund not received",
    "The invoice of March lists the same order twice, and the second one was cancelled on the phone two weeks ago",
)
ODD_TEXTS = (
    "",
    " ",
    "\n\t",
    "?",
    "7",
    "\x00",
    "\ufeff",
    "\U0001f9d1\u200d\U0001f680",
    "e" + "\u0301" * 1000,
    "支付失败",
    "تعذر الدفع",
    "a" * 32 * 1024,
    "word " * 6 * 1024,
)
# By which padding may move a component of a vector, and how far apart two of one text may be.
TOLERANCE, COARSE = 1e-3, 2e-2
LEAST_COSINE = 0.999


@pytest.fixture(scope="module")
def real_encoder() -> Encoder:
    from recommender_engine.embedding.sentence_transformer import SentenceTransformerEncoder

    return SentenceTransformerEncoder(ALL_MINILM_L6_V2)


BACKENDS = ("torch-float32", "torch-bfloat16", "openvino-bfloat16", "openvino-int8")


@pytest.fixture(scope="module", params=[*(pytest.param(name, marks=pytest.mark.model) for name in BACKENDS), "fake"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    if request.param == "fake":
        return DeterministicEncoder()
    if request.param != "torch-float32":
        return load(ALL_MINILM_L6_V2, request.param)
    real: Encoder = request.getfixturevalue("real_encoder")
    return real


class TestEveryEncoder:
    def test_says_which_model_it_is(self, encoder: Encoder) -> None:
        identity = encoder.identity

        assert re.fullmatch(r"[0-9a-f]{16}", identity.fingerprint)
        assert identity.key == f"{identity.name}@{identity.fingerprint}"
        assert identity.variant in (*BACKENDS, "deterministic")
        assert identity.max_tokens == 256

    def test_is_the_same_model_unless_its_vectors_are_others(
        self, encoder: Encoder, request: pytest.FixtureRequest
    ) -> None:
        if encoder.identity.variant in BACKENDS:
            real = request.getfixturevalue("real_encoder").identity
            assert (encoder.identity.key == real.key) is (encoder.identity.variant != "openvino-int8")

    @pytest.mark.parametrize("texts", [TICKETS, TICKETS[:1], ODD_TEXTS], ids=["tickets", "one", "odd"])
    def test_gives_finite_float32_vectors_of_unit_length(self, encoder: Encoder, texts: tuple[str, ...]) -> None:
        vectors, truncated = encoder.encode(texts)

        assert vectors.dtype == np.float32
        assert vectors.shape == (len(texts), encoder.identity.dimension)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
        assert truncated.dtype == np.bool_
        assert truncated.shape == (len(texts),)

    def test_keeps_the_order_of_texts_of_mixed_length(self, encoder: Encoder) -> None:
        texts = [f"order {number} " + "was delayed " * (number % 7) for number in range(21)]

        vectors = encoder.encode(texts).vectors
        alone = np.concatenate([encoder.encode([text]).vectors for text in texts])

        assert np.array_equal((alone @ vectors.T).argmax(axis=1), np.arange(len(texts)))

    def test_gives_the_same_vectors_for_the_same_batch(self, encoder: Encoder) -> None:
        assert np.array_equal(encoder.encode(TICKETS).vectors, encoder.encode(TICKETS).vectors)

    def test_batching_hardly_moves_a_vector(self, encoder: Encoder) -> None:
        texts = [*TICKETS, *ODD_TEXTS]

        together = encoder.encode(texts)
        alone = [encoder.encode([text]) for text in texts]

        tolerance = COARSE if encoder.identity.variant.endswith(("bfloat16", "int8")) else TOLERANCE
        np.testing.assert_allclose(together.vectors, np.concatenate([one.vectors for one in alone]), atol=tolerance)
        assert np.array_equal(together.truncated, np.concatenate([one.truncated for one in alone]))

    def test_truncated_is_true_exactly_where_the_end_of_a_text_is_not_read(self, encoder: Encoder) -> None:
        words = ["red", "green", "blue", "black", "white", "brown", "grey", "pink"] * 40
        counts = range(encoder.identity.max_tokens - 6, encoder.identity.max_tokens + 4)

        vectors, truncated = encoder.encode([" ".join(words[:count]) for count in counts])
        changed = np.abs(np.diff(vectors, axis=0)).max(axis=1) > 1e-6

        assert not truncated[0]
        assert truncated[-1]
        # A word more changes the vector of a text until the model has no room left for that word.
        assert np.array_equal(changed, ~truncated[1:])

    def test_similar_texts_are_nearer_than_others(self, encoder: Encoder) -> None:
        vectors = encoder.encode(TICKETS).vectors

        similarities = vectors[0] @ vectors[1:].T

        assert similarities.argmax() == 0
        assert similarities[0] > 0.6
        assert similarities[1:].max() < 0.6

    def test_a_lone_surrogate_is_an_error_that_does_not_quote_the_text(self, encoder: Encoder) -> None:
        with pytest.raises(EncodingError, match=r"text 1 of the batch is not valid Unicode") as caught:
            encoder.encode([TICKETS[0], "secret \ud800", TICKETS[1]])

        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert np.isfinite(encoder.encode(TICKETS).vectors).all()

    def test_threads_may_share_one(self, encoder: Encoder) -> None:
        # Long texts keep the tokenizer busy for long enough that the threads meet in it.
        batches = [[f"{number} " + "word " * 6_000] for number in range(8)]

        with ThreadPoolExecutor(max_workers=4) as pool:
            results = list(pool.map(encoder.encode, batches))

        for batch, result in zip(batches, results, strict=True):
            assert np.array_equal(result.vectors, encoder.encode(batch).vectors)


class TestDeterministicEncoder:
    def test_gives_the_same_bits_on_every_machine(self) -> None:
        vectors = DeterministicEncoder().encode([*TICKETS, *ODD_TEXTS]).vectors

        digest = hashlib.sha256(vectors.astype("<f4").tobytes()).hexdigest()
        assert digest == "a52de4388fa8bf18b015ab47cfdfdbe80c899c0cb97a2e24d4a3bca402cc8e6f"

    def test_gives_the_same_bits_in_every_batch(self) -> None:
        encoder = DeterministicEncoder()
        texts = [*TICKETS, *ODD_TEXTS]

        alone = np.concatenate([encoder.encode([text]).vectors for text in texts])

        assert np.array_equal(encoder.encode(texts).vectors, alone)

    def test_a_text_whose_features_cancel_out_has_a_vector_all_the_same(self) -> None:
        cancelling = "cadpa"  # found by trying: with eight signs to a feature, all its sums are zero

        vectors = DeterministicEncoder(dimension=8).encode([cancelling]).vectors

        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)

    def test_other_arguments_are_another_model(self) -> None:
        encoders = [DeterministicEncoder(), DeterministicEncoder(dimension=128), DeterministicEncoder(max_tokens=8)]

        assert len({encoder.identity.key for encoder in encoders}) == 3

    @pytest.mark.parametrize("dimension", [0, 4, 65, 520])
    def test_refuses_a_dimension_that_its_hash_cannot_give(self, dimension: int) -> None:
        with pytest.raises(ConfigurationError, match=f"multiple of 8 from 8 to 512, not {dimension}"):
            DeterministicEncoder(dimension=dimension)

    def test_refuses_to_read_nothing(self) -> None:
        with pytest.raises(ConfigurationError, match="max_tokens is at least 1, not 0"):
            DeterministicEncoder(max_tokens=0)


def copied_model(directory: Path) -> Path:
    return shutil.copytree(locate(ALL_MINILM_L6_V2), directory / "copy", copy_function=shutil.copyfile)


def load(source: ModelSource, backend: str = "torch-float32", cache: Path | None = None) -> Encoder:
    from recommender_engine.embedding.sentence_transformer import SentenceTransformerEncoder

    return SentenceTransformerEncoder(source, backend=backend, cache=cache)


@pytest.mark.model
class TestSentenceTransformerEncoder:
    def test_agrees_with_the_library_called_plainly(self, real_encoder: Encoder) -> None:
        from sentence_transformers import SentenceTransformer

        plain = SentenceTransformer(str(locate(ALL_MINILM_L6_V2)), device="cpu", local_files_only=True)
        texts = [*TICKETS, *ODD_TEXTS]

        expected = plain.encode(texts, batch_size=1, normalize_embeddings=True)

        np.testing.assert_allclose(real_encoder.encode(texts).vectors, expected, atol=TOLERANCE)

    def test_identity_follows_the_files_not_the_folder(self, real_encoder: Encoder, tmp_path: Path) -> None:
        directory = copied_model(tmp_path)

        assert load(replace(ALL_MINILM_L6_V2, directory=directory)).identity == real_encoder.identity

    @pytest.mark.parametrize(
        ("file", "setting"),
        [
            ("sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": False}),
            ("1_Pooling/config.json", {"word_embedding_dimension": 384, "pooling_mode_cls_token": True}),
        ],
    )
    def test_other_length_or_pooling_is_another_identity(
        self, real_encoder: Encoder, tmp_path: Path, file: str, setting: dict[str, object]
    ) -> None:
        directory = copied_model(tmp_path)
        (directory / file).write_text(json.dumps(setting))

        identity = load(replace(ALL_MINILM_L6_V2, directory=directory)).identity

        assert identity.name == real_encoder.identity.name
        assert identity.fingerprint != real_encoder.identity.fingerprint

    def test_altered_weights_are_refused_before_they_are_loaded(self, tmp_path: Path) -> None:
        directory = copied_model(tmp_path)
        (directory / "model.safetensors").write_bytes(b"not weights at all")

        with pytest.raises(ModelError, match=r"model\.safetensors: expected SHA-256 53aa51172d"):
            load(replace(ALL_MINILM_L6_V2, directory=directory))

    def test_files_that_cannot_be_loaded_are_a_model_error(self, tmp_path: Path) -> None:
        directory = copied_model(tmp_path)
        (directory / "model.safetensors").write_bytes(b"not weights at all")

        with pytest.raises(ModelError, match="copy cannot be loaded as a sentence-transformers model"):
            load(ModelSource("own", directory=directory))

    def test_a_vector_that_is_not_finite_is_an_encoding_error(self, tmp_path: Path) -> None:
        from safetensors.numpy import load_file, save_file

        directory = copied_model(tmp_path)
        vocabulary = json.loads((directory / "tokenizer.json").read_bytes())["model"]["vocab"]
        weights = load_file(directory / "model.safetensors")
        weights["embeddings.word_embeddings.weight"][vocabulary["march"]] = np.nan
        save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
        damaged = load(ModelSource("damaged", directory=directory))

        assert np.isfinite(damaged.encode(TICKETS[:4]).vectors).all()
        with pytest.raises(EncodingError, match="not finite or zero for text 4 of the batch"):
            damaged.encode(TICKETS)

    def test_loading_and_encoding_reach_no_network_and_draw_no_progress_bar(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        reached: list[object] = []

        def refuse(*where: object, **_: object) -> None:
            reached.append(where)
            raise OSError("no network in this test")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)

        load(ALL_MINILM_L6_V2).encode(TICKETS)

        assert reached == []
        assert capfd.readouterr() == ("", "")
