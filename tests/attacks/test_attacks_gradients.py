"""Classifiers whose answers would mislead an attack: told before, in the API and on the way."""

import io
import warnings
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from pixguard.attacks import Corner, SigmaZero, SparseRS
from pixguard.classifiers.outputs import AsLogits
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
        if self.flaw == "detaches":
            score = score.detach()
        if self.flaw == "ascends":  # its gradient points the wrong way
            score = 2 * score.detach() - score
        logits = torch.stack([score, -score], 1)
        if self.flaw == "saturates":
            return (1e3 * logits).softmax(1)
        if self.flaw == "sigmoid":
            return logits.sigmoid() / 2  # no two classes of it sum to 1
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


@pytest.mark.parametrize(
    ("flaw", "outputs", "told"),
    [
        ("sigmoid", None, "do not sum to 1"),
        ("sigmoid", "probabilities", "do not sum to 1"),
        ("", "probabilities", "do not lie between 0 and 1"),
    ],
)
def test_outputs_that_are_not_what_they_are_said_to_be_are_refused(
    flaw: str, outputs: Literal["probabilities"] | None, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        SparseRS(Network(flaw), 1, queries=20, outputs=outputs)(*images())
    SparseRS(Network(flaw), 1, queries=20, outputs="logits")(*images())


@pytest.mark.parametrize("attack", [SigmaZero, Corner])
def test_a_classifier_without_gradients_is_refused_before_the_attack(attack: type) -> None:
    with pytest.raises(UsageError, match="gives no gradient"):
        attack(Network("detaches"), 1, queries=20)(*images())


def test_errors_from_python_say_what_was_wrong_with_what_was_given() -> None:
    """Not what torch makes of it somewhere inside."""
    made, labels = images()
    attack = SparseRS(Network(), 1, queries=20)
    gray = SparseRS(nn.Sequential(nn.Conv2d(1, 2, 8), nn.Flatten()), 1, queries=20)
    with pytest.raises(ValueError, match=r"does not run on float32 images \(5, 3, 8, 8\)"):
        gray(made.expand(-1, 3, -1, -1), labels)
    with pytest.raises(TypeError, match=r"labels.flatten\(\).long\(\)"):
        attack(made, labels[:, None].to(torch.uint8))
    with pytest.raises(ValueError, match=r"labels.flatten\(\).long\(\)"):
        attack(made, labels[:, None])
    with pytest.raises(ValueError, match=r"images.to\(torch.uint8\)"):
        attack(made.float(), labels)


def test_a_torchscript_program_gives_the_answers_of_its_network_without_a_noise() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)  # another may give answers that look like probabilities
        network, file = nn.Sequential(nn.Conv2d(1, 2, 8), nn.Flatten()).eval(), io.BytesIO()
    labels = network(images()[0] / 255).argmax(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # that torch.jit is going
        torch.jit.save(torch.jit.script(network), file)  # type: ignore[no-untyped-call]
        file.seek(0)
        program = torch.jit.load(file)  # type: ignore[no-untyped-call]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        scripted = SparseRS(program, 1, queries=20)(images()[0], labels)
    assert len(said) == 1
    assert str(said[0].message).startswith("delta evaluation is not possible")
    plain = SparseRS(network, 1, queries=20, evaluator="dense")(images()[0], labels)
    assert torch.equal(scripted.images, plain.images)


@pytest.mark.parametrize("attack", [SigmaZero, SparseRS])
def test_probabilities_at_the_limit_of_float32_are_told(attack: type) -> None:
    """No logits come back from 0 and 1: every attack is blind, not those of gradients alone."""
    with pytest.warns(RuntimeWarning, match=r"0 or 1 to float32 on [1-6] of 6 images"):
        attack(Network("saturates"), 1, queries=20, outputs="probabilities")(*images())


def test_logits_are_lost_where_the_probabilities_of_the_two_best_classes_are_no_longer_two() -> (
    None
):
    given = torch.tensor([[0.0, 200.0, 150.0], [0.0, 10.0, -200.0], [1.0, 2.0, 3.0]])
    softmax = AsLogits(nn.Softmax(1), "probabilities", "multi-class", is_one=False)
    assert softmax.is_lost(softmax(given)).tolist() == [False, False, False]
    given[1, 0] = -100
    assert softmax.is_lost(softmax(given)).tolist() == [False, True, False]
    sigmoid = AsLogits(nn.Sigmoid(), "probabilities", "multi-label", is_one=False)
    assert sigmoid.is_lost(sigmoid(torch.tensor([[30.0, 1.0], [30.0, -100.0]]))).tolist() == [0, 1]
    one = AsLogits(nn.Sigmoid(), "probabilities", "multi-class", is_one=True)
    assert one.is_lost(one(torch.tensor([[30.0], [-100.0], [15.0], [-80.0]]))).tolist() == [
        True,
        True,
        False,
        False,
    ]
