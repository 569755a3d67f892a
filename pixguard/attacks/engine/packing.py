"""How many attempts to run at a time, so that batches are full."""

import math

from pixguard.attacks.engine.search import Search
from pixguard.config import PrecisionName
from pixguard.inference.base import Evaluator

REVISITING_SHARE = 24
"""How many batches of candidates a search that revisits asks for in a step. Late in an evolution a
tenth of them is new; two full batches and a part of one are left to evaluate."""

SORTED_SHARE = 24
"""How many batches a step should have for every pair of sets of places: each leaves half a batch
empty. Two sets (small-cnn, 28 pixels) were 0.89 times as fast as none with 2.4 batches for a pair,
as fast with 8, and 1.13 times with 24."""
NEW_PART = 3
"""Of what a search that revisits asks for, one in so many is new."""


def pack(evaluator: Evaluator, search: Search, attempts: int, waiting: int) -> int:
    """Return how many slots to fill; lower the evaluator's batch, and its sets, to what fills them.

    A batch has one fixed shape: what a step asks for is cut into equal ones, for the rest of an
    uneven cut is wasted work, and so is a batch that is larger than the plan. What of the plan is
    done already does not count, because kernels differ in the last bits between shapes: a resumed
    plan must end as one that was not interrupted.

    Args:
        evaluator: whose batch may be lowered.
        search: what asks for candidates.
        attempts: of the whole plan.
        waiting: how many of them are still to be made.
    """
    step = search.candidates_per_step
    most = min(attempts, evaluator.most_slots, search.most_slots or attempts)
    while True:
        batches = REVISITING_SHARE if search.entry.revisits else 1
        if evaluator.sets > 1:
            new_part = NEW_PART if search.entry.revisits else 1
            batches = evaluator.sets**2 * SORTED_SHARE * new_part
        slots = max(1, min(most, math.ceil(evaluator.batch * batches / step)))
        if evaluator.sets == 1 or slots * step >= evaluator.batch * batches:
            break
        evaluator.sets -= 1
    asked = slots * step
    evaluator.batch = math.ceil(asked / math.ceil(asked / evaluator.batch))
    return max(1, min(waiting, slots))


def search_precision(asked: PrecisionName, search: Search) -> PrecisionName:
    """Return the precision to search in.

    A proof must not rest on rounded answers; a dense attack asks for few, and small changes count.
    """
    exact = search.entry.complete or search.entry.dense
    return "float32" if asked == "auto" and exact else asked
