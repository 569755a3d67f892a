"""A few inputs of each kind that ``scripts/fuzz`` makes, the same ones every time."""

import pytest

from fuzzing import KINDS, Kind, explore


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_an_input_is_taken_or_refused_with_a_message(kind: Kind) -> None:
    ran, taken = explore(kind, 60, first_seed=0)
    assert ran >= 60 and 0 < taken < ran
