"""What a network gives, as logits: probabilities inverted, one logit of two classes made two."""

from typing import Literal

import torch
from torch import Tensor, nn

from pixguard.records import Task

Outputs = Literal["logits", "probabilities"]

_LEAST = torch.finfo(torch.float32).tiny
_MOST = 1 - 2.0**-24
"""The least and the greatest probability that has a logit in float32."""


class AsLogits(nn.Module):
    """A network with a softmax or a sigmoid at its end, or with one output for two classes.

    The softmax of the logarithms of probabilities is these probabilities, and the sigmoid of their
    logits: decisions and confidences are those of the network. Probabilities of 0 and 1 are taken
    for the nearest that have a logit in float32. Of one output the second class is the positive
    one: softmax(0, z) = sigmoid(z).

    Attributes:
        network: maps images to outputs (N, L), or (N, 1).
        outputs: what these are.
        task: multi-class outputs sum to 1, multi-label ones stand alone.
        is_one: whether one output is to be two.
    """

    def __init__(self, network: nn.Module, outputs: Outputs, task: Task, is_one: bool) -> None:
        super().__init__()
        self.network = network
        self.outputs = outputs
        self.task = task
        self.is_one = is_one

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, L) of normalised images (N, C, H, W)."""
        given: Tensor = self.network(images)
        if self.outputs == "probabilities":
            alone = self.task == "multi-label" or self.is_one
            given = given.clamp(_LEAST, _MOST if alone else 1.0)
            given = given.logit() if alone else given.log()
        return torch.cat([torch.zeros_like(given), given], 1) if self.is_one else given


def as_logits(network: nn.Module, outputs: Outputs, task: Task, is_one: bool) -> nn.Module:
    """Return a network that gives logits: the same one where it does so already."""
    if outputs == "logits" and not is_one:
        return network
    return AsLogits(network, outputs, task, is_one)


def innermost(network: nn.Module) -> nn.Module:
    """Return the network that a user brought."""
    return network.network if isinstance(network, AsLogits) else network


def look_like_probabilities(outputs: Tensor, task: Task) -> bool:
    """Tell whether outputs (N, L) lie in [0, 1] and, of several classes, sum to 1."""
    wide = outputs.double()
    inside = bool(((wide >= 0) & (wide <= 1)).all())
    sums_to_one = wide.shape[1] > 1 and bool(((wide.sum(1) - 1).abs() < 1e-3).all())
    return inside and (task == "multi-label" or wide.shape[1] == 1 or sums_to_one)
