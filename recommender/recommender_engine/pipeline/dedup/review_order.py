"""In which order pairs come before people: one number for each pair, the lowest first.

Likeliest first is the order in which a look pays most, and it is a sample without gaps of what a band would flag, so
answers from the top downwards measure its precision. Where there are more pairs than anybody answers, only one in so
many is to be asked from the likeliest downwards: then those come first whose own number is below the rate, then as many
again, and so on, in each turn the likeliest first.

Both are one number, which depends on the pair and the rate alone: it can be stored with a verdict and be paged over by
an index, and nobody who is asked later moves who was asked before.
"""

from __future__ import annotations

import math
from hashlib import blake2b

_FINEST = 20  # a rate is at least one in two to the power of this


def turn(probability: float, chance: float = 0.0, rate: float = 1.0) -> float:
    """When a pair's turn comes, at least 0; pairs of one turn are at most 1 apart.

    Args:
        probability: that was stated of it, in (0, 1].
        chance: the number of the pair, in [0, 1); see `chance_of`.
        rate: one in how many of the pairs comes in the first turn, in (0, 1]; each turn has twice as many as all
            before. At 1 all come in the first, the likeliest first.
    """
    doublings = max(math.ceil(math.log2(max(chance, 2.0**-_FINEST) / rate)), 0)
    return doublings + (1.0 - probability)


def chance_of(one: str, other: str) -> float:
    """The number of a pair in [0, 1): the same in every process and whichever of the two is named first."""
    small, large = sorted((one, other))
    digest = blake2b(f"{small}\0{large}".encode(errors="surrogatepass"), digest_size=7).digest()
    return int.from_bytes(digest) / 2.0**56
