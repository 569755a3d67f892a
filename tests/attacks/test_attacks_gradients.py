"""Classifiers whose answers would mislead an attack: told before, in the API and on the way."""

import pytest
import torch
from torch import Tensor, nn

from pixguard.attacks import Corner, SigmaZero, SparseRS
from pixguard.errors import UsageError


class Network(nn.Module):
    """Tells whether the upper half is lighter than the lower one; with a flaw inside."""

    def __init__(self, flaw: str = "") -> None:
        super().__init__()
        self.flaw = flaw
        self.weight = nn.Parameter(torch.cat([torch.ones(4, 8), -torch.ones(4, 8)]))

    def forward(self, images: Tensor) -> Tensor:
        if self.flaw == "rounds":
            images = (images * 255).round() / 255
        if self.flaw == "drops":
            images = nn.functional.dropout(images, 0.1)
        score = (images[:, 0] * self.weight).sum((1, 2))
        if self.flaw == "mixes":
            score = score - score.mean()
        if self.flaw == "ascends":  # its gradient points the wrong way
            score = 2 * score.detach() - score
        logits = torch.stack([score, -score], 1)
        return logits.softmax(1) if self.flaw == "softmax" else logits


def images() -> tuple[Tensor, Tensor]:
    made = torch.randint(0, 256, (6, 1, 8, 8), generator=torch.Generator().manual_seed(3))
    labels = Network()(made / 255).argmax(1)
    return made.to(torch.uint8), labels


@pytest.mark.parametrize("flaw", ["rounds", "ascends"])
@pytest.mark.parametrize("attack", [SigmaZero, Corner])
def test_gradients_that_point_nowhere_are_told(attack: type, flaw: str) -> None:
    with pytest.warns(RuntimeWarning, match="no sign of robustness"):
        attack(Network(flaw), 1, queries=20)(*images())


def test_what_needs_no_gradient_or_has_one_is_quiet(recwarn: pytest.WarningsRecorder) -> None:
    SparseRS(Network("rounds"), 1, queries=20)(*images())
    Corner(Network("rounds"), 1, queries=20, order="grid")(*images())
    SigmaZero(Network(), 1, queries=20)(*images())
    assert not [w for w in recwarn if "robustness" in str(w.message)]


@pytest.mark.parametrize("flaw", ["drops", "mixes"])
def test_answers_by_chance_or_by_company_are_refused(flaw: str) -> None:
    with pytest.raises(UsageError, match="differ"):
        SparseRS(Network(flaw), 1, queries=20)(*images())


def test_probabilities_are_refused_until_they_are_named() -> None:
    with pytest.raises(ValueError, match="outputs='probabilities'"):
        SigmaZero(Network("softmax"), 1, queries=50)(*images())
    logits = SigmaZero(Network(), 1, queries=50)(*images())
    inverted = SigmaZero(Network("softmax"), 1, queries=50, outputs="probabilities")(*images())
    assert torch.equal(logits.success, inverted.success)
    assert logits.success.any()
