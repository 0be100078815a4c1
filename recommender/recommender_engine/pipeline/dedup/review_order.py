"""The order in which people are asked about pairs: one number for each pair, the lowest first.

Likeliest first is the order in which an answer is worth most, and it is a sample without gaps of what a band would
flag, so answers from the top downwards measure its precision. Where there are more pairs than people answer, a sample
of them is asked: first the pairs whose own number is below the rate, then as many again, and so on, in each turn the
likeliest first.

Both are one number, which depends on the pair and the rate alone: it can be stored with a verdict and paged over by an
index, and pairs that come later do not move those that came before.
"""

from __future__ import annotations

import math
from hashlib import blake2b

_FINEST = 20  # a rate is at least one in two to the power of this


def turn(probability: float, chance: float = 0.0, rate: float = 1.0) -> float:
    """The turn of a pair, at least 0; pairs of one turn are at most 1 apart.

    Args:
        probability: of its verdict, in (0, 1].
        chance: the number of the pair, in [0, 1); see `chance_of`.
        rate: share of the pairs that come in the first turn, in (0, 1]; each turn has twice as many as all before.
            At 1 all come in the first, the likeliest first.
    """
    doublings = max(math.ceil(math.log2(max(chance, 2.0**-_FINEST) / rate)), 0)
    return doublings + (1.0 - probability)


def chance_of(one: str, other: str) -> float:
    """The number of a pair in [0, 1): the same in every process and for either order of the two."""
    small, large = sorted((one, other))
    digest = blake2b(f"{small}\0{large}".encode(errors="surrogatepass"), digest_size=7).digest()
    return int.from_bytes(digest) / 2.0**56
