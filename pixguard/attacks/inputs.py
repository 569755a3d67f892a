"""What a caller of the Python API hands in, checked and brought to the form the engine takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.external import RecordedNetwork
from pixguard.classifiers.fitting import check_answers
from pixguard.classifiers.outputs import Outputs, as_logits, outputs_problem
from pixguard.errors import is_out_of_memory, reason
from pixguard.records import Task

TRIED = 5
"""Images that a module is tried on before it is attacked."""
TOLERANCE = 1e-4
"""How far a float may be from k / 255 and still be taken for it."""


def check_tensor(name: str, value: Any, *dtypes: torch.dtype) -> None:
    """Raise TypeError unless a value is a tensor of one of the dtypes."""
    if not isinstance(value, Tensor):
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise TypeError(f"{name} must be a torch.Tensor, got {kind}; see torch.as_tensor")
    if value.dtype not in dtypes:
        wanted = " or ".join(str(dtype) for dtype in dtypes)
        raise TypeError(f"{name} must be {wanted}, got {value.dtype}")


def stored_bytes(images: Tensor) -> NDArray[np.uint8]:
    """Return images (N, C, H, W) as uint8 (N, H, W, C), which may share their memory."""
    check_tensor("images", images, torch.uint8, torch.float32, torch.float64)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape[1:]:
        raise ValueError(f"images must be (N, C, H, W), C 1 or 3, got {tuple(images.shape)}")
    last = images.detach().permute(0, 2, 3, 1)
    if images.dtype != torch.uint8:
        scaled = last.double() * 255
        last = scaled.round()
        if not ((last >= 0) & (last <= 255)).all():
            raise ValueError(
                "float images must lie in [0, 1]; those in 0 to 255 are images.to(torch.uint8)"
            )
        if ((scaled - last).abs() > 255 * TOLERANCE).any():
            raise ValueError(
                "pixguard attacks images as they are stored, in 8 bits, and these lie between the "
                "steps k / 255: round them first, images = (images * 255).round() / 255"
            )
    stored: NDArray[np.uint8] = last.to(torch.uint8).contiguous().cpu().numpy()
    return stored


def as_classifier(
    module: nn.Module,
    images: Tensor,
    task: Task | None,
    threshold: float | None,
    outputs: Outputs | None,
) -> Classifier:
    """Return a module as a classifier of images (N, C, H, W), in evaluation mode.

    A Classifier is returned as it is. Another module is tried on some of the images.

    Args:
        module: in evaluation mode; it stays on its device.
        images: those to attack.
        task: of a plain module; None: multi-class.
        threshold: of a plain multi-label module; None: 0.5.
        outputs: what a plain module gives; None: logits, unless they look like probabilities.

    Raises:
        TypeError: the module is not in float32.
        ValueError: it does not run on the images, it does not give logits (N, L), or its outputs
            are not what ``outputs`` says; None: they look like probabilities.
        UsageError: its answers depend on chance, or on the images beside one.
    """
    channels = images.shape[1]
    if isinstance(module, Classifier):
        if module.channels != channels:
            raise ValueError(f"the classifier takes {module.channels} channels, not {channels}")
        return module
    tensors = (*module.parameters(), *module.buffers())
    device = tensors[0].device if tensors else images.device
    wrong = {t.dtype for t in tensors if t.is_floating_point()} - {torch.float32}
    if wrong:
        raise TypeError(f"the classifier must be float32, not {wrong.pop()}: call .float() on it")
    some = images[:TRIED].to(device)
    some = some.float() / 255 if some.dtype == torch.uint8 else some.float()
    if isinstance(module, torch.jit.ScriptModule):
        module = RecordedNetwork(module, "torchscript", differentiable=True)
    try:
        with torch.no_grad():
            logits = module(some if len(some) else torch.zeros(1, *images.shape[1:], device=device))
    except Exception as error:  # it is the user's code
        if is_out_of_memory(error):
            raise
        raise ValueError(
            f"the classifier does not run on float32 images {tuple(some.shape)} (N, C, H, W): "
            f"{reason(error)}"
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != max(1, len(some)):
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"the classifier must return logits (N, L); for {max(1, len(some))} images it gave "
            f"{shape}"
        )
    task, labels = task or "multi-class", logits.shape[1]
    if len(some) and (problem := outputs_problem(logits, outputs, task)):
        raise ValueError(
            f"the classifier's {problem}; pixguard takes logits, or probabilities with "
            "outputs='probabilities', which inverts them; outputs='logits' if they are logits"
        )
    is_one = task == "multi-class" and labels == 1
    network = as_logits(module, outputs or "logits", task, is_one)
    labels += is_one
    mean, std = (0.0,) * channels, (1.0,) * channels
    threshold = 0.5 if threshold is None else threshold
    with device:  # moving the whole afterwards could move the module, too
        classifier = Classifier(network, task, labels, mean, std, threshold)
    classifier.eval()
    if len(some):
        check_answers(classifier, some)
    return classifier


def true_indicators(classifier: Classifier, labels: Tensor, count: int) -> Tensor:
    """Return the labels of ``count`` images as bool (N, L), on the CPU."""
    if classifier.task == "multi-label":
        check_tensor("labels of a multi-label classifier", labels, torch.bool)
        if labels.shape != (count, classifier.label_count):
            wanted = f"({count}, {classifier.label_count})"
            raise ValueError(f"labels must be {wanted}, got {tuple(labels.shape)}")
        return labels.cpu()
    check_classes("labels", labels, classifier, count)
    return nn.functional.one_hot(labels.cpu(), classifier.label_count).bool()


def check_classes(name: str, classes: Tensor, classifier: Classifier, count: int) -> None:
    """Raise unless ``classes`` holds a class ordinal, int64 (N,), for each of ``count`` images."""
    is_integer = isinstance(classes, Tensor) and not (
        classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool
    )
    if is_integer and (classes.dtype != torch.int64 or classes.shape == (count, 1)):
        # As MedMNIST has them.
        wrong = f"got {classes.dtype} {tuple(classes.shape)}; {name}.flatten().long() is that"
        kind = TypeError if classes.dtype != torch.int64 else ValueError
        raise kind(f"{name} must be torch.int64 ({count},), {wrong}")
    check_tensor(name, classes, torch.int64)
    if classes.shape != (count,):
        raise ValueError(f"{name} must be ({count},), got {tuple(classes.shape)}")
    if ((classes < 0) | (classes >= classifier.label_count)).any():
        raise ValueError(f"{name} must lie in [0, {classifier.label_count})")


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode, and every part of it back into its own mode afterwards."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training
