"""The forms that one evaluation can take, of which the fastest is measured."""

from dataclasses import dataclass
from typing import Literal

import torch

from pixguard.inference.plan import WHOLE_FROM

Execution = Literal["eager", "captured", "compiled"]
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MOST_SETS = 3
"""More halve what another one gains, and fill batches worse."""


@dataclass(frozen=True, slots=True)
class Form:
    """How candidates are evaluated, all that is free to choose.

    Attributes:
        evaluator: dense or delta.
        precision: of the weights and maps, a key of :data:`PRECISIONS`.
        batch: candidates evaluated at a time.
        execution: kernel by kernel, as one CUDA graph, or (dense only) by torch.compile.
        channels_last: dense in float32: images are laid out so. In a reduced precision they are
            anyway, and maps of delta always.
        whole_from: delta: the share of a map from which on all of it is computed.
        sets: delta: into how many sets the places along an axis are sorted, each with windows of
            a size of its own; see :mod:`pixguard.inference.positions`.
        gathers: delta, on a GPU: whether convolutions gather their patches themselves; see
            :mod:`pixguard.inference.gathering`.
    """

    evaluator: Literal["dense", "delta"]
    precision: str
    batch: int
    execution: Execution = "eager"
    channels_last: bool = False
    whole_from: float = WHOLE_FROM
    sets: int = 1
    gathers: bool = False

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights and maps."""
        return PRECISIONS[self.precision]

    @property
    def variant(self) -> str:
        """What is unusual about it, in words; empty where nothing is."""
        words = {
            str(self.execution): self.execution != "eager",
            "channels last": self.channels_last,
            f"whole maps from {self.whole_from:g}": self.whole_from != WHOLE_FROM,
            f"windows by position in {self.sets} sets": self.sets != 1,
            "convolutions that gather": self.gathers,
        }
        return ", ".join(word for word, is_so in words.items() if is_so)

    def __str__(self) -> str:
        """``delta in float32, 100 at a time (captured)``."""
        variant = f" ({self.variant})" if self.variant else ""
        return f"{self.evaluator} in {self.precision}, {self.batch} at a time{variant}"
