"""The plain evaluator: build the images, run the classifier on full batches."""

import torch
from torch import Tensor

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.inference.batches import fixed_shape
from pixguard.inference.images import with_pixels


class DenseEvaluator:
    """Runs the classifier on every candidate image, in batches of one fixed shape."""

    name = "dense"
    most_slots = 4096

    def __init__(
        self, classifier: Classifier, batch: int, dtype: torch.dtype = torch.float32
    ) -> None:
        self.classifier = classifier
        self.batch = batch
        self.precision = str(dtype).removeprefix("torch.")
        self._dtype = dtype

    def allocate(self, slots: int, height: int, width: int, pixels: int) -> None:
        """Make room for clean images; see :class:`pixguard.inference.base.Evaluator`."""
        self._images = torch.zeros(
            slots, self.classifier.channels, height, width, device=self.classifier.mean.device
        )

    def load(self, slot: int, image: Tensor) -> None:
        """Take a slot's clean image, float32 (C, H, W) in [0, 1]."""
        self._images[slot] = image

    @torch.inference_mode()
    def logits(self, owners: Tensor, positions: Tensor, colours: Tensor) -> Tensor:
        """Evaluate candidates; see :class:`pixguard.inference.base.Evaluator`."""
        outputs = [
            self._run(with_pixels(self._images, *part))
            for part in fixed_shape(self.batch, owners, positions, colours)
        ]
        return torch.cat(outputs)[: len(owners)].float()

    def _run(self, images: Tensor) -> Tensor:
        device = images.device
        if self._dtype == torch.float32:
            with plain_float32(device):
                return self._logits(images)
        # Tensor cores want the channels last.
        with torch.autocast(device.type, self._dtype):
            return self._logits(images.contiguous(memory_format=torch.channels_last))

    def _logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(images)
        return logits


CPU_PIXELS, GPU_PIXELS = 200 * 64 * 64, 2000 * 64 * 64
"""Image pixels in a batch: two populations of 64 x 64 on a CPU, and what an 8 GiB GPU takes of a
ResNet50's activations with room to spare."""


def automatic_batch(device: torch.device, size: int) -> int:
    """Return how many candidates to evaluate at a time on a device, for images of a side."""
    pixels, most = (CPU_PIXELS, 200) if device.type == "cpu" else (GPU_PIXELS, 4000)
    return max(1, min(most, pixels // size**2))
