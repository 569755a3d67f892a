"""What two changed pixels do to the logits beyond what each of them does alone.

Let z be a value of the clean image, z + a with one pixel changed, z + b with another: with both it
is z + a + b + e. The image itself has e = 0. A linear operation maps e as it maps any value. A
rectifier, convex and piecewise linear, adds at most the lesser of a and b in size, and nothing
where all four values are on one side of zero; a maximum over a window adds at most the lesser of
the ranges of a and b there. The singles are evaluated, so that only e is bounded, and it is zero
as far as what the two pixels reach does not meet.

For all pairs of two groups of changes at once, a and b are known by their least and greatest values
in each place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torchvision.transforms import Normalize

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.errors import is_out_of_memory
from pixguard.inference.affine import UnboundedError
from pixguard.inference.bound_operations import POSITIVE, POSITIVE_MODULES, name_of, scale_of
from pixguard.inference.delta import NotTraceableError
from pixguard.inference.images import with_pixels
from pixguard.inference.operations import recognise_pooling
from pixguard.inference.tracing import Graph

BATCH = 64
"""Images evaluated, and pairs of groups bounded, at a time."""
MOST_BYTES = 2 << 30
"""What the least and greatest values of all groups may take."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What groups of changes do to one map: (G, ...), least and greatest; and where, bool."""

    low: Tensor
    high: Tensor
    where: Tensor

    @classmethod
    def of(cls, low: Tensor, high: Tensor) -> "Reach":
        """Return it, with the places (G, H W) in which anything changes."""
        changes = (low != 0) | (high != 0)
        places = changes.any(1) if changes.ndim == 4 else changes
        return cls(low, high, places.flatten(1).float())

    def meet(self, first: Tensor, second: Tensor) -> bool:
        """Tell whether in any pair both change the same place."""
        return bool((self.where[first] * self.where[second]).any())

    def of_pairs(self, first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
        """Return least and greatest of the first of each pair, and of the second, (M, ...) each."""
        return self.low[first], self.high[first], self.low[second], self.high[second]

    def merged(self, members: Tensor) -> "Reach":
        """Return that of larger groups, each of the groups (G, n)."""
        shape = members.shape
        low = self.low[members.flatten()].view(*shape, *self.low.shape[1:]).amin(1)
        high = self.high[members.flatten()].view(*shape, *self.high.shape[1:]).amax(1)
        return Reach.of(low, high)


def cut(numbers: Tensor, size: int) -> Iterator[Tensor]:
    """Yield a tensor in parts of at most ``size``."""
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]


