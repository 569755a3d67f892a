"""AutoAttack, standard: four attacks one after the other, on what still stands (white-box).

Croce, Hein 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse
Parameter-free Attacks" (ICML): APGD on the cross-entropy, APGD on the targeted difference-of-logits
ratio and FAB, each against the nine nearest rivals, one start and 100 steps each; then Square with
5,000 queries. Its parts are pixguard's own, with what each of them says of itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pixguard.attacks.dense_options import (
    APGDOptions,
    AutoAttackOptions,
    DenseStepsOptions,
    SquareOptions,
)
from pixguard.attacks.engine.chain import ChainSearch
from pixguard.config.settings import Settings


class AutoAttackSearch(ChainSearch):
    """AutoAttack."""

    options: AutoAttackOptions

    def parameters(self) -> Mapping[str, Any]:
        """Return options and parts, the distance as it is taken."""
        return {**super().parameters(), "eps": self._parts[0].parameters()["eps"]}

    @staticmethod
    def plan(options: AutoAttackOptions) -> Sequence[tuple[str, Settings]]:
        """Return the four parts, all of one distance."""
        norm, eps, steps = options.norm, options.eps, options.steps
        return [
            ("apgd", APGDOptions(norm, eps, steps, "cross-entropy")),
            ("apgd", APGDOptions(norm, eps, steps, "targeted-dlr")),
            ("fab", DenseStepsOptions(norm, eps, steps)),
            ("square", SquareOptions(norm, eps, options.square_queries)),
        ]
