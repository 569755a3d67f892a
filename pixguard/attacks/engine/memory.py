"""What an attempt has already asked the classifier, so that nothing is evaluated twice.

Late in an evolution most children decode to a candidate that was evaluated before: of 10,100
queries at 28 x 28 in grayscale, 1,000 to 3,700 are distinct.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import pad

from pixguard.attacks.engine.search import Candidates

_NONE = torch.iinfo(torch.int64).max
_WORD = 1 << 24
_SPLITMIX = (0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64))


def candidate_keys(candidates: Candidates, width: int) -> Tensor:
    """Return int64 (S, P), non-negative: equal for candidates that give the same image.

    One pixel is told exactly by its place and colour. Several are hashed to 63 bits in the order
    of their places (two of the ten thousand candidates of an attempt collide with a probability
    of 1e-11); pixels that coincide keep their order, because the later one holds.

    Args:
        candidates: of S slots, with at most 3 channels.
        width: of the images, in pixels.
    """
    places = candidates.positions[..., 0] * width + candidates.positions[..., 1]
    words = places * _WORD
    for channel in range(candidates.colours.shape[-1]):
        words = words + (candidates.colours[..., channel].long() << (8 * channel))
    if words.shape[-1] == 1:
        return words[..., 0]
    words = words.gather(-1, places.argsort(dim=-1, stable=True))
    mixed = torch.zeros_like(words[..., 0])
    for word in words.unbind(-1):
        mixed = _mix(mixed ^ word)
    return mixed & _NONE


def _mix(value: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014), in wrapping arithmetic."""
    for shift, factor in zip((30, 27), _SPLITMIX, strict=True):
        value = (value ^ ((value >> shift) & (_NONE >> (shift - 1)))) * factor
    return value ^ ((value >> 31) & (_NONE >> 30))


class Memory:
    """The keys that every slot has evaluated, sorted, with the two values of each."""

    def __init__(self, slots: int, device: torch.device) -> None:
        self._keys = torch.full((slots, 1), _NONE, device=device)
        self._fitness = torch.zeros(slots, 1, dtype=torch.float64, device=device)
        self._success = torch.zeros(slots, 1, dtype=torch.bool, device=device)

    def forget(self, slot: int) -> None:
        """Empty a slot."""
        self._keys[slot] = _NONE

    def state(self, slots: Tensor) -> dict[str, Tensor]:
        """Return what slots int64 (n,) remember, each (n, longest)."""
        longest = int((self._keys[slots] != _NONE).sum(1).max()) + 1
        return {
            "memory_keys": self._keys[slots, :longest],
            "memory_fitness": self._fitness[slots, :longest],
            "memory_success": self._success[slots, :longest],
        }

    def restore(self, slot: int, state: Mapping[str, Tensor]) -> None:
        """Let a slot remember a row of what :meth:`state` returned."""
        keys = state["memory_keys"]
        if (missing := len(keys) - self._keys.shape[1]) > 0:
            none = self._keys.new_full((len(self._keys), missing), _NONE)
            self._keys = torch.cat([self._keys, none], dim=1)
            self._fitness = pad(self._fitness, (0, missing))
            self._success = pad(self._success, (0, missing))
        self._keys[slot] = _NONE
        self._keys[slot, : len(keys)] = keys
        self._fitness[slot, : len(keys)] = state["memory_fitness"]
        self._success[slot, : len(keys)] = state["memory_success"]

    def new(self, keys: Tensor) -> Tensor:
        """Return bool (S, P): which keys (S, P) are unknown, and the first of their value."""
        order = keys.argsort(dim=1, stable=True)
        ordered = keys.gather(1, order)
        first = torch.ones_like(ordered, dtype=torch.bool)
        first[:, 1:] = ordered.diff(dim=1) != 0
        return torch.empty_like(first).scatter_(1, order, first) & ~self._find(keys)[1]

    def learn(self, keys: Tensor, new: Tensor, fitness: Tensor, success: Tensor) -> None:
        """Remember fitness float64 and success bool (S, P) of the keys that are new."""
        joined = torch.cat([self._keys, keys.where(new, _NONE)], dim=1)
        joined, order = joined.sort(dim=1)
        longest = int((joined != _NONE).sum(1).max()) + 1  # one empty place ends every row
        order, self._keys = order[:, :longest], joined[:, :longest].contiguous()
        self._fitness = torch.cat([self._fitness, fitness], dim=1).gather(1, order)
        self._success = torch.cat([self._success, success], dim=1).gather(1, order)

    def recall(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Return fitness float64 and success bool (S, P) of keys that are known."""
        places, _ = self._find(keys)
        return self._fitness.gather(1, places), self._success.gather(1, places)

    def _find(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        places = torch.searchsorted(self._keys, keys).clamp(max=self._keys.shape[1] - 1)
        return places, self._keys.gather(1, places) == keys
