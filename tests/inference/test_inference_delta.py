import random

import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from inference.inference_networks import (
    Agreement,
    Branches,
    Candidates,
    Dense,
    Network,
    Residual,
    SharedConv,
    SharedNorm,
    agreement,
    candidates,
    classifier,
    clean_images,
    delta,
    delta_logits,
    dense_logits,
    pooling,
    random_network,
)
from pixguard.inference.delta import DeltaEvaluator
from pixguard.inference.tracing import trace

SEEDS = st.integers(0, 2**32 - 1)
BOUNDS = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 0.05}


def compare(
    seed: int, dtype: torch.dtype = torch.float64, *, unknown: bool = False, most: int = 20
) -> Agreement:
    """Compare on a network, a size and candidates that a seed stands for."""
    rng = random.Random(seed)
    channels, pixels, depth = rng.choice([1, 3]), rng.randint(1, 5), rng.randint(1, 5)
    size = rng.randint(1, most), rng.randint(1, most)
    if rng.random() < 0.3:
        size = size[0], size[0]
    at = rng.randrange(depth) if unknown else None
    model = classifier(random_network(seed, channels, size, depth, at), channels)
    images = clean_images(2, channels, size, seed)
    return agreement(model, images, pixels, dtype, batch=rng.randint(1, 7), seed=seed)


@settings(deadline=None, max_examples=70)
@given(SEEDS)
def test_delta_is_dense_on_networks_of_known_operations(seed):
    found = compare(seed)
    assume(found.change > 1e-4)  # else nothing would be compared
    assert found.error < BOUNDS[torch.float64]


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_delta_is_dense_with_an_unknown_operation_in_the_middle(seed):
    found = compare(seed, unknown=True)
    assume(found.change > 1e-4)
    assert found.error < BOUNDS[torch.float64]


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_delta_is_dense_in_float32(seed):
    found = compare(seed, torch.float32)
    assume(found.change > 1e-2)
    assert found.error < BOUNDS[torch.float32]


@settings(deadline=None, max_examples=15)
@given(SEEDS)
def test_delta_is_near_dense_in_bfloat16(seed):
    found = compare(seed, torch.bfloat16, most=10)
    assume(found.change > BOUNDS[torch.bfloat16])
    assert found.error < BOUNDS[torch.bfloat16]


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_pools_at_every_edge(seed):
    """Random networks seldom reach a pool's edge with small windows: here nothing else is."""
    rng = random.Random(seed)
    size = rng.randint(9, 24), rng.randint(9, 24)
    body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), pooling(rng), pooling(rng))
    with torch.no_grad():
        try:
            out = body(torch.zeros(1, 3, *size))
        except RuntimeError:
            assume(False)
    assume(out.isfinite().all())
    network = nn.Sequential(body, nn.Flatten(), nn.Linear(out.numel(), 4))
    found = agreement(classifier(network), clean_images(2, 3, size), rng.randint(1, 3), seed=seed)
    assume(found.change > 1e-3)  # pools may skip every pixel that is changed
    assert found.error < BOUNDS[torch.float64]


# --- written by hand: what a draw may miss -----------------------------------------------------


def conv(inputs: int = 4, outputs: int = 4, **options) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, **{"padding": 1, **options})


def ends_in_mean(body, **parts) -> Network:
    """A network whose body gets the output of a first convolution, and whose mean is judged."""
    first, last = conv(3), nn.LazyLinear(4)
    made = Network(
        lambda self, x: self.last(body(self, self.first(x)).mean((2, 3))),
        first=first, last=last, **parts,
    )  # fmt: skip
    made(torch.zeros(2, 3, 16, 16))
    return made


def in_place_then_shortcut(net, x):
    """The shortcut of careless pre-activation blocks: the rectifier changes it, too."""
    shortcut = x
    return net.conv(net.relu(x)) + shortcut


def in_place_statement(net, x):
    net.relu(x)
    return x * 2


def in_place_method_statement(net, x):
    x.clamp_(min=-0.1)
    return x


def identity_shortcut(net, x):
    shortcut = net.identity(x)
    return F.relu(x) + 2 * shortcut


def dropout_shortcut(net, x):
    y = net.conv(x)
    shortcut = net.dropout(y)
    return torch.cat([F.relu(y), shortcut], 1)


