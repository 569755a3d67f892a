"""What is computed of each layer for a candidate: a window, or the whole map.

Made once for a classifier, a size and a number of pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn

from pixguard.inference.geometry import Windows
from pixguard.inference.operations import (
    GlobalMean,
    Operation,
    Resampling,
    Shape,
    Sliding,
    recognise,
)
from pixguard.inference.tracing import Graph

Place = tuple[Windows, Windows]
"""The windows of a map: of its rows, of its columns."""

WHOLE_FROM = 0.9
"""The share of a map from which on all of it is computed: windows need halos, whole maps do not."""


@dataclass(frozen=True, slots=True)
class Gather:
    """Patches of a map, put together from the clean map and the candidate's windows in it.

    Attributes:
        rows: int64 (P, T), the rows of the patch for each row of a changed pixel, or OUTSIDE.
        cols: int64 (P, U), likewise.
        whole: whether it is the whole map, once a candidate, and not a patch for every pixel.
        fill: what is taken outside.
    """

    rows: Tensor
    cols: Tensor
    whole: bool = False
    fill: Literal["zero", "lowest"] = "zero"

    def elements(self, pixels: int) -> int:
        """Return how many places a candidate's patches have."""
        return (1 if self.whole else pixels) * self.rows.shape[1] * self.cols.shape[1]


@dataclass(frozen=True, slots=True)
class Step:
    """How one node is computed for candidates.

    Attributes:
        node: of the graph.
        operation: how it is computed on windows; None: the node itself, on whole maps.
        place: the windows that it gives; None: the whole map (or what is no map).
        gathers: for each of its inputs that is not taken as it is.
        divisors: of an average pooling that is uneven at the edges: float64 (P, t) and (P, u), by
            what its sums are divided, for each row and column of a changed pixel.
    """

    node: fx.Node
    operation: Operation | None
    place: Place | None
    gathers: dict[fx.Node, Gather]
    divisors: tuple[Tensor, Tensor] | None = None


@dataclass(slots=True)
class Plan:
    """The steps that lead from changed pixels to logits.

    Attributes:
        steps: in order.
        places: the windows of every node that is computed in windows.
        sources: the nodes whose clean maps are needed.
        share: the part of the dense network's multiply-adds that remains.
    """

    steps: list[Step] = field(default_factory=list)
    places: dict[fx.Node, Place] = field(default_factory=dict)
    sources: set[fx.Node] = field(default_factory=set)
    share: float = 1.0

    def elements(self, shapes: Mapping[fx.Node, Shape], pixels: int) -> tuple[int, int]:
        """Return how many numbers a candidate needs room for, and how many a slot.

        A candidate's are its windows that are kept, and twice the largest step with its input.
        """
        windows, slots = self.kept(self.sources, shapes, pixels)
        steps = [
            (
                torch.Size(shapes[step.node]).numel()
                if step.place is None
                else pixels * step.place[0].size * step.place[1].size * shapes[step.node][1]
            )
            + sum(g.elements(pixels) * shapes[node][1] for node, g in step.gathers.items())
            for step in self.steps
        ]
        return windows + 2 * max(steps), slots

    def kept(
        self, nodes: set[fx.Node], shapes: Mapping[fx.Node, Shape], pixels: int
    ) -> tuple[int, int]:
        """Return how many numbers of some sources a candidate's windows are, and a slot's maps."""
        windows = sum(
            pixels * self.places[node][0].size * self.places[node][1].size * shapes[node][1]
            for node in nodes
        )
        return windows, sum(torch.Size(shapes[node]).numel() for node in nodes)

    def last_uses(self) -> dict[fx.Node, list[fx.Node]]:
        """Return for each step's node the nodes whose values no later step needs."""
        last = {n: step.node for step in self.steps for n in step.node.all_input_nodes}
        done: dict[fx.Node, list[fx.Node]] = {step.node: [] for step in self.steps}
        for node, user in last.items():
            done[user].append(node)
        return done


