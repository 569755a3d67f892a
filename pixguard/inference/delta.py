"""The incremental evaluator: of each layer, only the window that a changed pixel can reach.

The classifier runs once on the clean image and its feature maps are kept. For a candidate, every
layer computes the window that the changed pixels influence, from a patch that is put together from
the clean map and the windows of the layer before; where the windows cover most of a map, the rest
of the network runs on whole maps. Exact up to the rounding of sums in another order.
"""

import copy
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.errors import is_out_of_memory
from pixguard.inference.form import Execution, Form
from pixguard.inference.plan import make_plan, multiply_adds
from pixguard.inference.positions import Layer, Positions
from pixguard.inference.tracing import Graph
from pixguard.inference.windowed import Windowed


class NotTraceableError(Exception):
    """The classifier's path depends on its data: no graph can stand for it."""


class Part(NamedTuple):
    """Candidates whose windows have one size: how many of all that are drawn uniformly they are."""

    weight: float
    evaluator: Windowed


class DeltaEvaluator(Windowed):
    """Evaluates candidates by what their changed pixels can reach, in batches of one fixed shape.

    Works for classifiers that torch.fx can trace. Convolutions, pooling, activations, batch
    normalisation, additions, concatenations and a resize run on windows; from any other operation
    on, whole maps are computed.

    Attributes:
        sets: see :class:`pixguard.inference.form.Form`; it holds from the next allocation on.
        parts: into which candidates are sorted, as allocated.

    Raises:
        NotTraceableError: torch.fx cannot trace the classifier.
    """

    name = "delta"
    most_slots = 1
    sets = 1
    parts: tuple[Part, ...] = ()

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
        form = Form("delta", self.precision, self.batch, execution)
        form = replace(form, whole_from=self.whole_from, sets=self.sets, gathers=self.gathers)
        return form.variant

    def memory(self) -> tuple[int, int]:
        """Return the bytes that a candidate needs, and those of a slot, as allocated."""
        width = self._graph.weight_bytes
        candidate, slot = self._plan.elements(self._shapes, self._pixels)
        for other in self._others:  # each has room of its own where this one computes whole maps
            nodes = other._plan.sources - self._plan.sources
            own = other._plan.kept(nodes, self._shapes, self._pixels)
            candidate, slot = candidate + own[0], slot + own[1]
        return candidate * width, slot * width

    @property
    def share(self) -> float:
        """The part of the dense network's multiply-adds that remains, as allocated."""
        return sum(part.weight * part.evaluator._plan.share for part in self.parts)

    @torch.inference_mode()
    def allocate(self, slots: int, height: int, width: int, pixels: int) -> None:
        """Plan for a size and a number of pixels, and make room for the clean maps."""
        self._slots, self._pixels = slots, pixels
        self._examples, self._constants, self._shapes = {}, {}, {}

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
        self._matrices, self._gathering = {}, {}
        self._positions = self._sorted_positions()
        *some, (weight, everywhere) = self._positions.parts() if self._positions else [(1.0, None)]
        self._prepare(everywhere)
        self._others = [copy.copy(self) for _ in some]
        for other, (_, nearest) in zip(self._others, some, strict=True):
            other._prepare(nearest)
        everyone = (*self._others, self)
        weights = (*(part[0] for part in some), weight)
        self.parts = tuple(Part(w, one) for w, one in zip(weights, everyone, strict=True))
        self._reserve_all()

    def _sorted_positions(self) -> Positions | None:
        """Return the places, sorted by how large the windows for them are; None: all alike."""
        if self.sets == 1:
            return None
        steps = make_plan(self._graph, self._shapes, self._constants, 1, torch.inf).steps
        rows, cols = list[Layer](), list[Layer]()
        for step in steps:
            module = self._graph.modules.get(str(step.node.target))
            cost = multiply_adds(module, self._shapes[step.node])
            if step.place is not None and cost:
                rows.append(Layer(cost, step.place[0]))
                cols.append(Layer(cost, step.place[1]))
        if not rows:
            return None
        return Positions(rows, cols, self.sets, self._pixels, self.whole_from)

    def _reserve_all(self) -> None:
        """Make the buffers for the batch; those for fewer places lie in those for more.

        Where memory does not do, the old buffers stay, for another try with a smaller batch.
        """
        lenders: list[Windowed] = []
        for part in reversed(self.parts):
            part.evaluator.batch = self.batch
            part.evaluator._reserve(lenders)
            lenders.append(part.evaluator)
        self._reserved = self.batch

    @torch.inference_mode()
    def load(self, slot: int, image: Tensor) -> None:
        """Run the classifier on a slot's clean image, float32 (C, H, W), and keep its maps."""
        everyone = [part.evaluator for part in self.parts]

        def keep(node: fx.Node, value: Any) -> None:
            for one in everyone:
                if node in one._sources and not one._sources[node].is_lent:
                    one._sources[node].clean[slot] = value[0].permute(1, 2, 0)
                if node in one._means:
                    one._means[node][slot] = value[0].to(self._graph.image_dtype).mean((1, 2))

        with plain_float32(self._device):
            wanted = set[fx.Node]().union(*(one._plan.sources for one in everyone))
            self._graph.run(image[None], keep, wanted)

    @torch.inference_mode()
    def logits(self, owners: Tensor, positions: Tensor, colours: Tensor) -> Tensor:
        """Evaluate candidates; see :class:`pixguard.inference.base.Evaluator`."""
        if self._reserved != self.batch:
            self._reserve_all()
        if self._positions is None:
            return self.evaluated(owners, positions, colours)
        numbers = self._positions.numbers(positions)
        order = numbers.argsort(stable=True)
        counts = numbers.bincount(minlength=len(self.parts)).tolist()
        logits = torch.cat(
            [
                part.evaluator.evaluated(owners[index], positions[index], colours[index])
                for part, index in zip(self.parts, torch.split(order, counts), strict=True)
                if len(index)
            ]
        )
        return torch.empty_like(logits).index_copy_(0, order, logits)