def view_kept_before_a_rectifier(net, x):
    x = x.softmax(1) - 0.2
    x = x + net.conv(x)
    view = x.flatten(2)
    return F.relu(x) * view.mean(2)[:, :, None, None]


def view_kept_before_a_sum(net, x):
    x = net.conv(x.softmax(1))
    view = x.permute(0, 2, 3, 1)
    return (x + 1.5 * x.abs()) * view.mean(3).unsqueeze(1)


def sum_of_constants(net, x):
    offset = net.conv.bias[None, :, None, None] + net.first.bias[None, :, None, None]
    return x.softmax(1).amax((2, 3), keepdim=True).mul(3) + offset


def sum_of_sizes(net, x):
    return x * (x.size(1) + x.size(2) + x.size(3))


def plus_an_item(net, x):
    return net.conv(x) + net.conv.bias[0].item()


def sum_with_itself(net, x):
    return net.conv(F.relu(x + x))


def both_ways(net, x):
    y = net.conv(x)
    return torch.add(y, F.relu(y), alpha=2) - y


BODIES = [
    in_place_then_shortcut, in_place_statement, in_place_method_statement, identity_shortcut,
    dropout_shortcut, view_kept_before_a_rectifier, view_kept_before_a_sum, sum_of_constants,
    sum_of_sizes, plus_an_item, sum_with_itself, both_ways,
]  # fmt: skip


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("body", BODIES)
def test_memory_is_reused_only_where_nobody_looks(body, batch):
    torch.manual_seed(1)
    network = ends_in_mean(
        body, conv=conv(), relu=nn.ReLU(inplace=True), identity=nn.Identity(), dropout=nn.Dropout()
    )
    found = agreement(classifier(network), clean_images(2, 3, (13, 16)), 2, batch=batch)
    assert found.change > 1e-4
    assert found.error < BOUNDS[torch.float64]


NAMED = {
    "residual": lambda: nn.Sequential(
        conv(3), Residual(4, "all in place"), Residual(4, "operator")
    ),
    "dense": lambda: nn.Sequential(conv(3), Dense(4, 3, 4), nn.BatchNorm2d(16)),
    "cat([x, x])": lambda: nn.Sequential(conv(3), Branches(4, "twice"), conv(8)),
    "branches": lambda: nn.Sequential(Branches(3, "side by side"), nn.ReLU(), conv(12)),
    "shared norm": lambda: nn.Sequential(conv(3), SharedNorm(4)),
    "shared convolution": lambda: nn.Sequential(conv(3), SharedConv(4)),
    "depthwise": lambda: nn.Sequential(
        conv(3, 6, groups=3), nn.BatchNorm2d(6), nn.ReLU6(inplace=True), conv(6, 6, groups=6)
    ),
    "strided past pixels": lambda: nn.Sequential(
        conv(3, padding=0, stride=2), nn.Conv2d(4, 4, 1, stride=2), conv()
    ),
    "dilated": lambda: nn.Sequential(conv(3, dilation=3, padding=3), conv(dilation=2, padding=0)),
    "circular": lambda: nn.Sequential(conv(3, padding_mode="circular"), nn.ReLU(), conv()),
    "reflect": lambda: nn.Sequential(conv(3, padding=2, padding_mode="reflect"), conv()),
    "even kernel, same": lambda: nn.Sequential(nn.Conv2d(3, 4, 2, padding="same"), conv()),
    # Windows of one size, which begin at other places for every other pixel.
    "strides out of step": lambda: Network(
        lambda net, x: net.odd(x) + net.even(x),
        odd=conv(3, stride=2),
        even=nn.Conv2d(3, 4, 4, 2, 1),
    ),
    "norm first": lambda: nn.Sequential(nn.BatchNorm2d(3), conv(3), nn.BatchNorm2d(4)),
}


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (17, 12), (24, 24)])
@pytest.mark.parametrize("name", NAMED)
def test_building_blocks_at_every_size(name, size):
    torch.manual_seed(2)
    body = NAMED[name]()
    try:
        with torch.no_grad():
            outputs = body.eval()(torch.zeros(1, 3, *size)).shape[1:].numel()
    except RuntimeError:
        return  # the map is too small for the network itself
    network = nn.Sequential(body, nn.Flatten(), nn.Linear(outputs, 4))
    for pixels in (1, 3):
        found = agreement(classifier(network), clean_images(3, 3, size), pixels)
        assert found.change > 1e-3
        assert found.error < BOUNDS[torch.float64]


