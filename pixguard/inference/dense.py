"""The plain evaluator: build the images, run the classifier on full batches."""

from collections.abc import Callable

import torch
from torch import Tensor

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.inference.batches import fixed_shape
from pixguard.inference.captured import Captured
from pixguard.inference.form import Execution, Form
from pixguard.inference.images import with_pixels


class DenseEvaluator:
    """Runs the classifier on every candidate image, in batches of one fixed shape.

    ``execution`` and ``channels_last`` are those of :class:`pixguard.inference.form.Form`.
    """

    name = "dense"
    most_slots = 4096
    sets = 1

    def __init__(
        self,
        classifier: Classifier,
        batch: int,
        dtype: torch.dtype = torch.float32,
        *,
        execution: Execution = "eager",
        channels_last: bool = False,
    ) -> None:
        self.classifier = classifier
        self.batch = batch
        self.precision = str(dtype).removeprefix("torch.")
        self.variant = Form("dense", self.precision, batch, execution, channels_last).variant
        self._execution, self._dtype = execution, dtype
        # Tensor cores want the channels last.
        is_last = channels_last or dtype != torch.float32
        self._layout = torch.channels_last if is_last else torch.contiguous_format
        self._network: Callable[[Tensor], Tensor] = classifier
        if execution == "compiled":
            self._network = torch.compile(classifier, dynamic=False)

    def allocate(self, slots: int, height: int, width: int, pixels: int) -> None:
        """Make room for clean images; see :class:`pixguard.inference.base.Evaluator`."""
        self._images = torch.zeros(
            slots, self.classifier.channels, height, width, device=self.classifier.mean.device
        )
        self._make_step()

    def _make_step(self) -> None:
        """Let a captured step be captured anew: for other images, or another batch."""
        self._step: Callable[..., Tensor] = self._run
        if self._execution == "captured":
            self._step = Captured(self._run)
        self._made_for = self.batch

    def load(self, slot: int, image: Tensor) -> None:
        """Take a slot's clean image, float32 (C, H, W) in [0, 1]."""
        self._images[slot] = image

    @torch.inference_mode()
    def logits(self, owners: Tensor, positions: Tensor, colours: Tensor) -> Tensor:
        """Evaluate candidates; see :class:`pixguard.inference.base.Evaluator`."""
        if self._made_for != self.batch:
            self._make_step()
        parts = fixed_shape(self.batch, owners, positions, colours)
        if self._dtype == torch.float32:
            with plain_float32(self._images.device):
                outputs = [self._step(*part) for part in parts]
        else:
            with torch.autocast(self._images.device.type, self._dtype):
                outputs = [self._step(*part) for part in parts]
        return torch.cat(outputs)[: len(owners)].float()

    def _run(self, owners: Tensor, positions: Tensor, colours: Tensor) -> Tensor:
        images = with_pixels(self._images, owners, positions, colours)
        return self._network(images.contiguous(memory_format=self._layout))


CPU_PIXELS, GPU_PIXELS = 200 * 64 * 64, 2000 * 64 * 64
"""Image pixels in a batch: two populations of 64 x 64 on a CPU, and what an 8 GiB GPU takes of a
ResNet50's activations with room to spare."""


def automatic_batch(device: torch.device, size: int) -> int:
    """Return how many candidates to evaluate at a time on a device, for images of a side."""
    pixels, most = (CPU_PIXELS, 200) if device.type == "cpu" else (GPU_PIXELS, 4000)
    return max(1, min(most, pixels // size**2))