def make_plan(
    graph: Graph,
    shapes: Mapping[fx.Node, Shape],
    constants: Mapping[fx.Node, Any],
    pixels: int,
    whole_from: float = WHOLE_FROM,
    within: tuple[Tensor, Tensor] | None = None,
) -> Plan:
    """Return the plan for candidates that change that many pixels.

    Args:
        graph: a traced classifier.
        shapes: of every node that depends on the image, with one image; () for what is no tensor.
        constants: the values of the other nodes.
        pixels: how many pixels a candidate changes.
        whole_from: the share of a map from which on all of it is computed.
        within: see :meth:`Windows.of_pixels`: for rows and for columns; None: all places.
    """
    plan = Plan()
    dense = remaining = 0.0
    for node in (n for n in graph.nodes if n in shapes):
        if node.op == "placeholder":
            sides = zip(shapes[node][2:], within or (None, None), strict=True)
            rows, cols = (Windows.of_pixels(extent, held) for extent, held in sides)
            plan.places[node] = (rows, cols)
            continue
        module = graph.modules[str(node.target)] if node.op == "call_module" else None
        operation = recognise(node, module, shapes, constants)
        step = _step(node, operation, shapes, plan, pixels, whole_from)
        plan.steps.append(step)
        plan.sources |= step.gathers.keys()
        if step.place is not None:
            plan.places[node] = step.place
        cost = multiply_adds(module, shapes[node])
        dense += cost
        remaining += cost * _part(step, shapes[node], pixels)
    plan.share = remaining / dense if dense else 1.0
    return plan


def _step(
    node: fx.Node,
    operation: Operation | None,
    shapes: Mapping[fx.Node, Shape],
    plan: Plan,
    pixels: int,
    whole_from: float,
) -> Step:
    inputs = [n for n in node.all_input_nodes if n in shapes]
    if operation is not None and all(n in plan.places for n in inputs):
        if isinstance(operation, GlobalMean):
            (rows, cols) = plan.places[inputs[0]]
            own = Gather(rows.coordinates(), cols.coordinates())
            return Step(node, operation, None, {inputs[0]: own})
        place = _reached(operation, [plan.places[n] for n in inputs], shapes[node])
        if _share(place, shapes[node], pixels) < whole_from:
            gathers = {
                n: gather
                for n in inputs
                if (gather := _needed(operation, plan.places[n], place, shapes[n])) is not None
            }
            (source,) = inputs[:1]
            divisors = _divisors(operation, place, shapes[node], shapes[source])
            return Step(node, operation, place, gathers, divisors)
    return Step(node, None, None, {n: whole(shapes[n]) for n in inputs if n in plan.places})


def _reached(operation: Operation, places: list[Place], shape: Shape) -> Place:
    if isinstance(operation, Sliding | Resampling):
        ((rows, cols),) = places
        return operation.rows.reach(rows, shape[2]), operation.cols.reach(cols, shape[3])
    rows, cols = places[0]
    for other_rows, other_cols in places[1:]:
        rows, cols = rows.joined(other_rows), cols.joined(other_cols)
    return rows, cols


def _needed(operation: Operation, have: Place, want: Place, shape: Shape) -> Gather | None:
    """Return the patches of an input that give an output's windows; None: its windows do."""
    if isinstance(operation, Sliding | Resampling):
        return Gather(
            operation.rows.needed(want[0], shape[2]),
            operation.cols.needed(want[1], shape[3]),
            fill=operation.fill if isinstance(operation, Sliding) else "zero",
        )
    if all(a.same_as(b) for a, b in zip(have, want, strict=True)):
        return None
    return Gather(want[0].coordinates(), want[1].coordinates())


def _divisors(
    operation: Operation, place: Place, shape: Shape, shape_in: Shape
) -> tuple[Tensor, Tensor] | None:
    if not isinstance(operation, Sliding) or operation.average is None:
        return None
    rows = operation.rows.counted(shape[2], shape_in[2], operation.average)
    cols = operation.cols.counted(shape[3], shape_in[3], operation.average)
    return rows[place[0].coordinates()], cols[place[1].coordinates()]


def whole(shape: Shape) -> Gather:
    """Return what gathers whole maps."""
    height, width = shape[2:]
    return Gather(torch.arange(height)[None], torch.arange(width)[None], whole=True)


def _share(place: Place, shape: Shape, pixels: int) -> float:
    return pixels * place[0].size * place[1].size / (shape[2] * shape[3])


def _part(step: Step, shape: Shape, pixels: int) -> float:
    return 1.0 if step.place is None else _share(step.place, shape, pixels)


def multiply_adds(module: nn.Module | None, shape: Shape) -> float:
    """Return the multiply-adds of a convolution or linear layer with an output shape; else 0."""
    if not isinstance(module, nn.Conv2d | nn.Linear):
        return 0.0
    return float(torch.Size(shape).numel() * module.weight[0].numel())
