"""What the logits of a classifier can be while one pixel moves within a box of colours.

The windows are those of the delta plan: outside of them a map is that of the clean image. Inside,
and in whole maps from there on, every value is affine in the colour of the pixel, with an error
(:mod:`pixguard.inference.affine`).
"""

import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.inference.affine import LOWEST, Affine, Errors, rectified
from pixguard.inference.batches import fixed_shape
from pixguard.inference.bound_operations import convolved, pooled, relaxed
from pixguard.inference.delta import DeltaEvaluator
from pixguard.inference.images import with_pixels
from pixguard.inference.operations import GlobalMean, Sliding, recognise_pooling
from pixguard.inference.patches import Changed
from pixguard.inference.plan import Gather, Step, whole
from pixguard.inference.resampling import resample
from pixguard.inference.tandem import MOST, Pair, Tandem, added

PROBES = 16
"""Candidates by which the rounding of an image's logits is measured."""
SAFETY = 32.0
"""How many times the largest rounding that was measured a bound must clear."""
LEAST = 2.0**-18
"""The least that it must clear, relative to the largest logit: 64 units of float32's last place."""

Values = dict[fx.Node, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Sums of logits that are all positive (or one of which is) as long as a decision holds.

    Attributes:
        weights: float32 (R, L).
        offsets: float32 (R,).
        every: whether all must be positive, or one.
    """

    weights: Tensor
    offsets: Tensor
    every: bool = True


@dataclass(frozen=True, slots=True)
class Bound:
    """Below what a decision's margin cannot fall in each of M boxes, over all real colours.

    Attributes:
        lowest: float32 (M,), less what rounding may have done.
        slopes: float32 (M, C), how the margin that is the lowest changes along each channel, from
            the centre of the box to its upper side.
    """

    lowest: Tensor
    slopes: Tensor


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
        self._tandems: dict[Pair, Tandem] = {}
        blank = torch.zeros(1, dtype=torch.int64, device=self._device)
        low = torch.zeros(1, self._channels, dtype=torch.uint8, device=self._device)
        with torch.inference_mode(False), plain_float32(self._device):
            self._logits(blank, blank[:, None].expand(-1, 2), low, low + 255, Errors())
        self._tandems = self._find_tandems()  # each needs a clean image

    def load(self, slot: int, image: Tensor) -> None:
        """Take a slot's clean image, float32 (C, H, W) in [0, 1], and measure its rounding."""
        super().load(slot, image)
        for pair, tandem in self._tandems.items():
            with torch.inference_mode(False), plain_float32(self._device):
                tandem.load(self._sources[pair.rectifier].clean[slot].clone())
        self._rounding[slot] = self._measure(slot, image)

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
        with torch.inference_mode(False), plain_float32(self._device):
            own = self._logits(owners, positions, colours, colours, Errors())[1].centre.detach()
        wrong = max(float((dense - truth).abs().max()), float((own - truth).abs().max()))
        return max(SAFETY * wrong, LEAST * float(truth.abs().max()))

    def bound(
        self, wanted: Wanted, owners: Tensor, places: Tensor, low: Tensor, high: Tensor
    ) -> Bound:
        """Bound what is wanted of an image's logits in boxes.

        Args:
            wanted: the decision that must hold.
            owners: int64 (M,), the slots.
            places: int64 (M, 2), (row, col) of the pixel.
            low: uint8 (M, C), the least values of its channels.
            high: uint8 (M, C), the greatest.
        """
        lowest, slopes = [], []
        rounding = torch.tensor(self._rounding, device=self._device)
        with torch.inference_mode(False), plain_float32(self._device):
            for owner, *box in fixed_shape(self._boxes, owners, places, low, high):
                one = self._bound(wanted, owner, *box)
                lowest.append(one.lowest - 2 * rounding[owner])
                slopes.append(one.slopes)
        count = len(owners)
        return Bound(torch.cat(lowest)[:count], torch.cat(slopes)[:count])

    def _bound(
        self, wanted: Wanted, owners: Tensor, places: Tensor, low: Tensor, high: Tensor
    ) -> Bound:
        errors = Errors()
        pixel, logits = self._logits(owners, places, low, high, errors)
        half = pixel.spread()[..., 0, 0]
        sums = logits.centre @ wanted.weights.T + wanted.offsets
        slopes = torch.stack([s @ wanted.weights.T for s in logits.slopes], -1)  # (M, R, C)
        exact = (sums - slopes.abs().sum(-1)).detach()
        bounds = exact - (logits.radius @ wanted.weights.abs().T)
        # On the way back errors cancel. One pass bounds one sum of each box: the least, and the
        # next where that is clear, until a box has failed, or has succeeded.
        passed = torch.zeros_like(bounds, dtype=torch.bool)
        row = torch.arange(len(bounds), device=bounds.device)
        for _ in range(bounds.shape[1]):
            found, chosen = self._chosen(wanted, bounds, passed)
            if not ((found <= 0) & ~passed[row, chosen]).any():
                break
            better = errors.least(sums[row, chosen], pixel.centre, half)
            bounds[row, chosen] = torch.maximum(found, better)
            passed[row, chosen] = True
        lowest, chosen = self._chosen(wanted, bounds, torch.zeros_like(passed))
        return Bound(lowest, slopes[row, chosen])

    @staticmethod
    def _chosen(wanted: Wanted, bounds: Tensor, passed: Tensor) -> tuple[Tensor, Tensor]:
        """Return the bound that decides, and which it is, of bounds (M, R)."""
        if wanted.every:
            return bounds.min(1)
        left = bounds.masked_fill(passed & (bounds <= 0), -torch.inf)
        return left.max(1)

    def _logits(
        self, owners: Tensor, places: Tensor, low: Tensor, high: Tensor, errors: Errors
    ) -> tuple[Affine, Affine]:
        """Return the pixel and the logits."""
        changed = Changed(owners, places[:, :1], places[:, 1:])
        (image,) = (node for node in self._plan.places if node.op == "placeholder")
        pixel = self._box(low, high)
        values: Values = {**self._constants, image: pixel}
        kept: dict[fx.Node, Tensor] = {}
        for step in self._plan.steps:
            value = values[step.node] = self._relax(step, values, changed, errors)
            for pair, tandem in self._tandems.items():
                own, of_source, of_rectifier = self._gathers[pair]
                if step.node is pair.first:
                    before = values[pair.source].radius
                    kept[pair.first] = self._over_all(pair.source, of_source, before, changed)
                elif step.node is pair.rectifier:
                    clean = self._sources[step.node].patches(
                        own, self._tables[id(own)], changed, clean=True
                    )
                    extra = added(values[pair.first], value, clean)
                    kept[step.node] = self._over_all(step.node, of_rectifier, extra, changed)
                elif step.node is pair.second:
                    radius = tandem.radius(kept[pair.first], kept[pair.rectifier])
                    radius = torch.minimum(radius, value.radius)
                    values[step.node] = Affine(value.centre, value.slopes, radius)
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

    def _find_tandems(self) -> dict[Pair, Tandem]:
        """Return the pairs of convolutions that end in whole maps and are small enough."""
        found: dict[Pair, Tandem] = {}
        if self._channels == 1:
            return found  # a line of colours takes few boxes: cheap ones are the faster
        self._gathers: dict[Pair, tuple[Gather, Gather, Gather]] = {}
        for step in self._plan.steps:
            second = self._module(step.node)
            if step.place is not None or not isinstance(second, nn.Conv2d):
                continue
            rectifier = step.node.all_input_nodes[0]
            if not self._is_rectifier(rectifier) or rectifier not in self._sources:
                continue
            node = rectifier.all_input_nodes[0]
            first = self._module(node)
            if not isinstance(first, nn.Conv2d) or node.all_input_nodes[0] not in self._sources:
                continue
            if node in self._matrices or step.node in self._matrices:
                continue
            source = node.all_input_nodes[0]
            shape, outputs = self._shapes[source], torch.Size(self._shapes[step.node]).numel()
            if torch.Size(shape).numel() * outputs > MOST:
                continue
            pair = Pair(source, node, rectifier, step.node)
            found[pair] = Tandem(first, second, shape)
            rows, cols = self._plan.places[rectifier]
            own = Gather(rows.coordinates(), cols.coordinates())
            self._gathers[pair] = own, whole(self._shapes[source]), whole(self._shapes[rectifier])
            for gather in self._gathers[pair]:
                tables = (gather.rows, gather.cols)
                self._tables[id(gather)] = [t.to(self._device, torch.int32) for t in tables]
        return found

    def _over_all(self, node: fx.Node, gather: Gather, windows: Tensor, changed: Changed) -> Tensor:
        """Return whole maps that are zero outside of windows."""
        _, take = self._sources[node].joiners(gather, self._tables[id(gather)], changed)
        return take(windows)

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
