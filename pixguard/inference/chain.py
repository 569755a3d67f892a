"""Networks that are a chain: convolutions with rectifiers and maxima, then a mean, then logits."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from pixguard.inference.bound_operations import name_of
from pixguard.inference.operations import GlobalMean, has_hooks, recognise, recognise_pooling
from pixguard.inference.tracing import Graph

MOST = 1 << 25
"""Numbers that may be made for a pixel: 128 MiB."""
IDLE = (nn.Identity, nn.Dropout, nn.Dropout2d)
"""What does nothing in evaluation mode."""
BEFORE = {"sub", "div", "add", "mul", "normalize"}
"""What may come before the first convolution: affine in the image, channel by channel."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution, its rectifier, and the maxima over squares that may follow.

    Attributes:
        node: the convolution's.
        weight: (C', C, k, l); it moves by one place at a time.
        turned: (C, C', k, l), that of the way back.
        padding: rows and columns of zeros around its input.
        pool: the side of the squares; 1: no maxima.
    """

    node: fx.Node
    weight: Tensor
    turned: Tensor
    padding: tuple[int, int]
    pool: int


@dataclass(frozen=True, slots=True)
class Clean:
    """A layer's maps of a clean image, (H, W, C): before its rectifier, and at its end."""

    before: Tensor
    after: Tensor


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A clean image (C, H, W), each layer's maps, and the logits (L,)."""

    image: Tensor
    layers: tuple[Clean, ...]
    logits: Tensor


@dataclass(frozen=True, slots=True)
class Chain:
    """A network as layers and what follows them.

    Attributes:
        layers: in order.
        scale: (C,), by how much the first one's input changes with the image's channels.
        head: (L, H, W, C), what each value of the last layer adds to the logits.
        numbers: of what is made for a pixel, about.
    """

    layers: tuple[Layer, ...]
    scale: Tensor
    head: Tensor
    numbers: int

    def clean(self, graph: Graph, image: Tensor) -> Cleaned:
        """Return what the classifier's own operations make of an image, float32 (C, H, W)."""
        values: dict[fx.Node, Any] = {}
        graph.run(image[None], values.__setitem__)
        layers = []
        for layer in self.layers:
            before = values[layer.node].float()
            after = F.max_pool2d(before.clamp(min=0), layer.pool)
            layers.append(Clean(*(m[0].permute(1, 2, 0).contiguous() for m in (before, after))))
        return Cleaned(image, tuple(layers), values[graph.nodes[-1]][0].float())


def find_chain(
    graph: Graph, shapes: dict[fx.Node, tuple[int, ...]], constants: dict[fx.Node, Any]
) -> Chain | None:
    """Return a traced classifier as a chain, with nodes' shapes for one image; None: it is none."""
    (node,) = (n for n in shapes if n.op == "placeholder")
    path = [node]
    while node.op != "output":
        if len(node.users) != 1:
            return None
        (node,) = node.users
        path.append(node)
    if any(n not in path for n in shapes if shapes[n] != () and n.op != "output"):
        return None
    return _Walk(graph, shapes, constants).along(path)


class _Walk:
    def __init__(
        self, graph: Graph, shapes: dict[fx.Node, tuple[int, ...]], constants: dict[fx.Node, Any]
    ) -> None:
        self._graph, self._shapes, self._constants = graph, shapes, constants
        self._layers: list[Layer] = []

    def along(self, path: list[fx.Node]) -> Chain | None:
        modules = {
            n: self._graph.modules[str(n.target)] if n.op == "call_module" else None for n in path
        }
        if any(m is not None and has_hooks(m) for m in modules.values()):
            return None
        left = [n for n in path[1:-1] if not isinstance(modules[n], IDLE)]
        before: list[fx.Node] = []
        while left and self._is_affine(left[0], [path[0], *before][-1], modules):
            before.append(left.pop(0))
        while len(left) > 1 and isinstance(modules[left[0]], nn.Conv2d):
            node, rectifier = left[:2]
            if name_of(rectifier, modules[rectifier]) != "relu":
                return None
            pool = self._pool(left[2], modules[left[2]]) if len(left) > 2 else 1
            layer = self._layer(node, modules[node], pool)
            if layer is None:
                return None
            self._layers.append(layer)
            left = left[2 if pool == 1 else 3 :]
        head = self._head(left, modules)
        if head is None or not self._layers or _numbers(self._layers) > MOST:
            return None
        scale = self._scale(before, path[0])
        if scale is None:
            return None
        return Chain(tuple(self._layers), scale, head, _numbers(self._layers))

    @staticmethod
    def _is_affine(node: fx.Node, before: fx.Node, modules: dict[fx.Node, Any]) -> bool:
        """Tell whether a node makes of each value a constant part and a constant times it."""
        return (
            name_of(node, modules[node]) in BEFORE
            and node.args[0] is before
            and before not in (*node.args[1:], *node.kwargs.values())
        )

    def _pool(self, node: fx.Node, module: nn.Module | None) -> int:
        found = recognise_pooling(node, module)
        if found is None or found.fill != "lowest":
            return 1
        rows, cols = found.rows, found.cols
        plain = rows.padding == 0 and rows.dilation == 1 and rows.kernel == rows.stride
        before = self._shapes[node.all_input_nodes[0]][2:]
        sides = [(side - rows.kernel) // rows.stride + 1 for side in before]
        if rows != cols or not plain or sides != list(self._shapes[node][2:]):
            return 0
        return rows.kernel

    def _layer(self, node: fx.Node, module: Any, pool: int) -> Layer | None:
        plain = module.stride == module.dilation == (1, 1) and module.groups == 1
        if pool == 0 or not plain or module.padding_mode != "zeros":
            return None
        padding = module.padding
        if padding == "valid":
            padding = (0, 0)
        if isinstance(padding, str) or any(
            p >= k for p, k in zip(padding, module.kernel_size, strict=True)
        ):
            return None
        weight = module.weight.float()
        turned = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)
        return Layer(node, weight, turned, padding, pool)

    def _head(self, left: list[fx.Node], modules: dict[fx.Node, Any]) -> Tensor | None:
        if not left or not isinstance(modules[left[-1]], nn.Linear):
            return None
        last, weight = left[0].all_input_nodes[0], modules[left[-1]].weight.float()
        assert isinstance(weight, Tensor)
        _, channels, height, width = self._shapes[last]
        mean = False
        for node in left[:-1]:
            if isinstance(
                recognise(node, modules[node], self._shapes, self._constants), GlobalMean
            ):
                mean = True
            elif name_of(node, modules[node]) != "flatten" or self._shapes[node][1:] != (
                channels * (1 if mean else height * width),
            ):
                return None
        if mean:
            return (weight / (height * width))[:, None, None].expand(-1, height, width, -1)
        return weight.view(-1, channels, height, width).permute(0, 2, 3, 1)

    def _scale(self, before: list[fx.Node], image: fx.Node) -> Tensor | None:
        def at(value: float) -> Tensor:
            given = {**self._constants, image: torch.full(self._shapes[image], value)}
            given[image] = given[image].to(self._layers[0].weight.device).double()
            for node in before:
                given[node] = self._graph.call(node, given)
            found: Tensor = given[before[-1] if before else image]
            return found[0]

        scale = (at(1.0) - at(0.0)).float()
        is_even = scale.shape[0] == self._shapes[image][1] and bool(
            (scale == scale[:, :1, :1]).all()
        )
        return scale[:, 0, 0] if is_even else None


def _numbers(layers: list[Layer]) -> int:
    """Return how many numbers say how errors of each layer's values reach the later ones."""
    side, total, before, last = (1, 1), 0, 0, 0
    for layer in layers:
        sizes = zip(side, layer.weight.shape[2:], strict=True)
        rows, cols = (-(-(size + kernel - 2) // layer.pool) + 1 for size, kernel in sizes)
        side, units = (rows, cols), rows * cols * len(layer.weight)
        if layer.pool > 1:
            total += 2 * layer.pool**2 * (before + last) * units
        elif layer is not layers[-1]:
            total += (before + last) * units
        else:
            total += before * units
        before, last = before + last, units
    return total
