"""Networks drawn at random, candidates that are hard on windows, and delta beside dense."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixguard.classifiers.classifier import Classifier
from pixguard.inference.delta import DeltaEvaluator
from pixguard.inference.images import with_pixels

LABELS = 4
Block = Callable[[Tensor], Tensor]


class Network(nn.Module):
    """A body given as a function of the network and its map; torch.fx traces through it."""

    def __init__(self, body: Callable[["Network", Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.body = body
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, images: Tensor) -> Tensor:
        return self.body(self, images)


def classifier(
    network: nn.Module, channels: int = 3, *, keep_statistics: bool = False
) -> Classifier:
    """A classifier in evaluation mode, with statistics that normalise nothing by chance.

    Those of an untrained network are mean 0 and variance 1, which would hide errors of folding.
    """
    stream = torch.Generator().manual_seed(5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            if module.track_running_stats and not keep_statistics:
                module.running_mean.normal_(0, 0.1, generator=stream)
                module.running_var.uniform_(0.5, 1.5, generator=stream)
            if module.affine:
                nn.init.uniform_(module.weight, 0.7, 1.3, generator=stream)
                nn.init.normal_(module.bias, 0, 0.2, generator=stream)
    mean, std = tuple(0.3 + 0.1 * c for c in range(channels)), (0.25,) * channels
    return Classifier(network, "multi-class", LABELS, mean, std).eval()


@dataclass(frozen=True)
class Candidates:
    owners: Tensor
    positions: Tensor
    colours: Tensor

    def part(self, index: Tensor) -> "Candidates":
        return Candidates(self.owners[index], self.positions[index], self.colours[index])

    def __iter__(self):
        return iter((self.owners, self.positions, self.colours))


def clean_images(slots: int, channels: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    """float32 (S, C, H, W) of 8-bit values, as images at rest are."""
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (slots, channels, *size), generator=stream) / 255


def candidates(images: Tensor, pixels: int, seed: int = 0) -> Candidates:
    """Corners, edges, coinciding pixels, neighbours, the clean image itself, and any others."""
    slots, channels, height, width = images.shape
    stream = torch.Generator().manual_seed(seed)
    limits = torch.tensor([height, width])
    last = limits - 1
    count = 13
    positions = (torch.rand(count, pixels, 2, generator=stream) * limits).long()
    positions[0], positions[1] = 0, last
    positions[2, :, 0], positions[2, :, 1] = 0, last[1]
    positions[3, :, 0], positions[3, :, 1] = last[0], 0
    positions[4, :, 0] = 0  # on an edge each, where all pixels lie
    positions[5, :, 0] = last[0]
    positions[6, :, 1] = 0
    positions[7, :, 1] = last[1]
    steps = torch.arange(pixels)
    positions[8, :, 1] = (positions[8, :1, 1] + steps).clamp(max=last[1])  # neighbours in a row
    positions[8, :, 0] = positions[8, :1, 0]
    positions[9] = torch.minimum(positions[9, :1] + steps[:, None], last)  # and diagonally
    positions[10] = positions[10, steps // 2]  # coinciding in pairs
    positions[11] = torch.where(steps[:, None] % 2 == 0, 0, last)  # opposite corners
    owners = torch.randint(0, slots, (count,), generator=stream)
    colours = torch.randint(0, 256, (count, pixels, channels), generator=stream).byte()
    own = images[owners[:, None], :, positions[..., 0], positions[..., 1]]
    colours[12] = own[12].mul(255).round().byte()
    return Candidates(owners, positions, colours)


def dense_logits(model: Classifier, images: Tensor, given: Candidates) -> Tensor:
    """What the classifier itself says, computed in the precision of its weights."""
    with torch.inference_mode():
        return model(with_pixels(images, *given).to(model.mean.dtype))


def delta_logits(
    model: Classifier,
    images: Tensor,
    given: Candidates,
    dtype: torch.dtype = torch.float64,
    batch: int = 5,
    sets: int = 1,
) -> Tensor:
    return delta(model, images, given.positions.shape[1], dtype, batch, sets).logits(*given)


def delta(
    model: Classifier,
    images: Tensor,
    pixels: int,
    dtype: torch.dtype = torch.float64,
    batch: int = 5,
    sets: int = 1,
) -> DeltaEvaluator:
    """An evaluator with every image loaded."""
    evaluator = DeltaEvaluator(model, batch, dtype)
    evaluator.sets = sets
    evaluator.allocate(len(images), *images.shape[2:], pixels)
    for slot, image in enumerate(images):
        evaluator.load(slot, image)
    return evaluator


@dataclass(frozen=True)
class Agreement:
    """How far delta is from dense, and how much the changed pixels do: relative to the logits."""

    error: float
    change: float


def agreement(
    model: Classifier,
    images: Tensor,
    pixels: int,
    dtype: torch.dtype = torch.float64,
    batch: int = 5,
    seed: int = 0,
    sets: int = 1,
) -> Agreement:
    """Compare on hard candidates, in float64 unless told; ``model`` is turned to that itself."""
    if dtype == torch.float64:
        model = model.double()
    given = candidates(images, pixels, seed)
    expected = dense_logits(model, images, given)
    with torch.inference_mode():
        clean = model(images.to(model.mean.dtype))[given.owners]
    actual = delta_logits(model, images, given, dtype, batch, sets)
    assert actual.isfinite().all()
    scale = expected.abs().max().clamp(min=1e-3)
    return Agreement(
        float((actual - expected).abs().max() / scale),
        float((expected - clean).abs().max() / scale),
    )


# --- blocks ------------------------------------------------------------------------------------


class Residual(nn.Module):
    """x + body(x), written in one of the ways that people write it."""

    def __init__(self, channels: int, way: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, (3, 1), padding=(1, 0)),
        )
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        if self.way == "operator":
            return x + y
        if self.way == "in place":
            y += x
            return F.relu(y)
        if self.way == "method":
            return y.add(x)
        if self.way == "alpha":
            return torch.add(x, y, alpha=0.5)
        if self.way == "difference":
            return torch.maximum(y - x, x * 0.1)
        return y.add_(x).relu_()


class Dense(nn.Module):
    """DenseNet's chain: every layer sees all before it."""

    def __init__(self, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(channels + i * growth),
                nn.ReLU(inplace=True),
                nn.Conv2d(channels + i * growth, growth, 3, padding=1),
            )
            for i in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.layers:
            maps.append(layer(torch.cat(maps, 1)))
        return torch.cat(maps, dim=1)