# --- what a candidate's logits may depend on ---------------------------------------------------


def mixed_network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), Residual(8, "in place"),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False), Dense(8, 4, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4),
    )  # fmt: skip


SIZE = (26, 31)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pixels", [1, 3])
def test_a_candidate_depends_on_itself_alone(pixels, dtype):
    """Whatever its batch mates, its place in the batch, and how many slots there are."""
    model = classifier(mixed_network())
    images = clean_images(3, 3, SIZE)
    given = candidates(images, pixels)
    expected = delta_logits(model, images, given, dtype, batch=4)
    order = torch.randperm(13, generator=torch.Generator().manual_seed(0))
    shuffled = delta_logits(model, images, given.part(order), dtype, batch=4)
    assert torch.equal(shuffled, expected[order])
    crowd = torch.cat([images, clean_images(4, 3, SIZE, seed=9)])
    alone = delta(model, crowd, pixels, dtype, batch=4)
    for index in range(13):
        assert torch.equal(alone.logits(*given.part(torch.tensor([index])))[0], expected[index])


def test_a_sum_with_the_image_is_wider_than_the_weights():
    """In bfloat16 the image stays in float32, and so does what is added to it."""
    torch.manual_seed(7)
    network = Network(
        lambda net, x: net.last(net.second(F.relu(net.first(x) + x)).mean((2, 3))),
        first=conv(3, 3), second=conv(3), last=nn.Linear(4, 4),
    )  # fmt: skip
    found = agreement(classifier(network), clean_images(2, 3, (13, 14)), 5, torch.bfloat16)
    assert found.error < 0.01 < 0.02 < found.change


def test_a_slot_holds_the_image_loaded_last():
    model = classifier(mixed_network()).double()
    images, others = clean_images(3, 3, SIZE), clean_images(3, 3, SIZE, seed=7)
    given = candidates(images, 2)
    evaluator = delta(model, images, 2)
    evaluator.load(1, others[1])
    images[1] = others[1]
    expected = dense_logits(model, images, given)
    assert {0, 1, 2} == set(given.owners.tolist())
    torch.testing.assert_close(evaluator.logits(*given), expected, rtol=0, atol=1e-9)


def test_the_batch_may_change_between_calls():
    """As when it is halved because memory ran out: the slots keep their images."""
    model = classifier(mixed_network()).double()
    images = clean_images(3, 3, SIZE)
    given = candidates(images, 3)
    expected = dense_logits(model, images, given)
    evaluator = delta(model, images, 3, batch=8)
    for batch in (8, 4, 2, 1, 13, 6):
        evaluator.batch = batch
        torch.testing.assert_close(evaluator.logits(*given), expected, rtol=0, atol=1e-9)


def test_one_evaluator_may_be_allocated_for_another_size():
    model = classifier(mixed_network()).double()
    evaluator = delta(model, clean_images(2, 3, SIZE), 1)
    for size, pixels, slots in (((40, 20), 2, 3), ((9, 9), 1, 1)):
        images = clean_images(slots, 3, size)
        evaluator.allocate(slots, *size, pixels)
        for slot, image in enumerate(images):
            evaluator.load(slot, image)
        given = candidates(images, pixels)
        expected = dense_logits(model, images, given)
        torch.testing.assert_close(evaluator.logits(*given), expected, rtol=0, atol=1e-9)


def test_of_coinciding_pixels_the_later_one_holds():
    model = classifier(mixed_network()).double()
    images = clean_images(1, 3, SIZE)
    places = torch.tensor([[[5, 6], [5, 6], [9, 9]], [[5, 6], [9, 9], [5, 6]]])
    colours = torch.tensor([[0, 0, 0], [255, 255, 255], [9, 8, 7]]).byte()
    both = Candidates(torch.zeros(2, dtype=torch.int64), places, colours.expand(2, 3, 3))
    first, second = delta_logits(model, images, both)
    changed = images.double()
    changed[0, :, 5, 6], changed[0, :, 9, 9] = 1.0, (torch.tensor([9, 8, 7]) / 255).double()
    torch.testing.assert_close(first, model(changed)[0].detach(), rtol=0, atol=1e-9)
    changed[0, :, 5, 6], changed[0, :, 9, 9] = (torch.tensor([9, 8, 7]) / 255).double(), 1.0
    torch.testing.assert_close(second, model(changed)[0].detach(), rtol=0, atol=1e-9)


