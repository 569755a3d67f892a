"""Dense attacks against what can be worked out by hand, and the distance that they must keep."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize
from torch import Tensor, nn

import pixguard.attacks
from pixguard.attacks import ATTACKS
from pixguard.attacks.apgd import checkpoints
from pixguard.attacks.attack import Attack
from pixguard.attacks.engine.dense import whole_steps
from pixguard.attacks.fab import project
from pixguard.attacks.square import bump
from pixguard.errors import UsageError

SIDE = 8
SHORT: dict[str, dict[str, Any]] = {
    "pgd": {"steps": 10},
    "apgd": {"steps": 12},
    "lbfgs": {"steps": 8},
    "square": {"queries": 40},
    "fab": {"steps": 8},
    "auto-attack": {"steps": 6, "square_queries": 20},
}
DENSE = [entry.name for entry in ATTACKS if entry.dense]
every_dense = pytest.mark.parametrize("name", DENSE)


def make(name: str, network: nn.Module, **options: Any) -> Attack:
    kind = getattr(pixguard.attacks, ATTACKS[name].class_name)
    made: Attack = kind(network, **{**SHORT.get(name, {}), **options})
    return made


def linear() -> nn.Module:
    """Two classes, and far from the ends of the range images that 8 bits hold exactly."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2))


def middling(count: int, channels: int = 1) -> Tensor:
    stream = torch.Generator().manual_seed(2)
    shape = (count, channels, SIDE, SIDE)
    return torch.randint(90, 166, shape, generator=stream, dtype=torch.uint8)


