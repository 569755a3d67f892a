"""The plain evaluator: build the images, run the classifier on full batches."""

import torch
from torch import Tensor

from pixguard.classifiers.classifier import Classifier
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
        outputs = [
            self.classifier(with_pixels(images, owners[part], positions[part], colours[part]))
            for part in (slice(i, i + self.batch) for i in range(0, count, self.batch))
        ]
        return torch.cat(outputs)[:count].float()


def automatic_batch(device: torch.device, size: int) -> int:
    """Return how many candidates to evaluate at a time on a device, for images of a side.

    On a CPU two populations fill the caches; a GPU takes what fits comfortably beside the
    activations of a ResNet50 at that size.
    """
    if device.type == "cpu":
        return 200
    return 4000 if size <= 64 else 1000 if size <= 224 else 200
