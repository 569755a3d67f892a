"""Which pixels a decision rests on: Grad-CAM, for searches that look there first.

Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra 2017, "Grad-CAM: Visual Explanations from Deep
Networks via Gradient-based Localization" (ICCV), equations 1 and 2, of the last feature maps that
have places.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from pixguard.attacks.engine.objectives import Objective
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32


class Attention:
    """Gives attention maps of images in slots.

    Args:
        classifier: in evaluation mode.
        objective: whose margin the maps explain.
        clean: bool (S, L), the clean decision of each slot.
        focus: int64 (S,), the class that each slot's objective is about.
    """

    def __init__(
        self, classifier: Classifier, objective: Objective, clean: Tensor, focus: Tensor
    ) -> None:
        self._classifier, self._objective = classifier, objective
        self._clean, self._focus = clean, focus

    def __call__(self, slots: Tensor, images: Tensor) -> Tensor:
        """Return maps float32 (n, H, W), at least 0, larger where more of the margin comes from.

        Where a classifier has no feature maps, or all of a map is 0, it is the length of the
        margin's gradient at each pixel.

        Args:
            slots: int64 (n,), whose images these are.
            images: float32 (n, C, H, W) in [0, 1].
        """
        pairs = zip(slots[:, None].unbind(), images[:, None].unbind(), strict=True)
        # One by one: a map must not depend on which others are made with it.
        return torch.stack([self._map(slot, image) for slot, image in pairs])

    def _map(self, slot: Tensor, image: Tensor) -> Tensor:
        maps: list[Tensor] = []

        def keep(module: nn.Module, given: Any, made: Any) -> None:
            if isinstance(made, Tensor) and made.ndim == 4 and min(made.shape[2:]) > 1:
                maps.append(made)

        handles = [
            module.register_forward_hook(keep)
            for module in self._classifier.modules()
            if not isinstance(module, torch.jit.ScriptModule)
        ]
        try:
            with torch.inference_mode(False), torch.enable_grad(), plain_float32(image.device):
                leaf = image.clone().requires_grad_()
                logits = self._classifier(leaf)
                about = (self._clean[slot], self._focus[slot])
                margin = self._objective.margin(self._classifier, logits, *about)
                wanted = [*maps[-1:], leaf]
                found = torch.autograd.grad(margin.sum(), wanted, allow_unused=True)
        finally:
            for handle in handles:
                handle.remove()
        if maps and found[0] is not None:
            weights = found[0].mean((2, 3), keepdim=True)
            cam = (weights * maps[-1].detach()).sum(1, keepdim=True).relu()
            if cam.any():
                size = image.shape[2:]
                return interpolate(cam, size, mode="bilinear", align_corners=False)[0, 0]
        gradient: Tensor = torch.zeros_like(image) if found[-1] is None else found[-1]
        return gradient[0].square().sum(0).sqrt()
