"""What the logits of a classifier can be while one pixel moves within a box of colours.

The windows are those of the delta plan: outside of them a map is that of the clean image. Inside,
and in whole maps from there on, every value is affine in the colour of the pixel, with an error
(:mod:`pixguard.inference.affine`).
"""

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.inference.affine import LOWEST, Affine, Errors, rectified
from pixguard.inference.bound_operations import convolved, pooled, relaxed
from pixguard.inference.chain import Cleaned, find_chain
from pixguard.inference.decision import Bound, Wanted, decided
from pixguard.inference.delta import DeltaEvaluator
from pixguard.inference.images import with_pixels
from pixguard.inference.operations import GlobalMean, Sliding, recognise_pooling
from pixguard.inference.passed import Passed
from pixguard.inference.patches import Changed
from pixguard.inference.plan import Step
from pixguard.inference.resampling import resample
from pixguard.inference.spot import Spot

PROBES = 16
"""Candidates by which the rounding of an image's logits is measured."""
SAFETY = 32.0
"""How many times the largest rounding that was measured a bound must clear."""
LEAST = 2.0**-18
"""The least that it must clear, relative to the largest logit: 64 units of float32's last place."""
SPOTS = 1 << 26
"""Numbers that are kept of what is made for pixels: 256 MiB."""

Values = dict[fx.Node, Any]


class _Whole:
    """What boxes give in any network; see :class:`pixguard.inference.passed.Passed`."""

    def __init__(self, pixel: Affine, logits: Affine, errors: Errors) -> None:
        self._pixel, self._logits, self._errors = pixel, logits, errors
        self.centre = logits.centre.detach()
        self.slopes = torch.stack(logits.slopes, -1).detach()
        self.radius = logits.radius.detach()
        self.widths = pixel.spread()[..., 0, 0].detach()

    def least(self, weights: Tensor, boxes: Tensor) -> Tensor:
        """Return below what sums of logits by weights (N, L) cannot fall in boxes int64 (N,)."""
        every = torch.zeros_like(self._logits.centre).index_copy_(0, boxes, weights)
        sums = (self._logits.centre * every).sum(1)
        half = self._pixel.spread()[..., 0, 0]
        return self._errors.least(sums, self._pixel.centre, half)[boxes]


