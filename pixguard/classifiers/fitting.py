"""Does a user's classifier fit a dataset? Asked of the classifier itself, on real images."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.classifiers.external import RecordedNetwork
from pixguard.classifiers.outputs import innermost
from pixguard.errors import UsageError, is_out_of_memory, reason
from pixguard.records import DatasetInfo

NEEDED = (1, 2, 3, 5)
"""Batches that must run: an image is judged alone, and candidates in batches of any size."""
OTHERS = (4, 8, 10, 16, 20, 32, 50, 64, 100, 128)
SIDES = (28, 32, 64, 96, 128, 224, 256, 299)
"""Tried to tell what a classifier takes that does not take the images."""
TOLERANCE = 1e-3
"""How far logits may depend on the batch, relative to the largest: kernels differ by rounding."""


def check_fit(classifier: Classifier, images: Tensor, info: DatasetInfo) -> bool:
    """Raise unless a classifier gives every image of a dataset an answer of its own.

    Args:
        classifier: in evaluation mode, on the images' device.
        images: float32 (N, C, H, W) in [0, 1], at least one.
        info: of their dataset.

    Returns:
        Whether gradients flow back to the images.

    Raises:
        UsageError: it does not run on such images or on batches of any size, gives another number
            of outputs or values that are not finite, or an image's answer depends on chance or on
            the images beside it.
    """
    some = images[torch.arange(max(NEEDED)) % len(images)]
    with torch.no_grad(), plain_float32(images.device):
        _check_batches(classifier, some, info)
        _check_outputs(classifier(some), info)
    check_answers(classifier, images)
    return _differentiable(classifier, images[:1])


def check_answers(classifier: Classifier, images: Tensor) -> None:
    """Raise unless a classifier's answer to an image is always the same, and its own.

    Args:
        classifier: in evaluation mode, on the images' device.
        images: float32 (N, C, H, W) in [0, 1], at least one.

    Raises:
        UsageError: it depends on chance or on the images beside it.
    """
    some = images[torch.arange(max(NEEDED)) % len(images)]
    with torch.no_grad(), plain_float32(images.device):
        together = classifier(some)
        largest = max(1.0, float(together.abs().max()))
        if not torch.equal(together, classifier(some)):
            raise UsageError("two answers to the same images differ", _evaluation_mode(classifier))
        alone = torch.cat([classifier(image[None]) for image in some])
        difference = float((together - alone).abs().max()) / largest
    if difference > TOLERANCE:
        raise UsageError(
            "the answer to an image depends on the images beside it: the logits differ by "
            f"{difference:.2g} of the largest",
            _evaluation_mode(classifier),
        )


def _check_batches(classifier: Classifier, some: Tensor, info: DatasetInfo) -> None:
    channels, (height, width) = info.channels, some.shape[2:]
    shape = (channels, height, width)
    errors = {n: _error(classifier, some[:n]) for n in NEEDED}
    failing = {n: error for n, error in errors.items() if error is not None}
    if not failing:
        return
    running = [n for n in (*NEEDED, *OTHERS) if _runs(classifier, n, shape)]
    if running:
        raise UsageError(
            f"the model runs on batches of {_listed(running)} images only, and batches of any size "
            f"are needed, one image among them ({next(iter(failing.values()))})",
            _dynamic_batch(classifier),
        )
    wanted = [c for c in (1, 3) if c != channels and _any(classifier, (c, height, width))]
    if wanted:
        step = "mean(1, keepdim=True)" if wanted[0] == 1 else "expand(-1, 3, -1, -1)"
        raise UsageError(
            f"the model takes images of {wanted[0]} channels; those of {info.name!r} have "
            f"{channels}",
            f"a model that takes {channels}, such as one whose first step is images.{step}",
        )
    sides = [s for s in SIDES if (s, s) != (height, width) and _any(classifier, (channels, s, s))]
    told = next(iter(failing.values()))
    raise UsageError(
        f"the model does not run on images of {channels} x {height} x {width} ({told})",
        f"`size={sides[0]}`" if sides else "check what images the model takes",
    )


def _check_outputs(outputs: object, info: DatasetInfo) -> None:
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise UsageError(
            f"the model must return logits (images, classes), and returned {found}",
            "wrap it in a module that returns the logits alone",
        )
    if outputs.shape[1] != info.label_count:
        names = ", ".join(c.name for c in info.classes[:8])
        raise UsageError(
            f"the model has {outputs.shape[1]} outputs; {info.name!r} has {info.label_count} "
            f"classes: {names}",
            "a model of these classes, in this order",
        )
    if not outputs.isfinite().all():
        raise UsageError(
            "the model's outputs are not finite", "check its weights, and `mean=...` and `std=...`"
        )


def _differentiable(classifier: Classifier, image: Tensor) -> bool:
    try:
        with torch.enable_grad(), plain_float32(image.device):
            leaf = image.clone().requires_grad_()
            torch.autograd.grad(classifier(leaf).sum(), leaf)
    except Exception as error:  # whatever a recorded operation without a gradient raises
        if is_out_of_memory(error):
            raise
        return False
    return True


def _error(classifier: Classifier, images: Tensor) -> str | None:
    try:
        classifier(images)
    except Exception as error:  # it is the user's code
        if is_out_of_memory(error):
            raise
        return reason(error)
    return None


def _runs(classifier: Classifier, count: int, shape: Sequence[int]) -> bool:
    # The network, not the classifier: normalisation would broadcast one channel to three.
    network, device = classifier.network, classifier.mean.device
    try:
        network(torch.zeros(count, *shape, device=device))
    except Exception as error:  # it is the user's code
        if is_out_of_memory(error):
            raise
        return False
    return True


def _any(classifier: Classifier, shape: Sequence[int]) -> bool:
    return any(_runs(classifier, n, shape) for n in (*NEEDED, *OTHERS))


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def _dynamic_batch(classifier: Classifier) -> str:
    network = innermost(classifier.network)
    if isinstance(network, RecordedNetwork) and network.recorded_as == "exported":
        return (
            "export it with a dynamic batch: torch.export.export(model, (images,), "
            'dynamic_shapes=({0: torch.export.Dim("batch")},)), with two images or more'
        )
    return "write flatten(1) or view(images.shape[0], -1) where the batch is a number now"


def _evaluation_mode(classifier: Classifier) -> str:
    if isinstance(innermost(classifier.network), RecordedNetwork):
        return "call model.eval() before you save or export it"
    return "a network without chance and batch statistics in evaluation mode"
