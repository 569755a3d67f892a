"""One plan carried out: of each layer, only the window that a changed pixel can reach.

Every changed pixel has its own window, also where they overlap: each holds the right values,
because patches are cut from the clean map with all windows of the candidate in it.
"""

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from pixguard.classifiers.evaluation import plain_float32
from pixguard.inference.batches import fixed_shape
from pixguard.inference.captured import Captured
from pixguard.inference.matrices import MapMatrix
from pixguard.inference.operations import GlobalMean, Resampling, Shape, Sliding, concatenated
from pixguard.inference.patches import Changed, Source
from pixguard.inference.plan import WHOLE_FROM, Plan, Step, make_plan
from pixguard.inference.resampling import resample
from pixguard.inference.tracing import Graph

if TYPE_CHECKING:
    from pixguard.inference.gathering import Gathering

Values = dict[fx.Node, Any]


class Windowed:
    """Carries out the plan for candidates whose pixels lie at some places, in batches.

    What is shared with those for other places (graph, shapes, constants) is set by
    :class:`pixguard.inference.delta.DeltaEvaluator`.

    Attributes:
        batch: candidates at a time.
        whole_from: see :class:`pixguard.inference.form.Form`; it holds from the next allocation on.
        is_captured: whether a step is captured as a CUDA graph; likewise.
        gathers: whether convolutions gather their patches themselves; likewise.
    """

    whole_from = WHOLE_FROM
    is_captured = False
    gathers = False
    batch: int
    _graph: Graph
    _device: torch.device
    _slots: int
    _pixels: int
    _shapes: dict[fx.Node, Shape]
    _examples: dict[fx.Node, Tensor]
    _constants: Values
    _matrices: dict[fx.Node, MapMatrix]
    _gathering: "dict[fx.Node, Gathering]"
    _rectified: dict[fx.Node, fx.Node]
    _scratch: dict[torch.dtype, Tensor]

    def _prepare(self, within: tuple[Tensor, Tensor] | None) -> None:
        """Plan for some places, and move the plan's tables to the device."""
        self._plan: Plan = make_plan(
            self._graph, self._shapes, self._constants, self._pixels, self.whole_from, within
        )
        self._within, self._sources = within, dict[fx.Node, Source]()
        self._tables, self._divisors, self._means = {}, {}, {}
        self._weights: dict[fx.Node, list[Tensor]] = {}
        for step in self._plan.steps:
            module = self._graph.modules.get(str(step.node.target))
            is_new = step.place is None and step.node not in self._matrices
            if is_new and MapMatrix.pays_for(
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
        self._rectified = {}
        if self.gathers:
            self._prepare_gathering()

    def _prepare_gathering(self) -> None:
        """Let convolutions gather their patches, and rectify what only a rectifier looks at."""
        from pixguard.inference.gathering import Gathering  # triton is not everywhere

        for step in self._plan.steps:
            module = self._graph.modules.get(str(step.node.target))
            sliding = step.place is not None and isinstance(step.operation, Sliding)
            if not sliding or not isinstance(module, nn.Conv2d) or module.groups > 1:
                continue
            if step.node not in self._gathering:
                self._gathering[step.node] = Gathering(module)
            user, *others = step.node.users
            if not others and self._is_rectifier(user):
                self._rectified[step.node] = user

    def _reserve(self, lenders: "Sequence[Windowed]") -> None:
        """Make buffers for the batch, or share those of others; clean maps are kept."""
        scratch: dict[torch.dtype, Tensor] = {}
        sources: dict[fx.Node, Source] = {}
        for node in self._plan.sources:
            sources[node] = Source(
                self._examples[node],
                self._shapes[node],
                self._plan.places[node],
                self._slots,
                self.batch * self._pixels,
                [one._sources[node] for one in lenders if node in one._sources],
            )
            if node in self._sources and not sources[node].is_lent:
                sources[node].clean.copy_(self._sources[node].clean)
        patches = [
            (node, gather.elements(self._pixels) * self._shapes[node][1])
            for step in self._plan.steps
            if isinstance(step.operation, Sliding | Resampling)
            for node, gather in step.gathers.items()
        ]
        for node, elements in sorted(patches, key=lambda patch: patch[1]):
            example, needed = self._examples[node], self.batch * elements
            lent = [one._scratch.get(example.dtype, example) for one in lenders]
            enough = next((room for room in lent if room.numel() >= needed), None)
            scratch[example.dtype] = example.new_empty(needed) if enough is None else enough
        self._sources, self._scratch = sources, scratch
        self._step: Callable[..., Tensor] = Captured(self._run) if self.is_captured else self._run

    def moved(self, positions: Tensor) -> Tensor:
        """Return positions (N, k, 2), each moved to the nearest that this is for."""
        if self._within is None:
            return positions
        rows, cols = (held.to(positions.device) for held in self._within)
        return torch.stack([rows[positions[..., 0]], cols[positions[..., 1]]], -1)

    @torch.inference_mode()
    def evaluated(self, owners: Tensor, positions: Tensor, colours: Tensor) -> Tensor:
        """Return the logits of candidates at places that this is for; see the evaluator's."""
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
        # A part for other places may have windows here, where this one has whole maps.
        if step.place is not None and step.node in self._gathering:
            ((node, gather),) = step.gathers.items()
            return self._gathering[step.node](
                self._sources[node],
                self._tables[id(gather)],
                changed,
                self._room_for(step, changed),
                rectified=step.node in self._rectified,
            )
        if step.node.all_input_nodes[0] in self._rectified:
            return values[step.node.all_input_nodes[0]]
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

    def _room_for(self, step: Step, changed: Changed) -> Tensor:
        """Return where a convolution's windows go: to its rectifier's, where those are kept."""
        node = self._rectified.get(step.node, step.node)
        if node in self._sources:
            return self._sources[node].windows
        assert step.place is not None
        sides = [windows.size for windows in step.place]
        example, channels = self._examples[step.node], self._shapes[step.node][1]
        return example.new_empty(changed.rows.numel(), *sides, channels).permute(0, 3, 1, 2)

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
