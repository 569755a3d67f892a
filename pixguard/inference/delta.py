"""The incremental evaluator: of each layer, only the window that a changed pixel can reach.

The classifier runs once on the clean image and its feature maps are kept. For a candidate, every
layer computes the window that the changed pixels influence, from a patch that is put together from
the clean map and the windows of the layer before; where the windows cover most of a map, the rest
of the network runs on whole maps. Exact up to the rounding of sums in another order.

Every changed pixel has its own window, also where they overlap: each holds the right values,
because patches are cut from the clean map with all windows of the candidate in it.
"""

import operator
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.errors import is_out_of_memory
from pixguard.inference.batches import fixed_shape
from pixguard.inference.captured import Captured
from pixguard.inference.form import Execution, Form
from pixguard.inference.matrices import MapMatrix
from pixguard.inference.operations import (
    GlobalMean,
    Resampling,
    Shape,
    Sliding,
    concatenated,
)
from pixguard.inference.patches import Changed, Source
from pixguard.inference.plan import WHOLE_FROM, Plan, Step, make_plan
from pixguard.inference.resampling import resample
from pixguard.inference.tracing import Graph

Values = dict[fx.Node, Any]


class NotTraceableError(Exception):
    """The classifier's path depends on its data: no graph can stand for it."""


class DeltaEvaluator:
    """Evaluates candidates by what their changed pixels can reach, in batches of one fixed shape.

    Works for classifiers that torch.fx can trace. Convolutions, pooling, activations, batch
    normalisation, additions, concatenations and a resize run on windows; from any other operation
    on, whole maps are computed.

    Attributes:
        whole_from: see :class:`pixguard.inference.form.Form`; it holds from the next allocation on.
        is_captured: whether a step is captured as a CUDA graph; likewise.

    Raises:
        NotTraceableError: torch.fx cannot trace the classifier.
    """

    name = "delta"
    most_slots = 1
    whole_from = WHOLE_FROM
    is_captured = False

    def __init__(
        self, classifier: Classifier, batch: int, dtype: torch.dtype = torch.float32
    ) -> None:
        self.batch = batch
        self.precision = str(dtype).removeprefix("torch.")
        self._device = classifier.mean.device
        self._channels = classifier.channels
        try:
            self._graph = Graph(classifier, dtype)
        except Exception as error:  # whatever the classifier's own code raises on a proxy
            if is_out_of_memory(error):
                raise
            raise NotTraceableError(f"{type(error).__name__}: {error}") from error

    @property
    def variant(self) -> str:
        """See :class:`pixguard.inference.base.Evaluator`."""
        execution: Execution = "captured" if self.is_captured else "eager"
        return Form("delta", self.precision, self.batch, execution, False, self.whole_from).variant

    def memory(self) -> tuple[int, int]:
        """Return the bytes that a candidate needs, and those of a slot, as allocated."""
        width = self._graph.weight_bytes
        candidate, slot = self._plan.elements(self._shapes, self._pixels)
        return candidate * width, slot * width

    @property
    def share(self) -> float:
        """The part of the dense network's multiply-adds that remains, as allocated."""
        return self._plan.share

    @torch.inference_mode()
    def allocate(self, slots: int, height: int, width: int, pixels: int) -> None:
        """Plan for a size and a number of pixels, and make room for the clean maps."""
        self._slots, self._pixels = slots, pixels
        self._examples: dict[fx.Node, Tensor] = {}
        self._constants: Values = {}
        self._shapes: dict[fx.Node, Shape] = {}

        def look(node: fx.Node, value: Any) -> None:
            if node.op != "placeholder" and not any(
                n in self._shapes for n in node.all_input_nodes
            ):
                self._constants[node] = value
            elif isinstance(value, Tensor):
                self._shapes[node], self._examples[node] = tuple(value.shape), value.new_empty(0)
            else:
                self._shapes[node] = ()

        with plain_float32(self._device):
            self._graph.run(torch.zeros(1, self._channels, height, width).to(self._device), look)
        self._plan: Plan = make_plan(
            self._graph, self._shapes, self._constants, pixels, self.whole_from
        )
        self._prepare()
        self._sources: dict[fx.Node, Source] = {}
        self._reserve()

    def _prepare(self) -> None:
        """Move the plan's tables to the device, and tell which nodes can work in place."""
        self._tables, self._divisors, self._means, self._matrices = {}, {}, {}, {}
        self._weights: dict[fx.Node, list[Tensor]] = {}
        for step in self._plan.steps:
            module = self._graph.modules.get(str(step.node.target))
            if step.place is None and MapMatrix.pays_for(
                module, shape := self._shapes.get(step.node.all_input_nodes[0], ())
            ):
                self._matrices[step.node] = MapMatrix(
                    cast(nn.Conv2d, module), shape, self._shapes[step.node]
                )
            for node, gather in step.gathers.items():
                tables = (gather.rows, gather.cols)
                self._tables[id(gather)] = [t.to(self._device, torch.int32) for t in tables]
                if isinstance(step.operation, GlobalMean):
                    self._means[node] = self._examples[node].new_zeros(
                        self._slots, self._shapes[node][1], dtype=self._graph.image_dtype
                    )
            if isinstance(step.operation, Resampling) and step.place is not None:
                axes = (step.operation.rows, step.operation.cols)
                both = zip(axes, step.place, strict=True)
                example = self._examples[step.node]
                self._weights[step.node] = [axis.between(o).to(example) for axis, o in both]
            if step.divisors is not None:
                example = self._examples[step.node]
                self._divisors[step.node] = [t.to(example) for t in step.divisors]
        self._done_after = self._plan.last_uses()

    def _reserve(self) -> None:
        """Make the buffers for the batch; the clean maps that are there are kept.

        Where memory does not do, the old buffers stay, for another try with a smaller batch.
        """
        self._scratch: dict[torch.dtype, Tensor] = {}
        sources: dict[fx.Node, Source] = {}
        for node in self._plan.sources:
            sources[node] = Source(
                self._examples[node],
                self._shapes[node],
                self._plan.places[node],
                self._slots,
                self.batch * self._pixels,
            )
            if node in self._sources:
                sources[node].clean.copy_(self._sources[node].clean)
        patches = [
            (node, gather.elements(self._pixels) * self._shapes[node][1])
            for step in self._plan.steps
            if isinstance(step.operation, Sliding | Resampling)
            for node, gather in step.gathers.items()
        ]
        for node, elements in sorted(patches, key=lambda patch: patch[1]):
            example = self._examples[node]
            self._scratch[example.dtype] = example.new_empty(self.batch * elements)
        self._sources, self._reserved = sources, self.batch
        self._step: Callable[..., Tensor] = Captured(self._run) if self.is_captured else self._run

    @torch.inference_mode()
    def load(self, slot: int, image: Tensor) -> None:
        """Run the classifier on a slot's clean image, float32 (C, H, W), and keep its maps."""

        def keep(node: fx.Node, value: Any) -> None:
            if node in self._sources:
                self._sources[node].clean[slot] = value[0].permute(1, 2, 0)
            if node in self._means:
                self._means[node][slot] = value[0].to(self._graph.image_dtype).mean((1, 2))

        with plain_float32(self._device):
            self._graph.run(image[None], keep, self._plan.sources)

    @torch.inference_mode()
    def logits(self, owners: Tensor, positions: Tensor, colours: Tensor) -> Tensor:
        """Evaluate candidates; see :class:`pixguard.inference.base.Evaluator`."""
        if self._reserved != self.batch:
            self._reserve()
        with plain_float32(self._device):
            parts = fixed_shape(self.batch, owners, positions, colours)
            outputs = [self._step(*part) for part in parts]
        return torch.cat(outputs)[: len(owners)].to(self._graph.image_dtype)

    def _run(self, owners: Tensor, positions: Tensor, colours: Tensor) -> Tensor:
        changed = Changed(owners, positions[..., 0], positions[..., 1])
        (image,) = (node for node in self._plan.places if node.op == "placeholder")
        values = dict(self._constants)
        self._keep(values, image, self._pixel_windows(changed, colours))
        for step in self._plan.steps:
            self._keep(values, step.node, self._compute(step, values, changed))
            for node in self._done_after[step.node]:
                del values[node]
        logits: Tensor = values[self._plan.steps[-1].node]
        return logits

    def _keep(self, values: Values, node: fx.Node, value: Any) -> None:
        """Put a value where later steps find it; windows of a source into its buffer."""
        if node in self._sources:
            windows = self._sources[node].windows
            if value is not windows:
                windows.copy_(value)
            value = windows
        values[node] = value

    def _pixel_windows(self, changed: Changed, colours: Tensor) -> Tensor:
        """Return the image's windows (N k, C, 1, 1); where pixels coincide, the later one holds."""
        values = colours.float().div(255.0).to(self._graph.image_dtype)
        places = torch.stack([changed.rows, changed.cols], dim=-1)
        for pixel in range(self._pixels):
            for later in range(pixel + 1, self._pixels):
                same = (places[:, pixel] == places[:, later]).all(-1, keepdim=True)
                values[:, pixel] = torch.where(same, values[:, later], values[:, pixel])
        return values.flatten(0, 1)[:, :, None, None]

    def _compute(self, step: Step, values: Values, changed: Changed) -> Any:
        """Return a step's windows (N k, C, w, v), or its value for whole maps."""
        if isinstance(step.operation, GlobalMean):
            return self._mean(step, step.operation, values, changed)
        in_patches = isinstance(step.operation, Sliding | Resampling)
        gathered = {
            node: self._sources[node].patches(
                gather,
                self._tables[id(gather)],
                changed,
                self._scratch[self._examples[node].dtype] if in_patches else None,
            )
            for node, gather in step.gathers.items()
        }
        if step.node in self._weights:
            (patches,) = gathered.values()
            rows, cols = self._weights[step.node]
            return resample(
                patches, rows[changed.rows].flatten(0, 1), cols[changed.cols].flatten(0, 1)
            )
        if isinstance(step.operation, Sliding):
            (patches,) = gathered.values()
            windows = step.operation.apply(patches)
            if step.node in self._divisors:
                rows, cols = self._divisors[step.node]
                divisor = rows[changed.rows][..., :, None] * cols[changed.cols][..., None, :]
                windows = windows / divisor.flatten(0, 1)[:, None]
            return windows
        if step.node in self._matrices:
            (source,) = step.node.all_input_nodes
            maps = gathered[source] if source in gathered else values[source]
            return self._matrices[step.node](maps)
        value = self._without_memory(step.node, values, gathered)
        return self._graph.call(step.node, {**values, **gathered}) if value is None else value

    def _without_memory(
        self, node: fx.Node, values: Values, gathered: dict[fx.Node, Tensor]
    ) -> Tensor | None:
        """Return the value of a node that needs no memory of its own; None for other nodes.

        Rectifiers, sums and concatenations are bound by memory: in place they cost half.
        """
        out = self._sources[node].windows if node in self._sources else None
        operands = concatenated(node) or tuple(node.all_input_nodes)
        inputs: list[Any] = [gathered.get(n, values.get(n)) for n in operands]
        if not all(isinstance(value, Tensor) for value in inputs):
            return None  # sizes are added, too
        own = [n in gathered or self._is_temporary(n) for n in operands]
        if self._is_rectifier(node) and (out is not None or own[0]):
            return torch.clamp_min(inputs[0], 0, out=inputs[0] if out is None else out)
        if node.target in (operator.add, torch.add) and len(inputs) == 2 and not node.kwargs:
            if out is None and any(own):
                out = inputs[own.index(True)]
                if out.dtype != self._examples[node].dtype:
                    return None  # a sum with the image, or with a float32 constant, is wider
            if out is not None and inputs[0].shape == inputs[1].shape == out.shape:
                return torch.add(inputs[0], inputs[1], out=out)
        if concatenated(node) and out is not None:
            return torch.cat(inputs, 1, out=out)
        return None

    def _is_rectifier(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return isinstance(self._graph.modules[str(node.target)], nn.ReLU)
        return node.op == "call_function" and node.target in (torch.relu, F.relu)

    def _is_temporary(self, operand: fx.Node) -> bool:
        """Tell whether a value is in memory of its own that only its one user looks at.

        An earlier user might have kept a view of it.
        """
        if len(operand.users) > 1 or operand in self._sources or operand in self._constants:
            return False
        if operand.op == "call_module":
            module = self._graph.modules[str(operand.target)]
            return isinstance(module, nn.Conv2d | nn.BatchNorm2d)
        return operand.target in (operator.add, torch.add)

    def _mean(self, step: Step, operation: GlobalMean, values: Values, changed: Changed) -> Tensor:
        """Return the mean (N, C) over a map: the clean one's, and what the windows change."""
        ((node, gather),) = step.gathers.items()
        source = self._sources[node]
        clean = source.patches(gather, self._tables[id(gather)], changed, clean=True)
        exact = self._graph.image_dtype  # sums do not round
        change = values[node].to(exact) - clean.to(exact)
        if self._pixels > 1:
            change = change * source.counted_once(changed).flatten(0, 1)[:, None]
        change = change.sum((2, 3)).unflatten(0, (-1, self._pixels)).sum(1)
        mean = self._means[node][changed.owners] + change / (source.height * source.width)
        kept: Tensor = mean[:, :, None, None] if operation.keepdim else mean
        return kept
