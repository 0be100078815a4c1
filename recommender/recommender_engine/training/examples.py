"""Examples to train on: texts and what is known of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Shape(StrEnum):
    """What an example consists of."""

    SCORES = "scores"  # two texts and how similar they are, 0 to 1
    TRIPLETS = "triplets"  # an anchor, a positive that is close to it, a negative that is not
    CLASSES = "classes"  # two texts and the name of a class, as in natural language inference
    POSITIVES = "positives"  # two texts that belong together
    ANSWERS = "answers"  # two texts and whether they are the same thing


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples of one shape.

    Attributes:
        shape: what each consists of.
        texts: of each, two, or three for triplets, in the order of ``Shape``.
        targets: of each: the score, the number of the class, 1 for the same thing and 0 for another; empty where the
            shape has none.
        classes: names of the classes, in the order of their numbers.
    """

    shape: Shape
    texts: tuple[tuple[str, ...], ...]
    targets: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    def at(self, places: Iterable[int]) -> Examples:
        """Some of them."""
        chosen = list(places)
        return replace(
            self,
            texts=tuple(self.texts[place] for place in chosen),
            targets=tuple(self.targets[place] for place in chosen) if self.targets else (),
        )

    @property
    def distinct(self) -> list[str]:
        """Each text once, in order of appearance."""
        return list(dict.fromkeys(text for texts in self.texts for text in texts))

    @property
    def digest(self) -> str:
        """SHA-256 in hex over all of it: equal examples in equal order have equal digests."""
        said = [self.shape.value, self.texts, self.targets, self.classes]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def columns(self) -> dict[str, list[str] | list[float] | list[int]]:
        """As a table, a column for each text and one for the target."""
        width = 3 if self.shape is Shape.TRIPLETS else 2
        table: dict[str, list[str] | list[float] | list[int]] = {
            f"text{place + 1}": [texts[place] for texts in self.texts] for place in range(width)
        }
        if self.shape is Shape.SCORES:
            table["label"] = list(self.targets)
        elif self.targets:
            table["label"] = [int(target) for target in self.targets]
        return table


@dataclass(frozen=True, slots=True)
class Parts:
    """Examples by what they are used for.

    Attributes:
        train: trained on.
        held_out: the weights are chosen by.
        test: judged by, once, at the end; often empty.
        shared: texts of the training part that are in one of the others too.
    """

    train: Examples
    held_out: Examples
    test: Examples
    shared: int = 0

    @property
    def digest(self) -> str:
        """Over all three."""
        return hashlib.sha256("".join([self.train.digest, self.held_out.digest, self.test.digest]).encode()).hexdigest()


def text_digest(text: str) -> str:
    """How a text is named in the manifest of a model that was trained on it: SHA-256 of its UTF-8, in hex."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def item_digest(collection: str, item_id: str) -> str:
    """How an item is named there: SHA-256 of collection, NUL and id, in hex."""
    return hashlib.sha256(f"{collection}\0{item_id}".encode(errors="surrogatepass")).hexdigest()


def scaled(scores: Sequence[float]) -> tuple[float, ...]:
    """Scores as 0 to 1: those of 0 to 5, as in STSb and SICK, are divided by five.

    Raises:
        ValueError: one is below 0, above 5 or not a number.
    """
    if not all(0 <= score <= 5 for score in scores):
        raise ValueError("a score is from 0 to 1, or all are from 0 to 5")
    return tuple(scores) if all(score <= 1 for score in scores) else tuple(score / 5 for score in scores)
