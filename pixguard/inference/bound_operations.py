"""What each operation of a network makes of affine values."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torchvision.transforms import Normalize

from pixguard.inference.affine import (
    LOWEST,
    Affine,
    Errors,
    UnboundedError,
    activated,
    larger,
    largest,
    product,
    rectified,
)
from pixguard.inference.geometry import Slide
from pixguard.inference.operations import Operation, Shape, recognise_pooling

Values = Mapping[fx.Node, Any]
Call = Callable[[Values], Any]


POSITIVE = {
    "flatten", "view", "reshape", "squeeze", "unsqueeze", "cat", "concat", "mean", "contiguous",
    "permute", "transpose", "adaptive_avg_pool2d", "avg_pool2d", "dropout", "dropout2d", "clone",
    "roll", "flip",
}  # fmt: skip
POSITIVE_MODULES = (
    nn.Flatten, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Identity, nn.Dropout, nn.Dropout2d,
    nn.AlphaDropout,
)  # fmt: skip
"""What only moves values, or takes their mean."""

_STEEPEST = {
    "leaky_relu": 1.0, "relu6": 1.0, "elu": 1.0, "celu": 1.0, "selu": 1.76, "gelu": 1.13,
    "silu": 1.1, "mish": 1.09, "sigmoid": 0.25, "tanh": 1.0, "hardswish": 1.5, "hardsigmoid": 0.17,
    "hardtanh": 1.0, "softplus": 1.0, "clamp": 1.0, "abs": 1.0, "prelu": 1.0,
}  # fmt: skip
"""How fast an activation changes at most, with its default parameters."""

_OPERATORS = {"truediv": "div", "concat": "cat", "relu_": "relu"}


def name_of(node: fx.Node, module: nn.Module | None) -> str:
    """Return the plain name of what a node does."""
    if module is not None:
        return type(module).__name__.lower()
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return _OPERATORS.get(name, name)


def convolved(module: nn.Conv2d, value: Affine, *, padded: bool = True) -> Affine:
    """Return a convolution of a value, ``padded`` as the module says or not at all."""

    def apply(part: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not padded:
            return F.conv2d(part, weight, bias, module.stride, 0, module.dilation, module.groups)
        found: Tensor = module._conv_forward(part, weight, bias)
        return found

    slopes = apply(torch.cat(value.slopes), module.weight, None).chunk(len(value.slopes))
    return Affine(
        apply(value.centre, module.weight, module.bias),
        tuple(slopes),
        apply(value.radius, module.weight.abs(), None),
    )


def pooled(
    node: fx.Node,
    module: nn.Module | None,
    value: Affine,
    operation: Operation | None,
    shape: Shape,
    errors: Errors,
) -> Affine:
    """Return the maxima over patches (M, C, T, U) of a value, or over its whole maps.

    Args:
        node: of a traced graph, a pooling by maximum.
        module: what it calls, where it calls a module.
        value: what is pooled.
        operation: how the node is computed on patches; None: on whole maps.
        shape: of the node with one image.
        errors: takes those of relaxations.
    """
    sliding = recognise_pooling(node, module)
    assert sliding is not None
    axes = (sliding.rows, sliding.cols)
    if operation is None:
        value = _padded(axes, value, shape)
    taps = [
        [
            slice(first, first + axis.stride * (axis.outputs(size) - 1) + 1, axis.stride)
            for first in range(0, axis.kernel * axis.dilation, axis.dilation)
        ]
        for axis, size in zip(axes, value.centre.shape[2:], strict=True)
    ]
    return largest(value, [(row, col) for row in taps[0] for col in taps[1]], errors)


def _padded(axes: tuple[Slide, Slide], value: Affine, shape: Shape) -> Affine:
    """Return whole maps as patches that give whole maps of a shape."""
    rows, cols = (
        (axis.padding, axis.span(wanted) - size - axis.padding)
        for axis, size, wanted in zip(axes, value.centre.shape[2:], shape[2:], strict=True)
    )
    around = (*cols, *rows)
    return Affine(
        F.pad(value.centre, around, value=LOWEST),
        tuple(F.pad(slope, around) for slope in value.slopes),
        F.pad(value.radius, around),
    )


def relaxed(
    node: fx.Node,
    module: nn.Module | None,
    values: Values,
    call: Call,
    errors: Errors,
) -> Any:
    """Return what a node makes of affine values, place by place or in whole maps.

    Args:
        node: of a traced graph.
        module: what it calls, where it calls a module.
        values: of the nodes before it.
        call: computes the node from plain tensors in the place of affine values.
        errors: takes those of relaxations.

    Raises:
        UnboundedError: no bound is known for what the node does.
    """
    affine = [n for n in node.all_input_nodes if isinstance(values[n], Affine)]
    if not affine:
        return call(values)
    if node.op == "output":
        return values[affine[0]]
    name, first = name_of(node, module), values[affine[0]]

    def with_part(part: int) -> Any:
        return call({**values, **{n: values[n].parts[part] for n in affine}})

    def alone(given: Tensor) -> Any:
        return call({**values, affine[0]: given})

    if name in ("size", "dim") or (name == "getattr" and node.args[1] == "shape"):
        return alone(first.centre)
    if isinstance(module, nn.Conv2d):
        return convolved(module, first)
    if isinstance(module, nn.Linear):
        slopes = tuple(F.linear(s, module.weight) for s in first.slopes)
        return Affine(alone(first.centre), slopes, F.linear(first.radius, module.weight.abs()))
    if isinstance(module, nn.BatchNorm2d | Normalize):
        return first.scaled(scale_of(module, first.centre)).moved(alone(first.centre))
    if isinstance(module, POSITIVE_MODULES) or (module is None and name in POSITIVE):
        parts = [with_part(part) for part in range(len(first.parts))]
        return Affine(parts[0], tuple(parts[1:-1]), parts[-1])
    if name == "relu":
        return rectified(first, errors)
    if name in ("add", "sub", "mul", "div", "neg", "maximum", "minimum"):
        return _arithmetic(name, node, values, call, errors)
    if name in _STEEPEST and len(affine) == 1:
        return activated(first, alone, _steepest(name, node, module), errors)
    raise UnboundedError(f"no bound is known for {name or node.target}")


def scale_of(module: nn.Module, like: Tensor) -> Tensor:
    """Return by what a normalisation multiplies each channel (C, 1, 1), of the type of ``like``.

    Raises:
        UnboundedError: it mixes the images of a batch.
    """
    if isinstance(module, nn.BatchNorm2d):
        if module.running_var is None:
            raise UnboundedError("a normalisation by the batch mixes its images")
        scale = (module.running_var + module.eps).rsqrt()
        scale = scale if module.weight is None else scale * module.weight
    else:
        scale = 1 / torch.as_tensor(module.std, dtype=like.dtype, device=like.device)
    return scale.view(-1, 1, 1)


def _steepest(name: str, node: fx.Node, module: nn.Module | None) -> float:
    """Return how fast an activation changes at most.

    Raises:
        UnboundedError: it has parameters that this does not know.
    """
    if isinstance(module, nn.PReLU):
        return max(1.0, float(module.weight.abs().max()))
    if isinstance(module, nn.LeakyReLU):
        return max(1.0, abs(module.negative_slope))
    if isinstance(module, nn.ELU) and module.alpha > 1:
        return module.alpha
    if module is None and name == "leaky_relu":
        given = node.kwargs.get("negative_slope", node.args[1] if len(node.args) > 1 else 0.01)
        if not isinstance(given, int | float):
            raise UnboundedError("no bound is known for a slope that is computed")
        return max(1.0, abs(given))
    if module is None and name == "elu" and (len(node.args) > 1 or node.kwargs.get("alpha")):
        raise UnboundedError("no bound is known for elu with an alpha of its own")
    return _STEEPEST[name]


def _arithmetic(name: str, node: fx.Node, values: Values, call: Call, errors: Errors) -> Affine:
    given: list[Any] = [values[a] if isinstance(a, fx.Node) else a for a in node.args]
    alpha = node.kwargs.get("alpha", 1)
    if set(node.kwargs) - {"alpha"} or not isinstance(alpha, int | float):
        raise UnboundedError(f"no bound is known for {name} with {', '.join(node.kwargs)}")
    if name == "neg":
        negated: Affine = given[0].scaled(-1.0)
        return negated
    one, other = given
    if isinstance(one, Affine) and isinstance(other, Affine):
        if name in ("add", "sub"):
            return one.plus(other, alpha if name == "add" else -alpha)
        if name == "mul":
            return product(one, other, errors)
        if name == "maximum":
            return larger(one, other, errors)
        if name == "minimum":
            return larger(one.scaled(-1.0), other.scaled(-1.0), errors).scaled(-1.0)
        raise UnboundedError("no bound is known for a quotient of two maps")
    value, constant = (one, other) if isinstance(one, Affine) else (other, one)
    is_first = value is one
    if name in ("add", "sub"):
        ways = {("add", True): 1.0, ("add", False): alpha, ("sub", True): 1.0,
                ("sub", False): -alpha}  # fmt: skip
        plain = {n: v.centre if isinstance(v, Affine) else v for n, v in values.items()}
        return value.scaled(float(ways[name, is_first])).moved(call(plain))
    if name == "mul":
        return value.scaled(constant)
    if name == "div" and is_first:
        return value.scaled(1 / constant)
    if isinstance(constant, int | float) and math.isfinite(constant):
        constant = torch.full_like(value.centre, constant)
    if name in ("maximum", "minimum") and isinstance(constant, Tensor):
        zeros = torch.zeros_like(value.centre)
        fixed = Affine(zeros + constant, tuple(zeros for _ in value.slopes), zeros)
        sign = 1.0 if name == "maximum" else -1.0
        return larger(value.scaled(sign), fixed.scaled(sign), errors).scaled(sign)
    raise UnboundedError(f"no bound is known for {name} with these operands")
