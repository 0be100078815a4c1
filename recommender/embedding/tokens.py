"""Texts as the model reads them: tokenised once, cut to its length, padded a pass at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

Ids = NDArray[np.int64]
Inputs = dict[str, Ids]
"""What a transformer takes, each of shape (texts, tokens): ``input_ids``, ``attention_mask`` and, if its tokenizer says
so, ``token_type_ids``."""


class Tokenised(NamedTuple):
    """Texts as token ids.

    Attributes:
        ids: of each text, with the special ones, at most as many as the model reads.
        lengths: how many each has, shape (texts,).
        truncated: true where the text has more than the model reads, shape (texts,).
    """

    ids: list[list[int]]
    lengths: Ids
    truncated: NDArray[np.bool_]


class Tokens:
    """Turns texts into what a transformer takes.

    Not for several threads at once: tokenizers keep truncation as state.

    Args:
        tokenizer: of the model.
        max_tokens: of a text that the model reads, special ones included.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._padding: Any = tokenizer.pad_token_id or 0
        self._left = tokenizer.padding_side == "left"
        self._typed = "token_type_ids" in tokenizer.model_input_names

    def tokenise(self, texts: Sequence[str]) -> Tokenised:
        """Read texts; the few that are too long are read again, since their last token is a special one."""
        ids = self._read(texts, self._max_tokens + 1)
        truncated = np.array([len(one) > self._max_tokens for one in ids], dtype=np.bool_)
        cut = np.flatnonzero(truncated).tolist()
        if cut:
            for place, one in zip(cut, self._read([texts[place] for place in cut], self._max_tokens), strict=True):
                ids[place] = one
        return Tokenised(ids, np.array([len(one) for one in ids], dtype=np.int64), truncated)

    def padded(self, ids: Sequence[Sequence[int]]) -> Inputs:
        """Texts of one pass, filled up to the longest."""
        longest = max(map(len, ids))
        rows = np.full((len(ids), longest), self._padding, dtype=np.int64)
        mask = np.zeros_like(rows)
        for place, one in enumerate(ids):
            where = slice(longest - len(one), None) if self._left else slice(len(one))
            rows[place, where] = one
            mask[place, where] = 1
        inputs = {"input_ids": rows, "attention_mask": mask}
        return {**inputs, "token_type_ids": np.zeros_like(rows)} if self._typed else inputs

    def _read(self, texts: Sequence[str], length: int) -> list[list[int]]:
        encoded = self._tokenizer(
            list(texts),
            truncation=True,
            max_length=length,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids


def passes(lengths: Ids, budget: int) -> Iterator[NDArray[np.intp]]:
    """Places of texts of similar length, longest first, so that memory runs out at once or not at all.

    Args:
        lengths: of the texts in tokens.
        budget: padded tokens in one pass.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size
