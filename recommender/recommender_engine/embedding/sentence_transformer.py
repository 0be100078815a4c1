"""Embeddings from a sentence-transformers model in this process.

Importing this module imports torch, which takes seconds: import it where an encoder is made, nowhere else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from recommender_engine.embedding.backend import Backend, Loaded
from recommender_engine.embedding.backends import INT8, REFERENCE, another_model, available, make_backend
from recommender_engine.embedding.checks import require_unicode
from recommender_engine.embedding.choosing import LEAST_COSINE, LEAST_COSINE_OF_INT8, Chooser, require_agreement
from recommender_engine.embedding.computing import embed
from recommender_engine.embedding.encoder import Embeddings, ModelIdentity
from recommender_engine.embedding.model_files import fingerprint_of, locate, verify
from recommender_engine.embedding.model_source import ModelSource
from recommender_engine.embedding.processors import usable_processors
from recommender_engine.embedding.tokens import Tokens
from recommender_engine.embedding.torch_backend import TorchBackend
from recommender_engine.errors import EncodingError, ModelError


class SentenceTransformerEncoder:
    """An ``Encoder`` over a sentence-transformers model, on the GPU if there is one.

    Prompts that a model may define are not used: both texts of a comparison are treated equally. Safe to call from
    several threads, which then take turns.

    Args:
        source: the model; its files are located, downloaded if need be, and verified.
        threads: CPU threads, for torch a setting of the whole process; ``None``: one for each usable processor.
        backend: what computes the vectors (see `backends.available`), or ``auto``: the fastest that agrees with the
            reference, measured for a second each; or ``openvino-int8``, which makes another model of it.
        cache: folder that keeps what was measured and converted; ``None`` keeps nothing.
        windows: limit of the windows of a text that are read; with 1, what exceeds the model's length is ignored.
            With more, it is another model.

    Raises:
        ModelError: the files are missing, altered or cannot be loaded as a transformer with a tokenizer; or the
            backend's vectors are not the model's.
        ConfigurationError: the backend is not available here.
    """

    def __init__(
        self,
        source: ModelSource,
        threads: int | None = None,
        backend: str = REFERENCE,
        cache: Path | None = None,
        windows: int = 1,
    ) -> None:
        directory = locate(source)
        digests = verify(directory, source)
        threads = threads or usable_processors()
        torch.set_num_threads(threads)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = load_model(directory, device)
        tokenizer, max_tokens = _tokenizer(model, source.name)
        self._tokens = Tokens(tokenizer, max_tokens, windows)
        # One batch at a time: tokenizers keep truncation as state and raise when a second thread changes it.
        self._turn = threading.Lock()
        fingerprint = fingerprint_of(digests, max_tokens)
        loaded = Loaded(model, self._tokens, fingerprint, device, threads, cache)
        reference = TorchBackend(REFERENCE, model, device)
        dimension = reference.embed([self._tokens.padded(self._tokens.tokenise(["dimension"]).ids)])[0].shape[1]

        def make(name: str) -> Backend:
            return make_backend(name, loaded)

        if backend == "auto":
            chooser = Chooser(make, available(device), self._tokens, dimension, cache)
            self._backend: Backend = chooser.choose(f"{source.name}@{fingerprint}", threads)
        elif backend == REFERENCE:
            self._backend = reference
        else:
            self._backend = make(backend)
            least = LEAST_COSINE_OF_INT8 if backend == INT8 else LEAST_COSINE
            require_agreement(self._backend, reference, self._tokens, dimension, least)
        changes = [change for change in (another_model(self._backend.name), self._tokens.reading) if change]
        self._identity = ModelIdentity(
            source.name,
            fingerprint_of(digests, max_tokens, *changes),
            dimension,
            self._tokens.most,
            self._backend.name,
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
                read = self._tokens.tokenise(texts)
                vectors = embed(self._backend, self._tokens, read, self._identity.dimension)
            except EncodingError:
                raise
            except Exception as error:  # torch, tokenizers and the driver of the device share no error
                raise EncodingError(
                    f"model {self._identity.name!r} failed on a batch of {len(texts)} ({type(error).__name__})"
                ) from error
        return Embeddings(vectors, read.truncated)


def load_model(directory: Path, device: str) -> SentenceTransformer:
    """A verified model in float32, without code of its own.

    Raises:
        ModelError: it cannot be loaded.
    """
    try:
        with no_progress_bars():
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
def no_progress_bars() -> Iterator[None]:
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