def margins(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The classes of images, how far each leads the other, and the weights of the difference."""
    weights = network[1].weight[0] - network[1].weight[1]  # type: ignore[index]
    with torch.no_grad():
        logits = network(images.float() / 255).double()
    labels = logits.argmax(1)
    return labels, (logits[:, 0] - logits[:, 1]).abs(), weights.detach().double()


@torch.no_grad()
def convolutional(channels: int = 1, classes: int = 5) -> nn.Module:
    """A small network with answers spread over its classes."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = nn.Sequential(
            nn.Conv2d(channels, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Flatten(),
            last := nn.Linear(6 * 4 * 4, classes),
        )  # fmt: skip
    last.weight *= 8
    last.bias -= network(middling(60, channels).float() / 255).mean(0)
    return network


def decided(network: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return network(images.float() / 255).argmax(1)


@pytest.mark.parametrize("name", ["fgsm", "pgd", "apgd", "lbfgs", "fab", "auto-attack"])
def test_in_the_largest_norm_a_linear_model_falls_where_the_distance_exceeds_its_margin(
    name: str,
) -> None:
    """The margin falls by eps |w|_1 at most (Goodfellow et al. 2015, section 3)."""
    network, images = linear(), middling(12)
    labels, lead, weights = margins(network, images)
    least = 255 * lead / weights.abs().sum()
    fallen = 0
    for eps in (1, 2, 4, 8):
        result = make(name, network, eps=float(eps))(images, labels)
        assert torch.equal(result.success, eps > least)
        fallen += int(result.success.sum())
    assert 0 < fallen < 48, "the test needs both"


@pytest.mark.parametrize("name", ["fgsm", "pgd", "apgd", "lbfgs", "fab", "auto-attack"])
def test_in_the_euclidean_norm_too_apart_from_rounding(name: str) -> None:
    """The margin falls by eps |w|_2 at most."""
    network, images = linear(), middling(6)
    labels, lead, weights = margins(network, images)
    for index, least in enumerate((lead / weights.norm()).tolist()):
        one = images[index : index + 1], labels[index : index + 1]
        assert not make(name, network, norm="l2", eps=0.99 * least)(*one).success.any()
        longer = max(1.15 * least, least + 0.02)  # of 64 values, each off by half a step at most
        assert make(name, network, norm="l2", eps=longer)(*one).success.all()


@every_dense
@pytest.mark.parametrize("norm, eps", [("linf", 1.9), ("linf", 2.7), ("l2", 0.05), ("l2", 0.31)])
def test_every_image_that_is_asked_for_lies_within_the_distance(
    name: str, norm: str, eps: float
) -> None:
    network, images = convolutional(3), middling(6, 3)
    result = make(name, network, norm=norm, eps=eps)(images, decided(network, images))
    assert result.pixels.shape == (6, 0, 2) and result.attacked.all()
    found = result.colours.permute(0, 2, 1).reshape(images.shape)  # of failures, too
    change = found.long() - images.long()
    if norm == "linf":
        assert int(change.abs().max()) == int(eps)
    else:
        squares = change.square().flatten(1).sum(1)
        assert int(squares.max()) <= (255 * eps) ** 2
        # The distance is used, but by what looks for the nearest image that fools.
        assert name == "fab" or int(squares.max()) >= (255 * eps * 0.8) ** 2
    assert torch.equal(result.images[result.success], found[result.success])
    assert torch.equal(decided(network, found) != decided(network, images), result.success)


def test_apgd_finds_what_pgd_finds_on_a_trained_network() -> None:
    network: Any = convolutional(1, 4)
    stream = torch.Generator().manual_seed(7)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        network[-1].reset_parameters()
    ramp = torch.linspace(-1, 1, SIDE)
    patterns = torch.stack([ramp.expand(SIDE, SIDE), ramp[:, None].expand(SIDE, SIDE)])
    patterns = torch.cat([patterns, -patterns])[:, None]
    labels = torch.randint(0, 4, (160,), generator=stream)
    noise = torch.randn(160, 1, SIDE, SIDE, generator=stream)
    data = (0.5 + 0.25 * patterns[labels] + 0.2 * noise).clamp(0, 1)
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(data[:100]), labels[:100]).backward()
        optimiser.step()
    images = (data[100:] * 255).round().byte()
    truth = labels[100:]
    found = {
        name: make(name, network, eps=20.0, steps=20, **more)(images, truth)
        for name, more in {"pgd": {}, "apgd": {}}.items()
    }
    fgsm = make("fgsm", network, eps=20.0)(images, truth)
    by_ratio = make("apgd", network, eps=20.0, steps=20, loss="targeted-dlr")(images, truth)
    attacked = int(fgsm.attacked.sum())
    assert attacked > 40
    assert 0 < int(fgsm.success.sum()) <= int(found["pgd"].success.sum())
    assert int(found["pgd"].success.sum()) <= int(found["apgd"].success.sum()) < attacked
    assert int(found["pgd"].success.sum()) <= int(by_ratio.success.sum()) < attacked


@every_dense
def test_targets_and_several_labels(name: str) -> None:
    network, images = convolutional(1, 5), middling(4)
    labels = decided(network, images)
    targets = (labels + 1) % 5
    options = {"eps": 60.0, "queries": 400} if name == "square" else {"eps": 30.0}
    options = {**options, "norm": "linf"}
    result = make(name, network, **options)(images, labels, targets)
    assert result.success.any()
    hit = decided(network, result.images) == targets
    assert torch.equal(hit, result.success)
    with torch.no_grad():
        given = network(images.float() / 255) > 0
    several = make(name, network, task="multi-label", **options)(images, given)
    assert several.success.any()
    with torch.no_grad():
        after = network(several.images.float() / 255) > 0
    assert torch.equal((after != given).any(1), several.success)


@every_dense
@pytest.mark.parametrize("norm, eps", [("linf", 8 / 255), ("linf", 0.0), ("l2", 0.003)])
def test_a_distance_of_less_than_a_step_is_refused(name: str, norm: str, eps: float) -> None:
    """Else who takes eps for a share of the range would read that nothing is ever fooled."""
    with pytest.raises(UsageError, match="no image of 8 bits differs"):
        make(name, linear(), norm=norm, eps=eps)(middling(1), torch.tensor([0]))


def test_a_number_of_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="fgsm changes all pixels"):
        make("fgsm", linear(), pixels=2)


