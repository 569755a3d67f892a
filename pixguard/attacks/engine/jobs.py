"""An attempt as it is ordered, and as it ended."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixguard.classifiers.classifier import Decision
from pixguard.records import LabelSet


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to make.

    Attributes:
        key: the attempt's key, 64 hexadecimal digits; its random stream derives from it alone.
        image: uint8 (H, W, C).
        clean: the label set that the classifier gives the clean image.
        focus: the class ordinal that the objective is about.
    """

    key: str
    image: NDArray[np.uint8]
    clean: LabelSet
    focus: int


@dataclass(slots=True)
class Attempt:
    """An attempt under way: when it took its slot, and what it has cost so far."""

    job: Job
    begun_s: float
    steps: int = 0
    queries: int = 0
    distinct: int = 0
    elapsed_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended; ``error`` is set when the classifier gave no finite answer.

    ``undecided`` says why there is no verdict, where a proof was not brought to its end.

    ``positions`` and ``colours`` are those of the first verified success, or of the best
    candidate: int64 (k, 2) and uint8 (k, C). ``queries`` counts the candidates asked for up to and
    including it, ``distinct_queries`` those that differed (None: not counted). In a proof
    ``queries`` counts candidates and bounds, ``distinct_queries`` the candidates.
    """

    job: Job
    success: bool
    positions: NDArray[np.int64]
    colours: NDArray[np.uint8]
    decision: Decision
    true_confidence: float
    queries: int
    generations: int
    elapsed_ms: float
    distinct_queries: int | None = None
    error: str | None = None
    undecided: str | None = None