class BoundEvaluator(DeltaEvaluator):
    """Bounds boxes of colours, in batches.

    Raises:
        NotTraceableError: torch.fx cannot trace the classifier.
        UnboundedError: from ``allocate``, where an operation has no bound.
    """

    name = "bounds"

    def __init__(self, classifier: Classifier, batch: int) -> None:
        super().__init__(classifier, 1)
        self._boxes = batch
        self._classifier = classifier
        self._exact = copy.deepcopy(classifier).double()

    def allocate(self, slots: int, height: int, width: int, pixels: int = 1) -> None:
        """Plan for a size, and try every operation once."""
        super().allocate(slots, height, width, pixels)
        self._rounding = [0.0] * slots
        self._late = {
            node
            for node in self._shapes
            if self._is_rectifier(node) and all(map(self._is_maximum, node.users))
        }
        blank = torch.zeros(1, dtype=torch.int64, device=self._device)
        low = torch.zeros(1, self._channels, dtype=torch.uint8, device=self._device)
        with torch.inference_mode(False), plain_float32(self._device):
            self._logits(blank, blank[:, None].expand(-1, 2), low, low + 255, Errors())
        # A line of colours takes few boxes: what is made for a pixel would not pay.
        self._chain = (
            find_chain(self._graph, self._shapes, self._constants) if self._channels > 1 else None
        )
        self._cleaned: dict[int, Cleaned] = {}
        self._spots: dict[tuple[int, int, int], Spot] = {}

    def load(self, slot: int, image: Tensor) -> None:
        """Take a slot's clean image, float32 (C, H, W) in [0, 1], and measure its rounding."""
        super().load(slot, image)
        if self._chain is not None:
            with torch.inference_mode(), plain_float32(self._device):
                self._cleaned[slot] = self._chain.clean(self._graph, image)
            self._spots.clear()
        self._rounding[slot] = self._measure(slot, image)

    @property
    def is_chain(self) -> bool:
        """Whether pixels are bounded one by one, in a chain of layers (faster by far)."""
        return self._chain is not None

    def rounding(self, slot: int) -> float:
        """Return by how much logits of a slot's image may be wrong, for what is concluded."""
        return self._rounding[slot]

    def _measure(self, slot: int, image: Tensor) -> float:
        """Compare a few candidates: here, by the classifier, and by the classifier in float64."""
        stream = torch.Generator().manual_seed(0)
        _, height, width = image.shape
        positions = (torch.rand(PROBES, 2, generator=stream) * torch.tensor([height, width])).long()
        colours = torch.randint(0, 256, (PROBES, self._channels), generator=stream).byte()
        positions, colours = positions.to(self._device), colours.to(self._device)
        owners = torch.full((PROBES,), slot, device=self._device)
        images = with_pixels(
            image[None], torch.zeros_like(owners), positions[:, None], colours[:, None]
        )
        with torch.inference_mode(), plain_float32(self._device):
            truth = torch.cat([self._exact(one[None].double()) for one in images])
            dense = self._classifier(images)
        own = torch.empty_like(dense)
        for index, passed in self._passed(owners, positions, colours, colours):
            own[index] = passed.centre
        wrong = max(float((dense - truth).abs().max()), float((own - truth).abs().max()))
        return max(SAFETY * wrong, LEAST * float(truth.abs().max()))

    def bound(
        self,
        wanted: Wanted,
        owners: Tensor,
        places: Tensor,
        low: Tensor,
        high: Tensor,
        settled: Tensor | None = None,
    ) -> Bound:
        """Bound what is wanted of an image's logits in boxes.

        Args:
            wanted: the decision that must hold.
            owners: int64 (M,), the slots.
            places: int64 (M, 2), (row, col) of the pixel.
            low: uint8 (M, C), the least values of its channels.
            high: uint8 (M, C), the greatest.
            settled: bool (M, R), the sums that are known to be positive there.
        """
        if settled is None or not wanted.every:
            settled = places.new_zeros(len(owners), len(wanted.weights), dtype=torch.bool)
        settled = settled.clone()
        rounding = torch.tensor(self._rounding, device=self._device)
        lowest = torch.empty(len(owners), device=self._device)
        slopes, widths = torch.empty(2, *low.shape, device=self._device)
        for index, passed in self._passed(owners, places, low, high):
            slack = 2 * rounding[owners[index]][:, None]
            one = decided(wanted, passed, slack, settled[index])
            lowest[index], settled[index] = one.lowest, one.settled
            slopes[index], widths[index] = one.slopes, one.widths
        return Bound(lowest, slopes, widths, settled)

    def _passed(
        self, owners: Tensor, places: Tensor, low: Tensor, high: Tensor
    ) -> Iterator[tuple[Tensor, "Passed | _Whole"]]:
        """Yield what boxes give, in parts, and which they are; the last may be there repeatedly."""
        if self._chain is None:
            with torch.inference_mode(False), plain_float32(self._device):
                for part in torch.split(
                    torch.arange(len(owners), device=self._device), self._boxes
                ):
                    errors = Errors()
                    pixel, logits = self._logits(
                        owners[part], places[part], low[part], high[part], errors
                    )
                    yield part, _Whole(pixel, logits, errors)
            return
        keys: dict[tuple[int, ...], list[int]] = {}
        for number, key in enumerate(torch.cat([owners[:, None], places], 1).tolist()):
            keys.setdefault(tuple(key), []).append(number)
        with torch.inference_mode(), plain_float32(self._device):
            for (slot, *place), numbers in keys.items():
                spot = self._spot(slot, *place)
                for index in torch.split(torch.tensor(numbers, device=self._device), self._boxes):
                    yield index, Passed(spot, low[index] / 255, high[index] / 255)

    def _spot(self, slot: int, row: int, col: int) -> Spot:
        """Return what was made for a pixel; the last few are kept."""
        key = (slot, row, col)
        found = self._spots.pop(key, None)
        if found is None:
            assert self._chain is not None
            if len(self._spots) >= max(1, SPOTS // max(1, self._chain.numbers)):
                del self._spots[next(iter(self._spots))]
            found = Spot(self._chain, self._cleaned[slot], (row, col))
        self._spots[key] = found
        return found

    def _logits(
        self, owners: Tensor, places: Tensor, low: Tensor, high: Tensor, errors: Errors
    ) -> tuple[Affine, Affine]:
        """Return the pixel and the logits."""
        changed = Changed(owners, places[:, :1], places[:, 1:])
        (image,) = (node for node in self._plan.places if node.op == "placeholder")
        pixel = self._box(low, high)
        values: Values = {**self._constants, image: pixel}
        for step in self._plan.steps:
            values[step.node] = self._relax(step, values, changed, errors)
            for node in self._done_after[step.node]:
                del values[node]
        logits: Affine = values[self._plan.steps[-1].node]
        return pixel, logits

    def _box(self, low: Tensor, high: Tensor) -> Affine:
        """Return the image's windows (M, C, 1, 1)."""
        first, last = low.float() / 255.0, high.float() / 255.0
        half = (last - first) / 2
        own = torch.eye(self._channels, device=half.device)
        slopes = tuple((half * own[c])[:, :, None, None] for c in range(self._channels))
        centre = ((first + last) / 2)[:, :, None, None].requires_grad_()
        return Affine(centre, slopes, torch.zeros_like(centre))

    def _gathered(self, step: Step, values: Values, changed: Changed) -> Values:
        """Return the patches, or whole maps, that a step is computed from."""
        found = {}
        for node, gather in step.gathers.items():
            source = self._sources[node]
            put, take = source.joiners(gather, self._tables[id(gather)], changed)
            value: Affine = values[node]
            centre = put(value.centre).clamp(min=LOWEST)
            found[node] = Affine(centre, tuple(map(take, value.slopes)), take(value.radius))
        return found

    def _relax(self, step: Step, values: Values, changed: Changed, errors: Errors) -> Any:
        """Return a step's windows, or its value for whole maps."""
        if isinstance(step.operation, GlobalMean):
            return self._mean_of(step, step.operation, values, changed)
        inputs = {**values, **self._gathered(step, values, changed)}
        node = step.node
        source = inputs[node.all_input_nodes[0]]
        if node in self._weights:
            rows, cols = (
                w[p[:, 0]]
                for w, p in zip(self._weights[node], (changed.rows, changed.cols), strict=True)
            )
            parts = [resample(part, rows, cols) for part in (source.centre, *source.slopes)]
            radius = resample(source.radius, rows.abs(), cols.abs())
            return Affine(parts[0], tuple(parts[1:]), radius)
        if node in self._late:
            return source  # the largest of rectified values is the rectified largest: less to relax
        if self._is_maximum(node):
            found = pooled(
                node, self._module(node), source, step.operation, self._shapes[node], errors
            )
            return rectified(found, errors) if node.all_input_nodes[0] in self._late else found
        module = self._module(node)
        if isinstance(step.operation, Sliding):
            if isinstance(module, nn.Conv2d):
                return convolved(module, source, padded=False)
            value = source.each(step.operation.apply)
            if node in self._divisors:
                rows, cols = self._divisors[node]
                divisor = rows[changed.rows[:, 0], :, None] * cols[changed.cols[:, 0], None, :]
                value = value.scaled(1 / divisor[:, None])
            return value
        if node in self._matrices:
            matrix = self._matrices[node]
            return Affine(
                matrix(source.centre),
                tuple(matrix.without_bias(s) for s in source.slopes),
                matrix.of_sizes(source.radius),
            )
        return relaxed(node, module, inputs, partial(self._graph.call, node), errors)

    def _module(self, node: fx.Node) -> nn.Module | None:
        return self._graph.modules[str(node.target)] if node.op == "call_module" else None

    def _is_maximum(self, node: fx.Node) -> bool:
        found = recognise_pooling(node, self._module(node))
        return found is not None and found.fill == "lowest"

    def _mean_of(
        self, step: Step, operation: GlobalMean, values: Values, changed: Changed
    ) -> Affine:
        ((node, gather),) = step.gathers.items()
        source, value = self._sources[node], values[node]
        clean = source.patches(gather, self._tables[id(gather)], changed, clean=True)
        size = source.height * source.width

        def mean(part: Tensor) -> Tensor:
            return part.sum((2, 3), keepdim=operation.keepdim) / size

        before = self._means[node][changed.owners]
        before = before[:, :, None, None] if operation.keepdim else before
        changes = Affine(value.centre - clean, value.slopes, value.radius).each(mean)
        return changes.moved(changes.centre + before)
