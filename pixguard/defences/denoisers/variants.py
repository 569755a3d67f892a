"""The models that the paper compares with each other in Tables 4 and 5, by its labels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pixguard.errors import UsageError

PAPER_DATASET = "medicalmnist"
PAPER_CLASS = "AbdomenCT"
"""What the paper compares them on: one class of Kaggle's Medical MNIST."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One row of a table.

    ``label`` is the row's as published. ``denoiser`` names the builder and ``parameters`` are its
    arguments; ``name`` is how a user asks for them, None for the builder's defaults.
    """

    label: str
    denoiser: str
    name: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


_UP_TO_RESIDUAL = {"skips": "none"}
_UP_TO_ATTENTION = {**_UP_TO_RESIDUAL, "residual": False}
_UP_TO_BATCH_NORM = {**_UP_TO_ATTENTION, "attention": False}
_DEPTH_AND_KERNELS = {**_UP_TO_BATCH_NORM, "batch_norm": False}

TABLE_4: tuple[Variant, ...] = (
    Variant("Original [9]", "autoencoder"),
    Variant("√", "dae", "depth-and-kernels", _DEPTH_AND_KERNELS),
    Variant("√+★", "dae", "batch-norm", _UP_TO_BATCH_NORM),
    Variant("√+★+▲", "dae", "attention", _UP_TO_ATTENTION),
    Variant("√+★+▲+●", "dae", "residual", _UP_TO_RESIDUAL),
    Variant("Proposed (√+★+▲+●+♦)", "dae"),
)
"""The modules of the DAE, added one after the other to the autoencoder."""

TABLE_5: tuple[Variant, ...] = (
    Variant("3 Layer", "dae", "depth-3", {"widths": [32, 64, 128]}),
    Variant("Proposed (4 Layer)", "dae"),
    Variant("5 Layer", "dae", "depth-5", {"widths": [32, 64, 128, 256, 512]}),
)
"""The DAE with three, four and five levels."""


def variant_parameters(variant: str | None) -> dict[str, Any]:
    """Return the arguments that build a variant of the DAE; none for the proposed one.

    Raises:
        UsageError: it has no such variant.
    """
    if variant is None:
        return {}
    known = {v.name: v for v in (*TABLE_4, *TABLE_5) if v.name}
    if variant not in known:
        raise UsageError(
            f"the dae has no variant {variant!r}", f"one of: {', '.join(map(str, known))}"
        )
    return dict(known[variant].parameters)
