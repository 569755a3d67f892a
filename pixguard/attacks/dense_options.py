"""Options of the dense attacks; light to import."""

from dataclasses import dataclass
from typing import Literal

from pixguard.config.settings import Settings, setting
from pixguard.errors import UsageError


@dataclass(frozen=True, slots=True)
class DenseOptions(Settings):
    """How far a dense attack may go from the clean image."""

    norm: Literal["linf", "l2"] = setting(
        "linf", "Of the distance: the largest change of a value, or the Euclidean one."
    )
    eps: float | None = setting(
        None,
        "Greatest distance: for linf in 1/255, for l2 with values in [0, 1]. Default: 8, or 0.5.",
        low=0.0,
        unit="distance",
    )

    @property
    def levels(self) -> float:
        """The distance in steps of 8 bits."""
        if self.norm == "linf":
            return 8.0 if self.eps is None else float(self.eps)
        return 255 * (0.5 if self.eps is None else float(self.eps))


@dataclass(frozen=True, slots=True)
class DenseStepsOptions(DenseOptions):
    """For dense attacks by steps along gradients."""

    steps: int = setting(100, "Gradients of an attempt.", low=1, unit="steps")


@dataclass(frozen=True, slots=True)
class APGDOptions(DenseStepsOptions):
    """What to bring down."""

    loss: Literal["cross-entropy", "targeted-dlr"] = setting(
        "cross-entropy",
        "Cross-entropy, or the difference-of-logits ratio towards each of nine rivals in turn.",
    )


@dataclass(frozen=True, slots=True)
class SquareOptions(DenseOptions):
    """How long to draw squares."""

    queries: int = setting(10_100, "Budget of an attempt.", low=1, unit="queries")


@dataclass(frozen=True, slots=True)
class AutoAttackOptions(DenseStepsOptions):
    """How long each of its parts runs."""

    square_queries: int = setting(5000, "Budget of the last part, Square.", low=1, unit="queries")


def check_dense(attack: str, pixels_given: bool) -> None:
    """Refuse a number of pixels for an attack that changes them all.

    Raises:
        UsageError: one was given.
    """
    if pixels_given:
        raise UsageError(
            f"{attack} is a dense attack: it changes all pixels, as far as eps allows",
            f"leave `pixels=...` out; `attack={attack}` with `eps=...`",
        )
