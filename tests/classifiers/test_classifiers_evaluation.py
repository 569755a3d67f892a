import numpy as np
import pytest
import torch

from pixguard.classifiers.builders import build_classifier
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import (
    canonical_logits,
    judge,
    plain_float32,
    predict,
)
from pixguard.datasets.base import ImageDataset
from pixguard.models.inputs import to_unit_range

CPU = torch.device("cpu")


@pytest.fixture
def classifier(stripes: ImageDataset) -> Classifier:
    return build_classifier("small-cnn", stripes.info, seed=2)


def test_decisions_do_not_depend_on_neighbours(
    classifier: Classifier, stripes: ImageDataset
) -> None:
    images = stripes.images(range(20))
    together = judge(classifier, images, device=CPU)
    backwards = judge(classifier, images[::-1], device=CPU)[::-1]
    alone = [judge(classifier, image[None], device=CPU)[0] for image in images]
    assert together == backwards == alone
    assert len({decision.confidence for decision in together}) > 10


def test_decisions_agree_with_numpy_softmax(classifier: Classifier, stripes: ImageDataset) -> None:
    image = stripes.images([3])
    logits = canonical_logits(classifier, to_unit_range(image, CPU)).double().numpy()[0]
    exponents = np.exp(logits - logits.max())
    (decision,) = judge(classifier, image, device=CPU)
    assert decision.label_set == (int(logits.argmax()),)
    assert decision.confidence == pytest.approx(exponents.max() / exponents.sum(), abs=1e-12)


def test_predictions_follow_the_indices(classifier: Classifier, stripes: ImageDataset) -> None:
    indices = np.array([59, 3, 17])
    records = predict(classifier, stripes, indices, device=CPU)
    decisions = judge(classifier, stripes.images(indices), device=CPU)
    assert [r.image_index for r in records] == [59, 3, 17]
    assert [(r.predicted, r.confidence) for r in records] == [
        (d.label_set, d.confidence) for d in decisions
    ]
    assert predict(classifier, stripes, [], device=CPU) == []


def test_autocast_outside_does_not_reach_the_evaluation(
    classifier: Classifier, stripes: ImageDataset
) -> None:
    image = to_unit_range(stripes.images([0]), CPU)
    expected = canonical_logits(classifier, image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(canonical_logits(classifier, image), expected)


def test_a_gpu_is_kept_from_reduced_precision_and_set_back() -> None:
    """The switches exist without a GPU; what they do there, only a GPU can show."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul

    def switches() -> tuple[str, str, bool, bool]:
        return (
            cudnn.conv.fp32_precision,
            matmul.fp32_precision,
            cudnn.benchmark,
            cudnn.deterministic,
        )

    before = switches()
    with plain_float32(torch.device("cuda")):
        assert switches() == ("ieee", "ieee", False, True)
    assert switches() == before != ("ieee", "ieee", False, True)


def test_misuse_is_refused(classifier: Classifier) -> None:
    with pytest.raises(ValueError, match="one float32 image"):
        canonical_logits(classifier, torch.zeros(2, 1, 12, 12))
    with pytest.raises(ValueError, match="one float32 image"):
        canonical_logits(classifier, torch.zeros(1, 1, 12, 12, dtype=torch.float64))
    with pytest.raises(ValueError, match="training mode"):
        canonical_logits(classifier.train(), torch.zeros(1, 1, 12, 12))


def test_bytes_become_the_unit_range() -> None:
    images = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    tensor = to_unit_range(images, CPU)
    assert tensor.shape == (2, 3, 3, 4) and tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    expected = images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    assert np.array_equal(tensor.numpy(), expected)
