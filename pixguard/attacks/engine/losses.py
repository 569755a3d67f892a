"""Losses that dense attacks bring down, beside the margin: published forms, for every objective."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pixguard.attacks.engine.objectives import Objective, reach_target
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.inference.batches import fixed_shape

Loss = Callable[[Tensor, Tensor], Tensor]
"""Maps logits float32 (n, L) and the slots int64 (n,) of their images to what is to be minimised,
float64 (n,)."""
BATCH = 8
"""Images of which rivals are found at a time."""


class Losses:
    """The losses of what a scheduler's slots hold.

    Args:
        classifier: in evaluation mode.
        objective: of the attack.
        clean: bool (S, L), the clean decision of each slot.
        focus: int64 (S,), the class that each slot's objective is about.
    """

    def __init__(
        self, classifier: Classifier, objective: Objective, clean: Tensor, focus: Tensor
    ) -> None:
        self._classifier, self._objective = classifier, objective
        self._clean, self._focus = clean, focus

    @property
    def most_rivals(self) -> int:
        """How many rivals a slot has: the other classes, each label, or the one target."""
        if self._objective is reach_target:
            return 1
        labels = self._classifier.label_count
        return labels - 1 if self._classifier.task == "multi-class" else labels

    def entropy(self, logits: Tensor, slots: Tensor) -> Tensor:
        """The cross-entropy; see :class:`pixguard.attacks.engine.objectives.Objective`."""
        about = (self._clean[slots], self._focus[slots])
        return self._objective.entropy(self._classifier, logits, *about)

    def lead(self, rivals: Tensor) -> Loss:
        """Return the loss by which a slot's rival int64 (S,) still fails to decide.

        Multi-class: how far the clean class leads it. Multi-label: how far the label is from
        flipping. Below zero the attempt has succeeded, where a targeted one's rival leads all.
        """

        def loss(logits: Tensor, slots: Tensor) -> Tensor:
            wide, rival = logits.double(), rivals[slots][:, None]
            clean = self._clean[slots]
            if self._classifier.task == "multi-class":
                own = clean.long().argmax(1, keepdim=True)
                return (wide.gather(1, own) - wide.gather(1, rival))[:, 0]
            distance = wide - self._classifier.thresholds.double().logit()
            return distance.where(clean, -distance).gather(1, rival)[:, 0]

        return loss

    def towards(self, rivals: Tensor) -> Loss:
        """Return the cross-entropy to a slot's rival int64 (S,), or to a label's other state."""
        lead = self.lead(rivals)

        def loss(logits: Tensor, slots: Tensor) -> Tensor:
            if self._classifier.task == "multi-class":
                return -logits.double().log_softmax(1).gather(1, rivals[slots][:, None])[:, 0]
            return -logsigmoid(-lead(logits, slots))

        return loss

    def dlr(self, rivals: Tensor) -> Loss:
        """Return the targeted difference-of-logits ratio (Croce, Hein 2020, equation 7), minimised.

        It needs four classes; with fewer, and with several labels, it is the lead alone.
        """
        lead = self.lead(rivals)
        if self._classifier.task != "multi-class" or self._classifier.label_count < 4:
            return lead

        def loss(logits: Tensor, slots: Tensor) -> Tensor:
            first, _, third, fourth = logits.double().topk(4, dim=1).values.unbind(1)
            return lead(logits, slots) / (first - (third + fourth) / 2 + 1e-12)

        return loss

    def rivals(self, slots: Tensor, images: Tensor) -> Tensor:
        """Return what could decide in the place of the clean decision, the nearest first.

        Args:
            slots: int64 (n,).
            images: their clean images, float32 (n, C, H, W) in [0, 1].

        Returns:
            int64 (n, R), R of :attr:`most_rivals`.
        """
        if self._objective is reach_target:
            return self._focus[slots][:, None]
        with torch.no_grad(), plain_float32(images.device):
            parts = [self._classifier(part) for (part,) in fixed_shape(BATCH, images)]
        wide, clean = torch.cat(parts)[: len(slots)].double(), self._clean[slots]
        if self._classifier.task == "multi-class":
            away = (-wide).masked_fill(clean, torch.inf)
        else:
            distance = wide - self._classifier.thresholds.double().logit()
            away = distance.where(clean, -distance)
        return away.argsort(dim=1, stable=True)[:, : self.most_rivals]
