"""How the operations of a network treat the places of its maps."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torchvision.transforms import Normalize

from pixguard.classifiers.resizing import Resize, resampling_matrix
from pixguard.inference.geometry import PaddingMode, Slide
from pixguard.inference.resampling import Weights

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sliding:
    """An operation that computes each place from a patch around it.

    Attributes:
        rows, cols: how it moves.
        fill: what padding is made of.
        apply: maps patches (M, C, T, U) to windows (M, C', t, u), without padding.
        average: of an average pooling whose divisor is not the same everywhere: whether padding
            counts. ``apply`` then gives sums.
    """

    rows: Slide
    cols: Slide
    fill: Literal["zero", "lowest"]
    apply: Callable[[Tensor], Tensor]
    average: bool | None = None


@dataclass(frozen=True, slots=True)
class Pointwise:
    """An operation that computes each place from that place alone, of one or more maps."""


@dataclass(frozen=True, slots=True)
class GlobalMean:
    """The mean over all places; ``keepdim`` as in torch."""

    keepdim: bool


@dataclass(frozen=True, slots=True)
class Resampling:
    """A resize: each place is a weighted sum over a patch, with weights of its own."""

    rows: Weights
    cols: Weights


Operation = Sliding | Pointwise | GlobalMean | Resampling

_POINTWISE_MODULES = (
    nn.BatchNorm2d, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU,
    nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Softplus,
    nn.Identity, nn.Dropout, nn.Dropout2d, nn.AlphaDropout, Normalize,
)  # fmt: skip
_POINTWISE_FUNCTIONS = {
    torch.relu, F.relu, F.relu6, F.leaky_relu, F.elu, F.selu, F.celu, F.gelu, F.silu, F.mish,
    F.sigmoid, F.tanh, F.hardswish, F.hardsigmoid, F.hardtanh, F.softplus, F.dropout, F.dropout2d,
    torch.sigmoid, torch.tanh, torch.clamp, torch.neg, operator.neg, torch.abs,
    torch.add, torch.sub, torch.mul, torch.div, torch.maximum, torch.minimum,
    operator.add, operator.sub, operator.mul, operator.truediv,
}  # fmt: skip
_POINTWISE_METHODS = {"relu", "sigmoid", "tanh", "clamp", "neg", "abs", "add", "sub", "mul", "div"}


def concatenated(node: fx.Node) -> tuple[fx.Node, ...] | None:
    """Return what a concatenation along the channels is made of, or None for other nodes."""
    if node.target not in (torch.cat, torch.concat) or not isinstance(node.args[0], list | tuple):
        return None
    dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
    parts = tuple(node.args[0])
    return parts if dim in (1, -3) and all(isinstance(p, fx.Node) for p in parts) else None


def recognise(
    node: fx.Node,
    module: nn.Module | None,
    shapes: Mapping[fx.Node, Shape],
    constants: Mapping[fx.Node, Any],
) -> Operation | None:
    """Return how a node treats the places of its maps; None where that is not known.

    Args:
        node: of a traced graph.
        module: what it calls, where it calls a module.
        shapes: of the nodes that depend on the image, with one image; () for what is no tensor.
        constants: the values of the others.
    """
    inputs = [n for n in node.all_input_nodes if n in shapes]
    if not inputs or any(len(shapes[n]) != 4 for n in inputs):
        return None
    if module is not None and has_hooks(module):
        return None  # they want to see whole maps
    if isinstance(module, nn.Conv2d):
        return _convolution(module)
    if isinstance(module, Resize):
        sides = zip(shapes[inputs[0]][2:], shapes[node][2:], strict=True)
        return Resampling(*(Weights(resampling_matrix(*side)) for side in sides))
    other = recognise_pooling(node, module) or _global_mean(node, module)
    if other is not None:
        return other
    even = all(_is_even(constants[n]) for n in node.all_input_nodes if n not in shapes)
    # Maps of other sizes would be stretched over the places.
    aligned = all(shapes[n][2:] == shapes[node][2:] for n in inputs)
    return Pointwise() if even and aligned and _is_pointwise(node, module) else None


def has_hooks(module: nn.Module) -> bool:
    """Tell whether a module does more in a call than its type says."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _is_even(constant: Any) -> bool:
    """Tell whether a constant operand is the same at every place."""
    if isinstance(constant, Tensor):
        return constant.numel() == 1 or constant.shape[-2:] == (1, 1)
    return isinstance(constant, int | float)


def _is_pointwise(node: fx.Node, module: nn.Module | None) -> bool:
    if isinstance(module, nn.BatchNorm2d):
        return module.track_running_stats  # else it mixes the images of a batch
    return (
        isinstance(module, _POINTWISE_MODULES)
        or (node.op == "call_function" and node.target in _POINTWISE_FUNCTIONS)
        or (node.op == "call_method" and node.target in _POINTWISE_METHODS)
        or concatenated(node) is not None
    )


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _slides(
    kernel: Any, stride: Any, padding: Any, dilation: Any = 1, mode: PaddingMode = "zeros"
) -> tuple[Slide, Slide]:
    sizes = zip(_pair(kernel), _pair(stride), _pair(padding), _pair(dilation), strict=True)
    rows, cols = (Slide(*size, mode=mode) for size in sizes)
    return rows, cols


def _convolution(module: nn.Conv2d) -> Operation | None:
    padding: Any = module.padding
    if padding == "valid":
        padding = 0
    elif padding == "same":
        spans = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        if any(span % 2 for span in spans):
            return None  # padded on one side more than on the other
        padding = tuple(span // 2 for span in spans)
    rows, cols = _slides(
        module.kernel_size, module.stride, padding, module.dilation, module.padding_mode
    )
    if rows == cols == Slide(1):
        return Pointwise()

    def apply(patches: Tensor) -> Tensor:
        return F.conv2d(
            patches.to(module.weight.dtype), module.weight, module.bias, module.stride, 0,
            module.dilation, module.groups,
        )  # fmt: skip

    return Sliding(rows, cols, "zero", apply)


def _arguments(node: fx.Node, module: nn.Module | None, names: tuple[str, ...]) -> dict[str, Any]:
    if module is not None:
        return {name: getattr(module, name) for name in names if hasattr(module, name)}
    return {**dict(zip(names, node.args[1:], strict=False)), **node.kwargs}


def recognise_pooling(node: fx.Node, module: nn.Module | None) -> Sliding | None:
    """Return how a pooling moves; None for other nodes, and for one that tells where it found."""
    if isinstance(module, nn.MaxPool2d) or node.target in (F.max_pool2d, torch.max_pool2d):
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
        given = _arguments(node, module, names)
        if given.get("return_indices"):
            return None
        kernel, dilation = given["kernel_size"], given.get("dilation", 1)
        stride = given.get("stride") or kernel
        rows, cols = _slides(kernel, stride, given.get("padding", 0), dilation)
        return Sliding(
            rows, cols, "lowest",
            lambda patches: F.max_pool2d(patches, kernel, stride, 0, dilation),
        )  # fmt: skip
    if isinstance(module, nn.AvgPool2d) or node.target in (F.avg_pool2d, torch._C._nn.avg_pool2d):
        names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad",
                 "divisor_override")  # fmt: skip
        given = _arguments(node, module, names)
        kernel, padding = given["kernel_size"], given.get("padding", 0)
        stride = given.get("stride") or kernel
        divisor, ceil = given.get("divisor_override"), given.get("ceil_mode", False)
        counts_padding = given.get("count_include_pad", True)
        uneven = divisor is None and (ceil or (padding not in (0, (0, 0)) and not counts_padding))
        rows, cols = _slides(kernel, stride, padding)
        override = 1 if uneven else divisor
        return Sliding(
            rows, cols, "zero",
            lambda patches: F.avg_pool2d(patches, kernel, stride, divisor_override=override),
            average=counts_padding if uneven else None,
        )  # fmt: skip
    return None


def _global_mean(node: fx.Node, module: nn.Module | None) -> GlobalMean | None:
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return GlobalMean(True) if module.output_size in (1, (1, 1)) else None
    if node.target in (F.adaptive_avg_pool2d, torch._C._nn.adaptive_avg_pool2d):
        size = _arguments(node, None, ("output_size",))["output_size"]
        return GlobalMean(True) if size in (1, (1, 1), [1, 1]) else None
    if node.target in ("mean", torch.mean):
        given = _arguments(node, None, ("dim", "keepdim"))
        dims = given.get("dim")
        if isinstance(dims, list | tuple) and sorted(d % 4 for d in dims) == [2, 3]:
            return GlobalMean(bool(given.get("keepdim", False)))
    return None