class Branches(nn.Module):
    """Inception's: branches with windows of different sizes, side by side or multiplied."""

    def __init__(self, channels: int, way: str) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(channels, channels, 1)
        self.wide = nn.Conv2d(channels, channels, (5, 3), padding=(2, 1), padding_mode="replicate")
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "gate":
            return x * self.wide(x).sigmoid()
        if self.way == "twice":
            return torch.cat([x, x], 1)
        pooled = F.max_pool2d(x, 3, stride=1, padding=1)
        if self.way == "sum":
            return self.narrow(x) + self.wide(x) + pooled
        return torch.cat((self.narrow(x), self.wide(x), pooled, x), -3)


class SharedNorm(nn.Module):
    """A convolution that batch normalisation must not be folded into: others see its output."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y


class SharedConv(nn.Module):
    """One convolution called twice, followed by another batch normalisation each time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.first, self.second = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.conv(F.relu(self.first(self.conv(x)))))


class Constants(nn.Module):
    def __init__(self, channels: int, way: str) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(1, channels, 1, 1) + 0.5)
        self.offset = nn.Parameter(torch.rand(channels, 1, 1))
        self.register_buffer("one", torch.tensor(0.7))
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "parameters":
            return x * self.scale - self.offset
        if self.way == "numbers":
            return (1.5 - 2 * x) / 1.25
        if self.way == "scalar tensor":
            return x.mul(self.one).clamp(min=-2.0, max=3.0)
        if self.way == "in place":
            y = x * 1.0
            y *= self.scale
            y -= 0.1
            return y.neg().abs().sub_(0.3)
        return x + (self.scale + self.offset)


