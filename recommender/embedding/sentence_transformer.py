"""Embeddings from a sentence-transformers model in this process.

Importing this module imports torch, which takes seconds: import it where an encoder is made, nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from recommender.embedding.checks import require_unicode, unit_rows
from recommender.embedding.encoder import Embeddings, ModelIdentity, Vectors
from recommender.embedding.model_files import locate, verify
from recommender.embedding.model_source import ModelSource
from recommender.errors import EncodingError, ModelError

# Padded tokens in one pass through the model. On a CPU the activations should stay in the cache: of 256 to 2,048
# tokens 768 was best or near it for short and for long texts on two cores. A GPU needs more to be busy.
_TOKENS_PER_PASS = {"cpu": 768, "cuda": 16_384}


class SentenceTransformerEncoder:
    """An ``Encoder`` over a sentence-transformers model, computing in float32 on the GPU if there is one.

    Prompts that a model may define are not used: both texts of a comparison are treated alike. Safe to call from
    several threads, which then take turns.

    Args:
        source: the model; its files are located, downloaded if need be, and verified.
        threads: CPU threads of torch, a setting of the whole process; ``None`` leaves it as it is.

    Raises:
        ModelError: the files are missing, altered or cannot be loaded as a transformer with a tokenizer.
    """

    def __init__(self, source: ModelSource, threads: int | None = None) -> None:
        directory = locate(source)
        digests = verify(directory, source)
        if threads is not None:
            torch.set_num_threads(threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = _load(directory, self._device)
        self._tokenizer, max_tokens = _tokenizer(self._model, source.name)
        # One batch at a time: tokenizers keep truncation as state and raise when a second thread changes it.
        self._turn = threading.Lock()
        self._identity = ModelIdentity(
            name=source.name,
            fingerprint=_fingerprint(digests, max_tokens),
            dimension=self._forward(["dimension"]).shape[1],
            max_tokens=max_tokens,
        )

    @property
    def identity(self) -> ModelIdentity:
        """Which model this is."""
        return self._identity

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Embed ``texts`` (at least one), in order.

        Raises:
            EncodingError: the model failed, or returned something that is not a finite vector.
        """
        require_unicode(texts)
        with self._turn:
            try:
                tokens = self._count_tokens(texts)
                vectors = self._embed(texts, np.minimum(tokens, self._identity.max_tokens))
            except Exception as error:  # torch, tokenizers and the driver of the device share no error
                raise EncodingError(
                    f"model {self._identity.name!r} failed on a batch of {len(texts)} ({type(error).__name__})"
                ) from error
        return Embeddings(unit_rows(vectors), truncated=tokens > self._identity.max_tokens)

    def _count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Tokens of each text with the special ones, counted no further than one past the maximum."""
        encoded = self._tokenizer(
            list(texts),
            truncation=True,
            max_length=self._identity.max_tokens + 1,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        return np.array([len(ids) for ids in encoded["input_ids"]], dtype=np.int64)

    def _embed(self, texts: Sequence[str], tokens: NDArray[np.int64]) -> Vectors:
        vectors = np.empty((len(texts), self._identity.dimension), dtype=np.float32)
        for places in _passes(tokens, _TOKENS_PER_PASS[self._device]):
            rows = self._forward([texts[place] for place in places])
            if rows.shape != (len(places), self._identity.dimension):
                raise ValueError(f"{len(places)} texts gave an array of shape {rows.shape}")
            vectors[places] = rows
        return vectors

    def _forward(self, texts: list[str]) -> Vectors:
        return self._model.encode(texts, batch_size=len(texts), prompt="", show_progress_bar=False)


def _passes(tokens: NDArray[np.int64], budget: int) -> Iterator[NDArray[np.intp]]:
    """Places of texts of similar length, longest first, so that memory runs out at once or not at all."""
    order = np.argsort(-tokens, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, int(tokens[order[start]])))
        yield order[start : start + size]
        start += size


def _load(directory: Path, device: str) -> SentenceTransformer:
    try:
        with _no_progress_bars():
            model = SentenceTransformer(
                str(directory),
                device=device,
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
            )
    except Exception as error:  # of four libraries that share no error
        raise ModelError(f"{directory} cannot be loaded as a sentence-transformers model ({error})") from error
    # Some models are stored in half precision, and would compute in it.
    return model.float().eval()


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Loading weights draws a bar on standard error; the switch is the whole process's, so it is put back."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _tokenizer(model: SentenceTransformer, name: str) -> tuple[PreTrainedTokenizerBase, int]:
    """The tokenizer and the tokens of a text, special ones included, that the model reads."""
    tokenizer, max_tokens = model.tokenizer, model.max_seq_length
    if not isinstance(tokenizer, PreTrainedTokenizerBase) or max_tokens is None:
        raise ModelError(f"model {name!r} is not a transformer that reads a stated number of tokens")
    return tokenizer, int(max_tokens)


def _fingerprint(digests: Mapping[str, str], max_tokens: int) -> str:
    """Over weights, tokenizer, pooling and length, so the same wherever the files came from."""
    return hashlib.sha256(json.dumps([sorted(digests.items()), max_tokens]).encode()).hexdigest()[:16]
