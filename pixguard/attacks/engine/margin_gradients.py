"""The gradients that white-box searches ask for, in batches that fit the device's memory."""

from collections.abc import Callable

import torch
from torch import Tensor

from pixguard.attacks.engine.losses import Loss
from pixguard.attacks.engine.objectives import Objective
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.errors import enough_memory
from pixguard.inference.batches import fixed_shape
from pixguard.models.memory import with_room

BATCH = 8
"""Images of which a search gets gradients at a time: always as many, for the same last bits."""
NOT_EVEN_ONE = "`resume=True`, on a device with more memory or with `device=cpu`"
"""What to do where no batch is small enough."""
NO_ROOM = "the device ran out of memory; going on with"


class MarginGradients:
    """Gives the margin of images in slots, and its gradient; see ``search.Arena``.

    Args:
        classifier: in evaluation mode.
        objective: whose margin it is.
        clean: bool (S, L), the clean decision of each slot.
        focus: int64 (S,), the class that each slot's objective is about.
        say: told when the batch has to be lowered.
    """

    def __init__(
        self,
        classifier: Classifier,
        objective: Objective,
        clean: Tensor,
        focus: Tensor,
        say: Callable[[str], None],
    ) -> None:
        self._classifier, self._objective = classifier, objective
        self._clean, self._focus, self._say = clean, focus, say
        self._batch = BATCH

    def __call__(
        self, slots: Tensor, images: Tensor, loss: Loss | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the margin float64 (n,) and its gradient float32 (n, C, H, W).

        Args:
            slots: int64 (n,), whose images these are.
            images: float32 (n, C, H, W) in [0, 1].
            loss: in the margin's place.

        Raises:
            PixguardError: the device has no room for the gradient of one image.
        """
        with enough_memory("the gradient of one image", NOT_EVEN_ONE):
            return with_room(lambda: self._all(slots, images, loss), self._halve)

    def _all(self, slots: Tensor, images: Tensor, loss: Loss | None) -> tuple[Tensor, Tensor]:
        margins, gradients = [], []
        for slot, image in fixed_shape(self._batch, slots, images):
            with torch.inference_mode(False), torch.enable_grad(), plain_float32(images.device):
                leaf = image.clone().requires_grad_()
                logits = self._classifier(leaf)
                margin = self._margin(logits, slot) if loss is None else loss(logits, slot)
                (gradient,) = torch.autograd.grad(margin.sum(), leaf)
            margins.append(margin.detach())
            gradients.append(gradient)
        return torch.cat(margins)[: len(slots)], torch.cat(gradients)[: len(slots)]

    def _margin(self, logits: Tensor, slots: Tensor) -> Tensor:
        about = (self._clean[slots], self._focus[slots])
        return self._objective.margin(self._classifier, logits, *about)

    def _halve(self) -> bool:
        if self._batch == 1:
            return False
        self._batch //= 2
        self._say(f"{NO_ROOM} the gradients of {self._batch} images at a time")
        return True
