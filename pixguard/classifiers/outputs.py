"""What a network gives, as logits: probabilities inverted, one logit of two classes made two."""

from typing import Literal

import torch
from torch import Tensor, nn

from pixguard.records import Task

Outputs = Literal["logits", "probabilities"]

_LEAST = torch.finfo(torch.float32).tiny
_MOST = 1 - 2.0**-24
"""The least and the greatest probability that has a logit in float32."""
_NEAR = 1e-3
"""How near to the limit a logit is taken to stand at it; the next ones are further away."""
SUM_TOLERANCE = 1e-3
"""How far probabilities of all classes may be from 1 in sum."""
LEAST_TO_TELL = 5
"""Images from which logits that all lie between 0 and 1 are no coincidence."""


class AsLogits(nn.Module):
    """A network with a softmax or a sigmoid at its end, or with one output for two classes.

    The softmax of the logarithms of probabilities is these probabilities, and the sigmoid of their
    logits: decisions and confidences are those of the network. Probabilities of 0 and 1 are taken
    for the nearest that have a logit in float32; what the network knew beyond them is lost
    (:meth:`is_lost`). Of one output the second class is the positive
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

    def is_lost(self, logits: Tensor) -> Tensor:
        """Return, as bool (N,), which images' logits (N, L) stand at the limit of probabilities.

        There every change of an image that leaves it at the limit looks the same to a search, and
        the gradient is zero.
        """
        if self.outputs == "logits":
            return torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
        least, most = torch.tensor([_LEAST, _MOST], dtype=torch.float64).logit().tolist()
        if self.task == "multi-class" and not self.is_one:
            second: Tensor = logits.topk(2, dim=1).values[:, 1]
            return second.le(least + _NEAR)
        alone = logits[:, 1:] if self.is_one else logits
        at_limit: Tensor = (alone <= least + _NEAR) | (alone >= most - _NEAR)
        return at_limit.all(1)


def lost_remark(module: nn.Module, logits: Tensor) -> str | None:
    """Return what is to say where the probabilities of some images are those of no logit.

    Args:
        module: a classifier, perhaps around one.
        logits: (N, L), its answers to images.
    """
    inverted = next((part for part in module.modules() if isinstance(part, AsLogits)), None)
    count = 0 if inverted is None else int(inverted.is_lost(logits).sum())
    if not count:
        return None
    return (
        f"the classifier's probabilities are 0 or 1 to float32 on {count} of {len(logits)} images, "
        "from which no logits come back: every attack is blind there, and its failure no sign of "
        "robustness; a model that ends in its logits has no such limit"
    )


def as_logits(network: nn.Module, outputs: Outputs, task: Task, is_one: bool) -> nn.Module:
    """Return a network that gives logits: the same one where it does so already."""
    if outputs == "logits" and not is_one:
        return network
    return AsLogits(network, outputs, task, is_one)


def innermost(network: nn.Module) -> nn.Module:
    """Return the network that a user brought."""
    return network.network if isinstance(network, AsLogits) else network


def outputs_problem(outputs: Tensor, named: Outputs | None, task: Task) -> str | None:
    """Return what speaks against taking outputs for what they are said to be, None where nothing.

    Args:
        outputs: (N, L), of some images.
        named: what the user says they are; None: nothing, so they would be taken for logits.
        task: multi-class probabilities sum to 1, multi-label ones stand alone.
    """
    if named == "logits":
        return None
    wide = outputs.double()
    is_inside = bool(((wide >= 0) & (wide <= 1)).all())
    is_whole = task == "multi-label" or wide.shape[1] == 1
    is_whole = is_whole or bool(((wide.sum(1) - 1).abs() < SUM_TOLERANCE).all())
    if named == "probabilities":
        if is_inside and is_whole:
            return None
        found = "do not sum to 1" if is_inside else "do not lie between 0 and 1"
        return f"outputs are no probabilities: they {found}"
    if is_inside and is_whole:
        return (
            "outputs look like probabilities: taken for logits, its confidences and the gradients "
            "of attacks would be wrong"
        )
    if is_inside and len(wide) >= LEAST_TO_TELL:
        return (
            "outputs lie between 0 and 1 and do not sum to 1, as those of a sigmoid for each "
            "class: taken for logits, its confidences and the gradients of attacks would be wrong"
        )
    return None
