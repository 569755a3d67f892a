"""Windows by position: the same answers from smaller windows, wherever the pixels lie."""

import random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from inference.inference_networks import (
    Candidates,
    agreement,
    candidates,
    classifier,
    clean_images,
    dense_logits,
    random_network,
)
from pixguard.attacks.engine.packing import NEW_PART, SORTED_SHARE, pack
from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.inference import windowed
from pixguard.inference.delta import DeltaEvaluator
from pixguard.inference.form import Form
from pixguard.inference.positions import Positions
from pixguard.inference.truth import Forms, NotRightError, Truth
from pretended_gpu import GPU, pretended_gpu

SIDE = 28


def network() -> Any:
    torch.manual_seed(1)
    return classifier(SmallCNN(3, 4))


def sorted_by(sets: int, pixels: int = 1, batch: int = 5, slots: int = 1) -> DeltaEvaluator:
    made = DeltaEvaluator(network().double(), batch, torch.float64)
    made.sets = sets
    made.allocate(slots, SIDE, SIDE, pixels)
    return made


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_sorted_delta_is_dense_on_networks_of_known_operations(seed: int) -> None:
    rng = random.Random(seed)
    channels, pixels, depth = rng.choice([1, 3]), rng.randint(1, 3), rng.randint(1, 4)
    size = rng.randint(4, 20), rng.randint(4, 20)
    model = classifier(random_network(seed, channels, size, depth), channels)
    images = clean_images(2, channels, size, seed)
    batch, sets = rng.randint(1, 7), rng.randint(2, 3)
    found = agreement(model, images, pixels, torch.float64, batch=batch, seed=seed, sets=sets)
    assume(found.change > 1e-4)
    assert found.error < 1e-9


@pytest.mark.parametrize("pixels", [1, 2])
def test_every_place_is_right_and_costs_less(pixels: int) -> None:
    images = clean_images(2, 3, (SIDE, SIDE))
    grid = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE))
    grid = grid[::3]  # as many of every remainder by the strides
    places = torch.stack([grid.roll(31 * pixel, 0) for pixel in range(pixels)], 1)
    stream = torch.Generator().manual_seed(3)
    owners = torch.randint(2, (len(grid),), generator=stream)
    colours = torch.randint(256, (len(grid), pixels, 3), generator=stream).byte()
    every = Candidates(owners, places, colours)
    expected = dense_logits(network().double(), images, every)
    shares = []
    for sets in (1, 2, 3):
        made = sorted_by(sets, pixels, batch=60, slots=2)
        for slot, image in enumerate(images):
            made.load(slot, image)
        torch.testing.assert_close(made.logits(*every), expected, rtol=0, atol=1e-9)
        assert len(made.parts) == sets**2
        assert sum(part.weight for part in made.parts) == pytest.approx(1)
        shares.append(made.share)
    assert shares[0] > shares[1] > shares[2]


def test_clean_maps_are_kept_once_and_stay_when_the_batch_changes() -> None:
    images = clean_images(1, 3, (SIDE, SIDE))
    made, given = sorted_by(2), candidates(images, 1)
    made.load(0, images[0])
    before = made.logits(*given)
    *others, (_, everywhere) = made.parts
    for _, part in others:
        for node in part._sources.keys() & everywhere._sources.keys():
            lent, own = part._sources[node].clean, everywhere._sources[node].clean
            assert lent.data_ptr() == own.data_ptr()
    for batch in (3, 20):
        made.batch = batch
        torch.testing.assert_close(made.logits(*given), before, rtol=0, atol=1e-12)


def test_a_candidate_is_answered_alike_whatever_it_is_asked_with() -> None:
    images = clean_images(1, 3, (SIDE, SIDE))
    made, given = sorted_by(3, batch=4), candidates(images, 1)
    made.load(0, images[0])
    together = made.logits(*given)
    alone = [made.logits(*(part[i : i + 1] for part in given)) for i in range(len(together))]
    assert torch.equal(torch.cat(alone), together)


def test_windows_that_are_too_small_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    forms = Forms(Truth(network(), SIDE, SIDE, 1), 1 << 33, 200, 400)
    form = Form("delta", "float32", 10, sets=2)
    assert form.variant == "windows by position in 2 sets"
    assert len(forms.checked(form).parts) == 4  # type: ignore[attr-defined]
    whole = windowed.Windowed._mean

    def wrong(self: Any, *given: Any) -> torch.Tensor:
        differs = self._within is not None and not torch.equal(*self._within)
        return whole(self, *given) * (1.01 if differs else 1)

    monkeypatch.setattr(windowed.Windowed, "_mean", wrong)
    with pytest.raises(NotRightError, match="differ"):
        forms.checked(form)


def test_on_a_gpu_parts_lie_there_too() -> None:
    images = clean_images(1, 3, (12, 12))
    given = [part[:6] for part in candidates(images, 1)]
    answers = []
    for device in (torch.device("cpu"), GPU):
        with pretended_gpu():
            made = DeltaEvaluator(network().to(device), 6)
            made.sets = 2
            made.allocate(1, 12, 12, 1)
            made.load(0, images[0].to(device))
            answers.append(made.logits(*(part.to(device) for part in given)).cpu())
    torch.testing.assert_close(*answers)


def test_a_network_without_convolutions_has_one_size() -> None:
    made = DeltaEvaluator(classifier(torch.nn.Flatten()), 1)
    made.sets = 2
    made.allocate(1, 6, 6, 1)
    assert len(made.parts) == 1


def test_numbers_are_those_of_the_smallest_sets_that_hold_all_pixels() -> None:
    made = sorted_by(3, pixels=2)
    assert isinstance(made._positions, Positions)
    parts = made._positions.parts()
    stream = torch.Generator().manual_seed(5)
    places = torch.randint(SIDE, (200, 2, 2), generator=stream)
    for pixels, number in zip(places, made._positions.numbers(places).tolist(), strict=True):
        holding = [
            index
            for index, (_, held) in enumerate(parts)
            if all(torch.equal(held[axis][pixels[:, axis]], pixels[:, axis]) for axis in (0, 1))
        ]
        assert number == holding[0]


@pytest.mark.parametrize(
    ("revisits", "attempts", "sets"),
    [
        (True, 9 * SORTED_SHARE * NEW_PART, 3),
        (True, 4 * SORTED_SHARE * NEW_PART, 2),
        (True, 4 * SORTED_SHARE * NEW_PART - 1, 1),
        (False, 9 * SORTED_SHARE, 3),
        (False, 4 * SORTED_SHARE, 2),
        (False, 3, 1),
    ],
)
def test_places_are_sorted_where_a_step_fills_the_batches_of_all(
    revisits: bool, attempts: int, sets: int
) -> None:
    search: Any = SimpleNamespace(
        candidates_per_step=50, most_slots=None, entry=SimpleNamespace(revisits=revisits)
    )
    evaluator: Any = SimpleNamespace(batch=50, most_slots=1000, sets=3)
    assert pack(evaluator, search, attempts, attempts) <= attempts
    assert evaluator.sets == sets and evaluator.batch <= 50