@pytest.mark.parametrize("most", [0, 1, 50, 1000, 16256])
def test_whole_steps_keep_to_the_sum_of_squares(most: int) -> None:
    stream = torch.Generator().manual_seed(most)
    change = torch.randn(8, 1, SIDE, SIDE, generator=stream, dtype=torch.float64)
    change = change / change.flatten(1).norm(dim=1).view(-1, 1, 1, 1) * most**0.5 * (1 - 1e-5)
    steps = whole_steps(change, most)
    assert (steps.square().flatten(1).sum(1) <= most).all()
    assert ((steps - change).abs() < 1).all()


def test_checkpoints_are_those_of_the_paper() -> None:
    """Croce, Hein 2020: of 100 steps 22, 41, 57, 70, 80, 87, 93, 99 (w_j = ceil(p_j N))."""
    assert list(checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints(100)[41] == 19


@pytest.mark.parametrize("side", [2, 3, 5, 8])
def test_a_bump_has_two_halves_of_opposite_sign_and_length_one(side: int) -> None:
    shape = bump(side)
    assert (shape[: side // 2] > 0).all() and (shape[side // 2 :] < 0).all()
    assert float(shape.square().sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_projection_onto_a_hyperplane_in_the_box_is_the_shortest(norm: str, seed: int) -> None:
    """Against SciPy: a linear program in linf, sequential quadratic programming in l2."""
    stream = torch.Generator().manual_seed(seed)
    point = torch.rand(12, generator=stream, dtype=torch.float64)
    slope = torch.randn(12, generator=stream, dtype=torch.float64)
    room = torch.where(slope > 0, 1 - point, point)  # uphill
    value = -0.7 * float((slope.abs() * room).sum()) * torch.rand(1, generator=stream).double()[0]
    change = project(point, slope, value, norm)
    moved = point + change
    assert float(value + slope @ change) == pytest.approx(0.0, abs=1e-9)
    assert float(moved.min()) >= -1e-12 and float(moved.max()) <= 1 + 1e-12
    box = np.stack([-point.numpy(), 1 - point.numpy()], axis=1)
    if norm == "linf":  # minimise t, with -t <= change <= t
        cost = np.array([0.0] * 12 + [1.0])
        above = np.block([[np.eye(12), -np.ones((12, 1))], [-np.eye(12), -np.ones((12, 1))]])
        found = optimize.linprog(
            cost, above, np.zeros(24), np.append(slope.numpy(), 0.0)[None], [-float(value)],
            [*map(tuple, box), (0, None)],
        )  # fmt: skip
        assert float(change.abs().max()) == pytest.approx(found.fun, abs=1e-7)
    else:
        plane = {"type": "eq", "fun": lambda c: float(value) + slope.numpy() @ c}
        found = optimize.minimize(
            lambda c: c @ c, np.zeros(12), jac=lambda c: 2 * c, bounds=box, constraints=plane,
            method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
        )  # fmt: skip
        assert float(change.norm()) == pytest.approx(found.fun**0.5, abs=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_out_of_reach_the_projection_goes_as_far_as_it_can(norm: str) -> None:
    point, slope = torch.tensor([0.2, 0.5]).double(), torch.tensor([1.0, -2.0]).double()
    change = project(point, slope, torch.tensor(-9.0).double(), norm)
    assert torch.allclose(point + change, torch.tensor([1.0, 0.0]).double())


def test_auto_attack_goes_on_where_a_part_is_done_before_its_budget() -> None:
    """Of two classes there is one rival: its parts against rivals end after one run of nine."""
    network, images = linear(), middling(3)
    labels = decided(network, images)
    result = make("auto-attack", network, eps=1.0, steps=3, square_queries=7)(images, labels)
    assert not result.success.any(), "all margins are wider than one step of 8 bits"
    assert result.queries.tolist() == [3 + 3 + 3 + 7] * len(images)


def test_auto_attack_finds_what_its_first_part_finds() -> None:
    network, images = convolutional(1, 5), middling(12)
    labels = decided(network, images)
    options: dict[str, Any] = {"eps": 3.0, "steps": 6}
    whole = make("auto-attack", network, square_queries=20, **options)(images, labels)
    first = make("apgd", network, **options)(images, labels)
    assert (whole.success | ~first.success).all() and whole.success.any()
    assert int(whole.success.sum()) >= int(first.success.sum())
