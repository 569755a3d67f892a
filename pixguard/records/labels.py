"""What everything is told in: label sets, sizes, digests."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal

LabelSet = tuple[int, ...]
Task = Literal["multi-class", "multi-label"]
Split = Literal["train", "val", "test"]
SplitScheme = Literal["paper", "official"]
NATIVE = "native"
NATIVE_SIZE = 0
"""The ``size`` of a dataset whose images keep the sides of their files, each its own."""
NO_FINDING_ORDINAL = -1
"""Ordinal of the pseudo-class that stands for the empty label set of a multi-label dataset."""

ANY_CLASS = "any class"
"""What a detector knows that was given the images of every class."""


def encode_label_set(label_set: Sequence[int]) -> str:
    """Return the code of a label set: ``(0, 5)`` becomes ``"0,5"``, ``()`` becomes ``""``."""
    return ",".join(str(int(label)) for label in sorted(label_set))


def decode_label_set(code: str) -> LabelSet:
    """Return the label set of a code; the inverse of :func:`encode_label_set`."""
    return tuple(int(part) for part in code.split(",")) if code else ()


def digest(value: Any) -> str:
    """Return the SHA-256 (64 hex digits) of a JSON-serialisable value in canonical form."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
