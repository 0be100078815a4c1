"""Keeps a part of the examples back, so that no text is in both parts."""

from __future__ import annotations

import hashlib
from collections import defaultdict

from recommender_engine.errors import ConfigurationError
from recommender_engine.training.examples import Examples, Parts
from recommender_engine.training.forest import Forest


def split(examples: Examples, share: float, seed: int) -> Parts:
    """Keep back whole connected components of texts, in the order of a seeded hash, up to a share.

    Two examples are connected if they have a text in common. A component that is larger than what may still be kept
    back is trained on.

    Args:
        examples: all of them.
        share: of the examples that is kept back, 0 to 0.5; 0 keeps nothing back.
        seed: of the order.

    Raises:
        ConfigurationError: nothing can be kept back, because the texts of all examples are connected.
    """
    wanted = round(len(examples) * share)
    kept: set[int] = set()
    components = _components(examples)
    for component in sorted(components, key=lambda one: _order(examples, one, seed)):
        if len(kept) + len(component) <= wanted:
            kept.update(component)
    if wanted and not kept:
        raise ConfigurationError(
            f"the texts of {len(components[0]):,} of {len(examples):,} examples are connected, so no part can be held"
            " out without a text that is trained on: add a column 'split' (train, valid), or train with --held-out 0"
        )
    train = [place for place in range(len(examples)) if place not in kept]
    return Parts(examples.at(train), examples.at(sorted(kept)), examples.at(()))


def declared(train: Examples, held_out: Examples, test: Examples) -> Parts:
    """Parts as a file names them, with the number of texts that they share."""
    others = set(held_out.distinct) | set(test.distinct)
    return Parts(train, held_out, test, sum(text in others for text in train.distinct))


def _components(examples: Examples) -> list[list[int]]:
    """Places of the examples of each connected component, the largest first."""
    forest = Forest()
    for first, *others in examples.texts:
        for text in others:
            forest.join(first, text)
    found: dict[str, list[int]] = defaultdict(list)
    for place, texts in enumerate(examples.texts):
        found[forest.root(texts[0])].append(place)
    return sorted(found.values(), key=lambda one: (-len(one), one[0]))


def _order(examples: Examples, component: list[int], seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{min(examples.texts[component[0]])}".encode(errors="surrogatepass")).digest()