def test_the_image_itself_as_a_candidate():
    model = classifier(mixed_network()).double()
    images = clean_images(2, 3, SIZE)
    places = torch.tensor([[[0, 0]], [[25, 30]], [[12, 3]]])
    owners = torch.tensor([1, 0, 1])
    colours = images[owners[:, None], :, places[..., 0], places[..., 1]].mul(255).round().byte()
    expected = model(images.double())[owners].detach()
    actual = delta_logits(model, images, Candidates(owners, places, colours))
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def test_statistics_of_the_batch_are_those_of_whole_maps():
    """Such a network mixes its images: delta and dense agree where both see the same batch."""
    torch.manual_seed(6)
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    model = classifier(ends_in_mean(lambda net, x: F.relu(net.norm(x)), norm=norm)).double()
    images = clean_images(2, 3, SIZE)
    given = candidates(images, 2)
    actual = delta_logits(model, images, given, batch=13)
    torch.testing.assert_close(actual, dense_logits(model, images, given), rtol=0, atol=1e-9)


# --- real architectures ------------------------------------------------------------------------


def architecture(name: str, size: tuple[int, int]) -> nn.Module:
    """With random weights, and statistics of random images: else a pixel's effect dies out."""
    torch.manual_seed(0)
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    network = torchvision.models.get_model(name, weights=None, num_classes=4, **options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(clean_images(4, 3, size) * 4 - 2)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "size", "pixels"),
    [
        ("resnet18", (72, 90), 2),
        ("squeezenet1_0", (49, 64), 1),
        ("shufflenet_v2_x0_5", (64, 64), 1),
        ("mobilenet_v2", (48, 48), 1),
    ],
)
def test_real_architectures(name, size, pixels):
    model = classifier(architecture(name, size), keep_statistics=True)
    found = agreement(model, clean_images(2, 3, size), pixels)
    assert found.change > 1e-3
    assert found.error < BOUNDS[torch.float64]


# --- the plan and the trace --------------------------------------------------------------------


@pytest.mark.parametrize("pixels", [1, 2])
def test_the_share_that_remains_falls_with_the_size(pixels):
    model = classifier(mixed_network())
    shares = []
    for side in (8, 16, 32, 64, 128):
        evaluator = DeltaEvaluator(model, 1)
        evaluator.allocate(1, side, side, pixels)
        shares.append(evaluator.share)
    assert all(0 < share <= 1 for share in shares)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.3 > 0.05 > shares[-1]


def test_known_operations_run_on_windows_up_to_the_mean():
    evaluator = DeltaEvaluator(classifier(mixed_network()), 1)
    evaluator.allocate(1, 128, 128, 1)
    whole = [step.node.name for step in evaluator._plan.steps if step.operation is None]
    assert len(whole) == 3, whole  # flatten, linear, output


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_tracing_leaves_the_classifier_as_it_was(dtype):
    model = classifier(nn.Sequential(mixed_network(), nn.ReLU(inplace=True)))
    model.network[0][1].train()  # a mode that tracing must neither use nor change
    seen = []
    model.register_forward_hook(lambda *_: seen.append(1))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    modules = [id(module) for module in model.modules()]
    images = clean_images(1, 3, SIZE)
    delta(model, images, 1, dtype).logits(*candidates(images, 1))
    after = model.state_dict()
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert tensor.dtype == after[name].dtype
        assert torch.equal(tensor, after[name])
    assert modes == [module.training for module in model.modules()]
    assert modules == [id(module) for module in model.modules()]
    assert all(p.requires_grad for p in model.parameters())
    assert model.network[1].inplace
    assert not seen and len(model._forward_hooks) == 1


def test_batch_normalisation_is_folded_where_only_it_sees_the_convolution():
    def norms(network):
        graph = trace(network, torch.float64)
        called = [n.target for n in graph.graph.nodes if n.op == "call_module"]
        return sum(isinstance(graph.get_submodule(str(t)), nn.BatchNorm2d) for t in called)

    folded = nn.Sequential(conv(3), nn.BatchNorm2d(4), nn.BatchNorm2d(4))
    assert norms(folded) == 0
    assert norms(nn.Sequential(conv(3), SharedNorm(4))) == 1
    assert norms(nn.Sequential(conv(3), SharedConv(4))) == 2
    assert norms(nn.Sequential(conv(3), nn.BatchNorm2d(4, track_running_stats=False))) == 1
