"""The plain evaluator: build the images, run the classifier on full batches."""

import torch
from torch import Tensor

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.inference.images import with_pixels


class DenseEvaluator:
    """Runs the classifier on every candidate image, in batches of one fixed shape.

    Kernels may differ in the last bit between batch shapes, never between the rows of one: a fixed
    shape keeps a candidate's logits independent of how many others are evaluated with it.
    """

    name = "dense"
    precision = "float32"

    def __init__(self, classifier: Classifier, batch: int) -> None:
        self.classifier = classifier
        self.batch = batch

    @torch.inference_mode()
    def logits(self, images: Tensor, owners: Tensor, positions: Tensor, colours: Tensor) -> Tensor:
        """Evaluate candidates; see :class:`pixguard.inference.base.Evaluator`."""
        count = len(owners)
        missing = -count % self.batch
        if missing:  # the last batch is filled up by repeating its last candidate
            filler = torch.full((missing,), count - 1, device=owners.device)
            order = torch.cat([torch.arange(count, device=owners.device), filler])
            owners, positions, colours = owners[order], positions[order], colours[order]
        with plain_float32(images.device):
            outputs = [
                self.classifier(with_pixels(images, owners[part], positions[part], colours[part]))
                for part in (slice(i, i + self.batch) for i in range(0, count, self.batch))
            ]
        return torch.cat(outputs)[:count].float()


CPU_PIXELS, GPU_PIXELS = 200 * 64 * 64, 2000 * 64 * 64
"""Image pixels in a batch: two populations of 64 x 64 on a CPU, and what an 8 GiB GPU takes of a
ResNet50's activations with room to spare."""


def automatic_batch(device: torch.device, size: int) -> int:
    """Return how many candidates to evaluate at a time on a device, for images of a side."""
    pixels, most = (CPU_PIXELS, 200) if device.type == "cpu" else (GPU_PIXELS, 4000)
    return max(1, min(most, pixels // size**2))