class Positional(nn.Module):
    """A constant that is not the same at every place."""

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.grid = nn.Parameter(torch.rand(1, channels, *size))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.grid


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.up(F.silu(self.down(F.adaptive_avg_pool2d(x, 1)))).sigmoid()


class ChannelsLastNorm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Other(nn.Module):
    """Operations that the windows know nothing of."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "softmax":
            return x.softmax(1) * 3
        if self.way == "size":
            n, c, h, w = x.size()
            return x.reshape(n, c, h * w).flip(2).view(n, c, h, w)
        if self.way == "roll":
            return torch.roll(x, (1, 1), (2, 3)) + x
        first, second = torch.cat([x, x.neg()], 1).chunk(2, 1)
        return first - F.relu(second) * 2


# --- drawing -----------------------------------------------------------------------------------


def activation(rng: random.Random) -> nn.Module:
    functions: list[Block] = [
        F.relu,
        torch.tanh,
        lambda x: F.leaky_relu(x, 0.2),
        lambda x: F.relu(x, inplace=True),
        lambda x: x.relu() - 0.3 * x.sigmoid(),
        lambda x: F.hardswish(x),
        lambda x: F.dropout(F.gelu(x), training=False),
    ]
    modules: list[nn.Module] = [
        nn.ReLU(inplace=True), nn.ELU(), nn.LeakyReLU(0.1, inplace=True), nn.PReLU(), nn.SiLU(),
        nn.GELU(), nn.Identity(), nn.Dropout2d(), nn.Hardswish(inplace=True),
    ]  # fmt: skip
    if rng.random() < 0.5:
        return rng.choice(modules)
    chosen = rng.choice(functions)
    return Network(lambda self, x: chosen(x))


def convolution(rng: random.Random, channels: int) -> nn.Module:
    groups = rng.choice([1, 1, channels, 2 if channels % 2 == 0 else 1])
    outputs = groups * rng.choice([1, 2]) if groups > 1 else rng.randint(2, 7)
    kernel = (rng.randint(1, 4), rng.randint(1, 4))
    mode = rng.choice(["zeros", "zeros", "reflect", "replicate", "circular"])
    padding = rng.choice(["same", "valid", 0, 1, 2, (0, 2), (2, 1), (3, 3)])
    stride = 1 if padding == "same" else rng.choice([1, 1, 2, (1, 2), (3, 1), 3])
    conv = nn.Conv2d(
        channels, outputs, kernel, stride, padding, rng.choice([1, 1, 2, (2, 1)]), groups,
        bias=rng.random() < 0.5, padding_mode=mode,
    )  # fmt: skip
    if rng.random() < 0.5:
        norm = nn.BatchNorm2d(outputs, affine=rng.random() < 0.7)
        return nn.Sequential(conv, norm) if rng.random() < 0.8 else nn.Sequential(conv, norm, norm)
    return conv


def pooling(rng: random.Random) -> nn.Module:
    kernel = rng.choice([2, 3, (3, 2), (1, 3), 4])
    stride = rng.choice([None, 1, 2, (2, 1), 3])
    padding = rng.choice([0, 0, 1, (0, 1)])
    ceil = rng.random() < 0.5
    if rng.random() < 0.5:
        dilation = rng.choice([1, 1, 2])
        if rng.random() < 0.5:
            return nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil)
        return Network(
            lambda self, x: F.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode=ceil)
        )
    counted, divisor = rng.random() < 0.5, rng.choice([None, None, 5])
    if rng.random() < 0.5:
        return nn.AvgPool2d(kernel, stride, padding, ceil, counted, divisor)
    return Network(
        lambda self, x: F.avg_pool2d(
            x, kernel, stride, padding, count_include_pad=counted, ceil_mode=ceil,
            divisor_override=divisor,
        )
    )  # fmt: skip


def unknown(rng: random.Random, channels: int, size: tuple[int, int]) -> nn.Module:
    """A block that whole maps are needed for."""
    return rng.choice(
        [
            nn.InstanceNorm2d(channels, affine=True),
            ChannelsLastNorm(channels),
            SqueezeExcite(channels),
            Other(rng.choice(["softmax", "size", "roll", "chunk"])),
            nn.Upsample(scale_factor=2, mode=rng.choice(["nearest", "bilinear"])),
            nn.ConvTranspose2d(channels, channels, 2, stride=2),
            nn.GroupNorm(1, channels),
            nn.AdaptiveAvgPool2d((2, 3)),
            Positional(channels, size),
        ]
    )


def block(rng: random.Random, channels: int, size: tuple[int, int], whole: bool) -> nn.Module:
    if whole:
        return unknown(rng, channels, size)
    kind = rng.choice("conv conv conv act pool norm residual dense branch shared constants".split())
    if kind == "conv":
        return nn.Sequential(convolution(rng, channels), activation(rng))
    if kind == "act":
        return activation(rng)
    if kind == "pool":
        return pooling(rng)
    if kind == "norm":
        return nn.BatchNorm2d(channels)
    if kind == "residual":
        ways = ["operator", "in place", "method", "alpha", "difference", "all in place"]
        return Residual(channels, rng.choice(ways))
    if kind == "dense":
        return Dense(channels, rng.randint(1, 3), 3)
    if kind == "branch":
        return Branches(channels, rng.choice(["gate", "twice", "sum", "side by side"]))
    if kind == "shared":
        return rng.choice([SharedNorm, SharedConv])(channels)
    ways = ["parameters", "numbers", "scalar tensor", "in place", "sum of constants"]
    return Constants(channels, rng.choice(ways))


def head(rng: random.Random, shape: torch.Size) -> nn.Module:
    _, channels, height, width = shape
    linear = nn.Linear(channels, LABELS)
    ways: list[Block] = [
        lambda x: x.mean((2, 3)),
        lambda x: torch.mean(x, dim=(-1, -2), keepdim=True).flatten(1),
        lambda x: F.adaptive_avg_pool2d(x, (1, 1)).flatten(1),
        lambda x: x.mean([2, 3], keepdim=True).squeeze(3).squeeze(2),
        lambda x: x.amax((2, 3)),
    ]
    which = rng.randrange(len(ways) + 3)
    if which < len(ways):
        return Network(lambda self, x: self.linear(ways[which](x)), linear=linear)
    if which == len(ways):
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, LABELS, 1), nn.Flatten())
    if which == len(ways) + 1:
        return nn.Sequential(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), linear)
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, LABELS))


def random_network(
    seed: int, channels: int, size: tuple[int, int], depth: int, unknown_at: int | None = None
) -> nn.Module:
    """A network of so many blocks for images of a size; one of them unknown, where asked for."""
    rng = random.Random(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        image = torch.rand(2, channels, *size)
        blocks: list[nn.Module] = []
        while len(blocks) < depth:
            shape = _output(blocks, image).shape
            made = block(rng, shape[1], (shape[2], shape[3]), len(blocks) == unknown_at)
            try:
                output = _output([*blocks, made], image)
            except (RuntimeError, ValueError):  # a kernel larger than the map, for one
                continue
            # A dilated maximum may be over padding alone: the network itself is then not finite.
            small = output.shape[1] <= 24 and max(output.shape[2:]) <= 48
            if small and output.isfinite().all():
                blocks.append(made)
        return nn.Sequential(*blocks, head(rng, _output(blocks, image).shape))


def _output(blocks: list[nn.Module], image: Tensor) -> Tensor:
    with torch.no_grad():
        return nn.Sequential(*blocks).eval()(image)
