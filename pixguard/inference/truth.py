"""What every form of evaluation has to give: a classifier's own answers, in float64."""

import copy
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from pixguard.classifiers.classifier import Classifier
from pixguard.inference.base import Evaluator
from pixguard.inference.delta import DeltaEvaluator
from pixguard.inference.dense import DenseEvaluator
from pixguard.inference.form import PRECISIONS, Form
from pixguard.inference.images import with_pixels

EXACT_BOUND = 1e-8
"""How far delta may be from the classifier itself, in float64, relative to the largest logit."""
FLOAT32_BOUND = 2e-4
"""In float32: far above rounding, and below what a wrong pixel, a wrong window or TF32 under the
name of float32 gives (about 1e-3)."""
TIMES_AUTOCAST = 4
"""In less an evaluator may be so many times as far off as the network under torch's autocast: how
far that is depends on the network."""
HEADROOM = 64
"""How much larger values a precision must have room for than those of a few candidates: float16
ends at 65,504, and an attempt with one answer that is not finite has failed."""


class Truth:
    """A classifier's answers to a few candidates in float64.

    There rounding cannot be taken for a fault nor a fault for rounding.
    """

    def __init__(self, classifier: Classifier, height: int, width: int, pixels: int) -> None:
        """The classifier is in evaluation mode; candidates change that many pixels."""
        stream = torch.Generator().manual_seed(0)
        self.classifier, self.shape, self.pixels = classifier, (height, width), pixels
        self.device, channels = classifier.mean.device, classifier.channels
        image = torch.rand(channels, height, width, generator=stream)
        limits = torch.tensor([height, width])
        drawn = (torch.rand(1, pixels, 2, generator=stream) * limits).long()
        corner = torch.zeros(1, pixels, 2, dtype=torch.int64)
        positions = torch.cat([drawn, corner, corner + limits - 1])
        colours = torch.randint(0, 256, (3, pixels, channels), generator=stream).byte()
        owners = torch.zeros(3, dtype=torch.int64)
        self.image = image.to(self.device)
        self.candidates = tuple(part.to(self.device) for part in (owners, positions, colours))
        self.largest = 0.0
        self._bounds = {"float32": FLOAT32_BOUND}

    @cached_property
    def _wide(self) -> Classifier:
        return copy.deepcopy(self.classifier).double()

    @cached_property
    def _expected(self) -> Tensor:
        def look(module: nn.Module, given: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.is_floating_point():
                self.largest = max(self.largest, float(output.abs().max()))

        hooks = [part.register_forward_hook(look) for part in self._wide.modules()]
        with torch.inference_mode():
            images = with_pixels(self.image.double()[None], *self.candidates)
            logits = torch.cat([self._wide(one[None]) for one in images])
        for hook in hooks:
            hook.remove()
        return logits

    def of_windows(self) -> float:
        """Return how far delta in float64 is off, relative to the largest logit.

        Raises:
            Exception: NotTraceableError, or what a node raises that does not run by itself.
        """
        return self.difference(DeltaEvaluator(self._wide, 3, torch.float64))

    def difference(self, evaluator: Evaluator) -> float:
        """Return how far an evaluator is off, relative to the largest logit.

        It is allocated, and has the image in slot 0 afterwards.
        """
        evaluator.allocate(1, *self.shape, self.pixels)
        evaluator.load(0, self.image)
        answers = evaluator.logits(*self.candidates)
        return float((answers - self._expected).abs().max() / self._expected.abs().max())

    def fits(self, precision: str) -> bool:
        """Return whether a precision has room for far larger values than the classifier's."""
        assert self._expected.isfinite().all()
        return self.largest * HEADROOM < torch.finfo(PRECISIONS[precision]).max

    def bound(self, precision: str) -> float:
        """Return how far an evaluator may be off in a precision."""
        if precision not in self._bounds:
            plain = DenseEvaluator(self.classifier, 3, PRECISIONS[precision])
            self._bounds[precision] = max(FLOAT32_BOUND, TIMES_AUTOCAST * self.difference(plain))
        return self._bounds[precision]


class NotRightError(Exception):
    """A form of evaluation does not answer as the classifier does."""


class Forms:
    """Makes evaluators of one classifier in every form, on images of one size."""

    def __init__(self, truth: Truth, memory_bytes: int, dense_batch: int, delta_batch: int) -> None:
        """``memory_bytes`` is all of the device's; the batches are the largest to be tried."""
        self.truth, self._memory_bytes = truth, memory_bytes
        self._dense_batch, self._delta_batch = dense_batch, delta_batch
        self._deltas: dict[str, DeltaEvaluator] = {}

    def make(self, form: Form) -> Evaluator:
        """Return an evaluator, to be allocated; those of delta in one precision share their graph.

        Raises:
            NotTraceableError: there is no delta for this classifier.
        """
        classifier = self.truth.classifier
        if form.evaluator == "dense":
            execution, is_last = form.execution, form.channels_last
            return DenseEvaluator(
                classifier, form.batch, form.dtype, execution=execution, channels_last=is_last
            )
        if form.precision not in self._deltas:
            self._deltas[form.precision] = DeltaEvaluator(classifier, 1, form.dtype)
        made = copy.copy(self._deltas[form.precision])
        made.batch, made.whole_from, made.sets = form.batch, form.whole_from, form.sets
        made.is_captured, made.gathers = form.execution == "captured", form.gathers
        return made

    def checked(self, form: Form) -> Evaluator:
        """Return an evaluator that answers as the classifier does in float64, and is warm.

        Raises:
            NotRightError: it does not.
            Exception: what torch raises where this form is not possible.
        """
        evaluator = self.make(form)
        difference = self.truth.difference(evaluator)
        if not difference <= self.truth.bound(form.precision):  # nor where one is not finite
            raise NotRightError(f"it differs from the classifier by {difference:.2g}")
        if isinstance(evaluator, DeltaEvaluator):
            difference = self._between_parts(evaluator)
            if not difference <= self.truth.bound(form.precision):
                raise NotRightError(f"windows by position differ by {difference:.2g}")
            evaluator.most_slots = max(1, self._memory_bytes // 8 // evaluator.memory()[1])
        return evaluator

    def _between_parts(self, evaluator: DeltaEvaluator) -> float:
        """Return how far windows for fewer places are from those for all, relative to a logit."""
        owners, positions, colours = self.truth.candidates
        *others, (_, everywhere) = evaluator.parts
        found = [0.0]
        for _, part in others:
            given = (owners, part.moved(positions), colours)
            expected = everywhere.evaluated(*given)
            found.append(
                float((part.evaluated(*given) - expected).abs().max() / expected.abs().max())
            )
        return float(torch.tensor(found).max())  # not finite where one is not

    def most(self, evaluator: Evaluator) -> int:
        """Return the largest batch to try."""
        if not isinstance(evaluator, DeltaEvaluator):
            return self._dense_batch
        return min(self._delta_batch, self._memory_bytes // 4 // evaluator.memory()[0])
