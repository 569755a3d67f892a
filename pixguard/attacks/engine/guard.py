"""A detector beside the classifier: an attack succeeds where it fools one and the other is silent.

An adaptive attack on the pair (Tramèr et al., NeurIPS 2020). Candidates that raise the alarm take
their places behind all that do not, in the order of their scores, whatever the classifier says of
them (Deb, Computer Methods in Applied Mechanics and Engineering 186, 2000): a search that follows
answers is led along what the detector lets pass.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pixguard.classifiers.evaluation import plain_float32
from pixguard.defences.detectors.scoring import score_images

BATCH = 64
WORST = 1e6
"""Above the fitness of whatever raises no alarm: a probability, or a difference of logits."""
SLACK = 1e-5
"""What scores in batches may lie above those of an image alone, which decide."""


class Guard:
    """A trained detector, in evaluation mode, under whose alarm attacks have to stay.

    Args:
        detector: maps images (N, C, H, W) in [0, 1] to scores float64 (N,), above 0 an alarm.
        only_fooling: it is asked about candidates that fool the classifier alone, which spares its
            time where a search is not led by what it says of others.
        batch: candidates scored at a time; always as many, for kernels differ between sizes.
    """

    def __init__(
        self, detector: nn.Module, *, only_fooling: bool = False, batch: int = BATCH
    ) -> None:
        self._detector, self._only_fooling, self._batch = detector, only_fooling, batch

    def score(self, image: Tensor) -> float:
        """Return the score of one image (1, C, H, W), as :mod:`pixguard detect` gives it."""
        return float(score_images(self._detector, image))

    def judge(
        self, images: Callable[[Tensor], Tensor], fitness: Tensor, success: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return fitness float64 (N,) and success bool (N,) in the face of the detector.

        Args:
            images: makes float32 (n, C, H, W) of candidates, given by their numbers int64 (n,).
            fitness: of the classifier alone; what is not finite stays so.
            success: likewise.
        """
        known = fitness.isfinite()
        asked = ((success & known) if self._only_fooling else known).nonzero()[:, 0]
        scores = torch.full_like(fitness, -torch.inf)
        size = self._batch
        for start in range(0, len(asked), size):
            part = asked[start : start + size]
            full = torch.cat([part, part[:1].expand(size - len(part))])
            with torch.inference_mode(), plain_float32(fitness.device):
                found = self._detector(images(full))[: len(part)]
            scores[part] = found.to(fitness.dtype).nan_to_num(nan=torch.inf).clone()
        alarmed = scores > SLACK
        worse = WORST + scores.clamp(max=WORST)
        return fitness.where(~alarmed, worse), success & ~alarmed
