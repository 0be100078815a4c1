"""Texts as the model reads them: tokenised once, truncated or split into windows, padded a pass at a time."""

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

_OVERLAP = (
    8  # a window repeats this part, one in so many, of the tokens before it: what one splits is whole in the next
)


class Tokenised(NamedTuple):
    """Texts as token ids, in windows: one for a text that the model reads at once.

    Attributes:
        ids: of each window, with the special ones, at most as many as the model reads.
        lengths: how many each has, shape (windows,).
        starts: place of the first window of each text, ascending, shape (texts,).
        truncated: true where the text has more than is read, shape (texts,).
    """

    ids: list[list[int]]
    lengths: Ids
    starts: Ids
    truncated: NDArray[np.bool_]


class Tokens:
    """Turns texts into what a transformer takes.

    Not for several threads at once: tokenizers keep truncation as state.

    Args:
        tokenizer: of the model.
        max_tokens: that the model reads at once, special ones included.
        windows: at most so many of a text are read; with 1 the rest of a long text is ignored.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_tokens: int, windows: int = 1) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._windows = windows
        self._padding: Any = tokenizer.pad_token_id or 0
        self._left = tokenizer.padding_side == "left"
        self._typed = "token_type_ids" in tokenizer.model_input_names

    @property
    def most(self) -> int:
        """Tokens of a text that are read, special ones included."""
        special = int(self._tokenizer.num_special_tokens_to_add())
        return self._max_tokens + (self._windows - 1) * (self._max_tokens - special - self._overlap)

    @property
    def reading(self) -> str:
        """How long texts are read, as a part of the model identity; empty if they are truncated."""
        return "" if self._windows == 1 else f"windows {self._windows} overlap {self._overlap}"

    def tokenise(self, texts: Sequence[str]) -> Tokenised:
        """Read texts; the few that are too long are read again, since their last token is a special one."""
        windows = [[ids] for ids in self._read(texts, self._max_tokens + 1)["input_ids"]]
        long = [place for place, (ids,) in enumerate(windows) if len(ids) > self._max_tokens]
        truncated = np.zeros(len(texts), dtype=np.bool_)
        if long:
            for place, found in zip(long, self._cut([texts[place] for place in long]), strict=True):
                truncated[place] = self._windows == 1 or len(found) > self._windows
                windows[place] = found[: self._windows]
        ids = [one for found in windows for one in found]
        starts = np.cumsum([0, *(len(found) for found in windows[:-1])], dtype=np.int64)
        return Tokenised(ids, np.array([len(one) for one in ids], dtype=np.int64), starts, truncated)

    def padded(self, ids: Sequence[Sequence[int]]) -> Inputs:
        """Windows of one pass, filled up to the longest."""
        longest = max(map(len, ids))
        rows = np.full((len(ids), longest), self._padding, dtype=np.int64)
        mask = np.zeros_like(rows)
        for place, one in enumerate(ids):
            where = slice(longest - len(one), None) if self._left else slice(len(one))
            rows[place, where] = one
            mask[place, where] = 1
        inputs = {"input_ids": rows, "attention_mask": mask}
        return {**inputs, "token_type_ids": np.zeros_like(rows)} if self._typed else inputs

    @property
    def _overlap(self) -> int:
        return self._max_tokens // _OVERLAP

    def _cut(self, texts: list[str]) -> list[list[list[int]]]:
        """Windows of long texts; of each only the first, where no more is read."""
        if self._windows == 1:
            return [[ids] for ids in self._read(texts, self._max_tokens)["input_ids"]]
        read = self._read(texts, self._max_tokens, stride=self._overlap, return_overflowing_tokens=True)
        found: list[list[list[int]]] = [[] for _ in texts]
        for place, ids in zip(read["overflow_to_sample_mapping"], read["input_ids"], strict=True):
            found[place].append(ids)
        return found

    def _read(self, texts: Sequence[str], length: int, **more: Any) -> Any:
        return self._tokenizer(
            list(texts),
            truncation=True,
            max_length=length,
            return_attention_mask=False,
            return_token_type_ids=False,
            **more,
        )


def passes(lengths: Ids, budget: int) -> Iterator[NDArray[np.intp]]:
    """Places of windows of similar length, longest first, so that memory runs out at once or not at all.

    Args:
        lengths: of the windows in tokens.
        budget: padded tokens in one pass.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size
