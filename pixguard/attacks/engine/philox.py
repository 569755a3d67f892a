"""Random numbers from a key and a counter: the same for an attempt wherever and whenever it runs.

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), vectorised over
any shape, on any device, in exact integer arithmetic. An attempt's key comes from its identity and
the counter from generation and individual, so that neither the batch mates of an attempt nor an
interruption can move its random stream.
"""

import torch
from torch import Tensor

_ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF


def key_words(digest: str) -> tuple[int, int]:
    """Return the two 32-bit key words of a hexadecimal digest (its first 16 digits)."""
    return int(digest[:8], 16), int(digest[8:16], 16)


def _multiply(value: Tensor, multiplier: int) -> tuple[Tensor, Tensor]:
    """Return the high and the low 32 bits of a 64-bit product.

    The multiplier is split into 16-bit halves because the full product overflows int64.
    """
    low_part = value * (multiplier & 0xFFFF)
    high_part = value * (multiplier >> 16) + (low_part >> 16)
    return high_part >> 16, ((high_part & 0xFFFF) << 16) | (low_part & 0xFFFF)


def philox(key: tuple[Tensor, Tensor], counter: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Return four uniform 32-bit words for each element.

    Args:
        key: two int64 tensors of 32-bit words, broadcastable to the counter.
        counter: four int64 tensors of 32-bit words, broadcastable to each other.

    Returns:
        int64 (..., 4) in [0, 2**32).
    """
    key0, key1 = key
    word0, word1, word2, word3 = counter
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(word0, _MULTIPLIERS[0])
        high1, low1 = _multiply(word2, _MULTIPLIERS[1])
        word0, word1, word2, word3 = high1 ^ word1 ^ key0, low1, high0 ^ word3 ^ key1, low0
        key0, key1 = (key0 + _WEYL[0]) & _MASK, (key1 + _WEYL[1]) & _MASK
    # By now every word has been mixed with every other: they share the broadcast shape.
    return torch.stack([word0, word1, word2, word3], dim=-1)


def below(words: Tensor, bound: int) -> Tensor:
    """Map 32-bit words to int64 integers in [0, bound); the bias is below bound / 2**32."""
    return (words * bound) >> 32


def unit_interval(words: Tensor) -> Tensor:
    """Map 32-bit words to float64 in (0, 1), both ends excluded."""
    return (words.double() + 0.5) / 2.0**32


def standard_normal(words: Tensor) -> Tensor:
    """Map 32-bit words to float64 standard normal deviates by the inverse distribution."""
    deviates: Tensor = torch.special.ndtri(unit_interval(words))
    return deviates