class Interactions:
    """Bounds what pairs of changes of one image do together.

    Raises:
        NotTraceableError: torch.fx cannot trace the classifier.
        UnboundedError: from ``load``: an operation has no bound, or memory does not do.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._device = classifier.mean.device
        try:
            self._graph = Graph(classifier, torch.float32)
        except Exception as error:  # whatever the classifier's own code raises on a proxy
            if is_out_of_memory(error):
                raise
            raise NotTraceableError(f"{type(error).__name__}: {error}") from error
        (self._output,) = (node for node in self._graph.nodes if node.op == "output")

    @torch.inference_mode()
    def load(self, image: Tensor, places: Tensor, colours: Tensor) -> tuple[Tensor, Tensor]:
        """Take an image and groups of changes of one pixel, and evaluate each change.

        Args:
            image: float32 (C, H, W) in [0, 1].
            places: int64 (G, n), the pixels of the changes of each group.
            colours: uint8 (G, n, C), what they are changed to.

        Returns:
            The logits float32 (L,) of the image, and (G, n, L) of the changes.
        """
        width, (count, each) = image.shape[2], places.shape
        self._prepare(image, count)
        reaches: dict[fx.Node, list[tuple[Tensor, Tensor]]] = {node: [] for node in self._bent}
        logits: list[Tensor] = []

        def look(node: fx.Node, value: Any) -> None:
            if node is self._output:
                logits.append(value)
            if node in self._bent:
                # The clean image is in the same batch: kernels differ between shapes.
                changes = (value[:-1] - value[-1:]).view(-1, each, *value.shape[1:])
                reaches[node].append((changes.amin(1), changes.amax(1)))

        step = max(1, BATCH // each)
        for start in range(0, count, step):
            where, new = places[start : start + step], colours[start : start + step]
            positions = torch.stack([where // width, where % width], -1).view(-1, 1, 2)
            owners = torch.zeros(len(positions), dtype=torch.int64, device=self._device)
            images = with_pixels(image[None], owners, positions, new.reshape(-1, 1, len(image)))
            with plain_float32(self._device):
                self._graph.run(torch.cat([images, image[None]]), look)
        self._levels = [
            {
                node: Reach.of(*(torch.cat(part) for part in zip(*parts, strict=True)))
                for node, parts in reaches.items()
            }
        ]
        singles = torch.cat([part[:-1] for part in logits]).view(count, each, -1)
        return logits[0][-1], singles

    @torch.inference_mode()
    def merge(self, members: Tensor) -> None:
        """Add a level of larger groups: int64 (G, n), of the groups of the level before."""
        before = self._levels[-1]
        self._levels.append({node: reach.merged(members) for node, reach in before.items()})

    @torch.inference_mode()
    def bound(self, weights: Tensor, level: int, first: Tensor, second: Tensor) -> Tensor:
        """Return how far sums of logits can be from what the two changes add one by one.

        Args:
            weights: float32 (R, L), of the logits in each sum.
            level: of the groups, 0 as they were loaded.
            first: int64 (M,), groups; with
            second: those of the other changes.

        Returns:
            (M, R), not negative, over all pairs of a change in one and a change in the other.
        """
        reaches = self._levels[level]
        # What meets first in the same place stands together: batches before that are zero.
        meets = torch.zeros(len(first), dtype=torch.int64, device=self._device)
        for number, node in enumerate(self._bent, 1):
            where = reaches[node].where
            touch = (where @ where.T > 0)[first, second]
            meets = torch.where(touch & (meets == 0), len(self._bent) + 1 - number, meets)
        order = meets.argsort(stable=True)
        found = torch.zeros(len(first), len(weights), device=self._device)
        with plain_float32(self._device):
            for part in cut(order, BATCH):
                if meets[part[-1]]:
                    found[part] = self._beyond(weights, reaches, first[part], second[part])
        return found

    def _beyond(
        self, weights: Tensor, reaches: Mapping[fx.Node, Reach], first: Tensor, second: Tensor
    ) -> Tensor:
        """Return (M, R) for a batch. A value that is None is zero."""
        known: dict[fx.Node, Tensor | None] = {}
        for node in self._graph.nodes:
            if node.op == "placeholder":
                known[node] = None
            elif node is self._output:
                return self._of_sums(weights, node, known, len(first))
            elif node in self._of_image:
                inputs = [n for n in node.all_input_nodes if n in self._of_image]
                source = inputs[0]
                if source in self._bent and (kind := self._kind(node)):
                    reach = reaches[source]
                    if known[source] is None and not reach.meet(first, second):
                        known[node] = None
                    else:
                        sides = reach.of_pairs(first, second)
                        known[node] = self._bend(node, kind, known[source], source, sides)
                elif not isinstance(self._values[node], Tensor):
                    known[node] = None
                elif node is not self._last:
                    known[node] = self._linear(node, inputs, known)
        raise AssertionError("a graph has an output")

    def _bend(
        self,
        node: fx.Node,
        kind: str,
        before: Tensor | None,
        source: fx.Node,
        sides: tuple[Tensor, ...],
    ) -> Tensor:
        """Return what a rectifier, or a maximum, leaves of an interaction, and adds to it.

        ``sides``: the least and greatest values of a and of b.
        """
        clean = self._values[source]
        a_low, a_high, b_low, b_high = sides
        if kind == "largest":
            spread = torch.minimum(
                self._pooled(node, source, a_high) + self._pooled(node, source, -a_low),
                self._pooled(node, source, b_high) + self._pooled(node, source, -b_low),
            )
            return spread if before is None else spread + self._pooled(node, source, before)
        size = torch.minimum(torch.maximum(a_high, -a_low), torch.maximum(b_high, -b_low))
        high = clean + a_high.clamp(min=0) + b_high.clamp(min=0)
        low = clean + a_low.clamp(max=0) + b_low.clamp(max=0)
        if before is None:
            return torch.minimum(size, torch.minimum(high, -low)).clamp(min=0)
        bent = torch.minimum(size, torch.minimum(high, -low) + before).clamp(min=0)
        bent = torch.where((high + before <= 0) | (low - before >= 0), 0.0, bent)
        return torch.minimum(before + bent, 2 * (high + before).clamp(min=0))

    def _pooled(self, node: fx.Node, source: fx.Node, values: Tensor) -> Tensor:
        found: Tensor = self._graph.call(node, {source: values})
        return found

    def _linear(
        self, node: fx.Node, inputs: Sequence[fx.Node], known: Mapping[fx.Node, Tensor | None]
    ) -> Tensor | None:
        """Return what a linear operation makes of interactions.

        Raises:
            UnboundedError: the operation is none.
        """
        module, given = self._module(node), known[inputs[0]]
        name = name_of(node, module)
        if name in ("add", "sub") and len(inputs) == 2:
            a, b = known[inputs[0]], known[inputs[1]]
            return b if a is None else a if b is None else a + b
        if len(inputs) > 1:
            raise UnboundedError(f"no bound is known for {name} of several maps")
        if isinstance(module, nn.Conv2d):
            if given is None:
                return None
            found: Tensor = module._conv_forward(given, module.weight.abs(), None)
            return found
        if isinstance(module, nn.Linear):
            return None if given is None else F.linear(given, module.weight.abs())
        if isinstance(module, nn.BatchNorm2d | Normalize):
            return None if given is None else given * scale_of(module, given).abs()
        if isinstance(module, POSITIVE_MODULES) or (module is None and name in POSITIVE):
            if given is None:
                return None
            positive: Tensor = self._graph.call(node, {**self._values, inputs[0]: given})
            return positive
        if name in ("add", "sub") or name == "neg":
            return given
        if name == "mul" or (name == "div" and node.args[0] is inputs[0]):
            other: Any = node.args[1] if node.args[0] is inputs[0] else node.args[0]
            factor = self._values[other] if isinstance(other, fx.Node) else other
            factor = torch.as_tensor(factor, dtype=torch.float32, device=self._device).abs()
            if given is None:
                return None
            return given * factor if name == "mul" else given / factor
        raise UnboundedError(f"no bound is known for {name or node.target}")

    def _of_sums(
        self,
        weights: Tensor,
        output: fx.Node,
        known: Mapping[fx.Node, Tensor | None],
        count: int,
    ) -> Tensor:
        """Return (M, R): what of the last layer's input is in each sum does not add up twice."""
        (last,) = output.all_input_nodes
        if self._last is None:
            given, through = known[last], weights
        else:
            given = known[last.all_input_nodes[0]]
            module = self._module(last)
            assert isinstance(module, nn.Linear)
            through = weights @ module.weight
        if given is None:
            return torch.zeros(count, len(weights), device=self._device)
        return given.flatten(1) @ through.abs().T

    def _prepare(self, image: Tensor, count: int) -> None:
        """Run on the clean image, and look what each operation is.

        Raises:
            UnboundedError: one has no bound, or there is too little memory.
        """
        self._values: dict[fx.Node, Any] = {}
        with plain_float32(self._device):
            self._graph.run(image[None], self._values.__setitem__)
        self._of_image: set[fx.Node] = set()
        self._bent: dict[fx.Node, None] = {}
        for node in self._graph.nodes:
            inputs = [n for n in node.all_input_nodes if n in self._of_image]
            if node.op == "placeholder" or inputs:
                self._of_image.add(node)
            if inputs and self._kind(node):
                self._bent[inputs[0]] = None
        (last,) = self._output.all_input_nodes
        self._last = last if isinstance(self._module(last), nn.Linear) else None
        numbers = sum(self._values[node].numel() for node in self._bent)
        if 2 * 4 * numbers * count * 4 // 3 > MOST_BYTES:
            raise UnboundedError("there is too little memory for all changes of such an image")
        nothing: dict[fx.Node, Tensor | None] = dict.fromkeys(self._graph.nodes)
        for node in self._of_image:
            inputs = [n for n in node.all_input_nodes if n in self._of_image]
            if (
                inputs
                and node is not self._output
                and isinstance(self._values[node], Tensor)
                and not (inputs[0] in self._bent and self._kind(node))
            ):
                self._linear(node, inputs, nothing)

    def _kind(self, node: fx.Node) -> str:
        """Return whether a node is a rectifier, a maximum over windows, or neither."""
        module = self._module(node)
        if name_of(node, module) == "relu":
            return "relu"
        pooling = recognise_pooling(node, module)
        return "largest" if pooling is not None and pooling.fill == "lowest" else ""

    def _module(self, node: fx.Node) -> nn.Module | None:
        return self._graph.modules[str(node.target)] if node.op == "call_module" else None
