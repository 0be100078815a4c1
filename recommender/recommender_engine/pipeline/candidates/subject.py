"""The item that is judged."""

from __future__ import annotations

from dataclasses import dataclass

from recommender_engine.items import Item
from recommender_engine.items.placeholders import says_nothing
from recommender_engine.pipeline.vectors.embedding_step import Vector
from recommender_engine.store import Member


@dataclass(frozen=True, slots=True)
class Subject:
    """The item that is judged.

    Attributes:
        item: with the text that is compared.
        fingerprint: of its canonical text.
        vector: float32, shape (dimension,), unit length.
        at_ms: stream time of its arrival.
        seq: its arrival number; candidates came before it. ``None`` for one that arrives now.
    """

    item: Item
    fingerprint: bytes
    vector: Vector
    at_ms: int
    seq: int | None = None

    @property
    def brings_nothing(self) -> bool:
        """Whether it arrives with a placeholder for a text and without a vector of its producer."""
        return self.seq is None and self.item.vector is None and says_nothing(self.item.content)

    def comes_after(self, member: Member) -> bool:
        """Whether the member arrived before it."""
        return member.id != self.item.id and (self.seq is None or member.seq < self.seq)
