"""Sparse-AutoAttack: Sparse-PGD in both forms, then Sparse-RS, on what still stands (white-box).

The order of Zhong, Huang, Liu 2024, "Towards Efficient Training and Evaluation of Robust Models
against l0 Bounded Adversarial Perturbations" (ICML; CityU-MLO/sPGD). There each part has 10,000
iterations or queries; here the three share one budget equally, so that an attempt compares with
others.
"""

from collections.abc import Sequence

from pixguard.attacks.engine.chain import ChainSearch
from pixguard.attacks.registry import BudgetOptions, SparsePGDOptions
from pixguard.config.settings import Settings


class SparseAASearch(ChainSearch):
    """Sparse-AutoAttack."""

    options: BudgetOptions

    @staticmethod
    def plan(options: BudgetOptions) -> Sequence[tuple[str, Settings]]:
        """Return the three parts; of a budget of two nothing is to be shared."""
        third = options.queries // 3
        rest = BudgetOptions(queries=options.queries - 2 * third)
        if not third:
            return [("sparse-rs", rest)]
        projected = SparsePGDOptions(queries=third, gradient="projected")
        unprojected = SparsePGDOptions(queries=third, gradient="unprojected")
        return [("spgd", projected), ("spgd", unprojected), ("sparse-rs", rest)]
