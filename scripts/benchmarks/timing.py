"""Time, queries and memory, measured alike for everybody."""

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from pixguard.classifiers.classifier import Classifier
from pixguard.inference.base import Evaluator

ACTIVATIONS_ALIVE = 6
"""How many of its largest activations a network is taken to hold at a time."""


def synchronised(device: torch.device) -> float:
    """Return the time in seconds, after the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@dataclass(slots=True)
class Clock:
    """Seconds spent in the parts of a program, by name; parts must not call each other."""

    device: torch.device
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def around(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        """Return the function, its time counted for a part."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = synchronised(self.device)
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[part] += synchronised(self.device) - started

        return timed

    @contextmanager
    def watching(self, *places: tuple[Any, str, str]) -> Iterator[None]:
        """Time what is called through ``(owner, attribute, part)`` while this lasts."""
        with ExitStack() as stack:
            for owner, name, part in places:
                function = self.around(getattr(owner, name), part)
                stack.enter_context(mock.patch.object(owner, name, function))
            yield


@contextmanager
def counted(module: nn.Module) -> Iterator[list[int]]:
    """Yield a list whose only entry counts the images that the module is given."""
    count = [0]

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        count[0] += len(inputs[0])

    handle = module.register_forward_pre_hook(look)
    try:
        yield count
    finally:
        handle.remove()


@torch.inference_mode()
def bytes_per_candidate(classifier: Classifier, size: int) -> int:
    """Return a rough upper estimate of the activations that one image needs, in bytes."""
    largest = 0

    def look(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal largest
        if isinstance(output, Tensor):
            largest = max(largest, output.numel() * output.element_size())

    handles = [module.register_forward_hook(look) for module in classifier.modules()]
    image = torch.zeros(1, classifier.channels, size, size, device=classifier.mean.device)
    classifier(image)
    for handle in handles:
        handle.remove()
    return ACTIVATIONS_ALIVE * largest


def within_memory(classifier: Classifier, size: int, batches: list[int], gib: float) -> list[int]:
    """Return the batches whose activations fit into some memory; at least the smallest."""
    most = gib * 2**30 / bytes_per_candidate(classifier, size)
    return [batch for batch in sorted(batches) if batch <= most] or [min(batches)]


def random_candidates(
    count: int, slots: int, shape: tuple[int, int, int], pixels: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return owners (N,), positions (N, k, 2) and colours (N, k, C), always the same.

    Args:
        count: N.
        slots: how many images they are of.
        shape: height, width and channels of the images.
        pixels: k.
        device: where they are wanted.
    """
    height, width, channels = shape
    generator = torch.Generator().manual_seed(0)
    owners = torch.randint(slots, (count,), generator=generator)
    rows = torch.randint(height, (count, pixels), generator=generator)
    cols = torch.randint(width, (count, pixels), generator=generator)
    colours = torch.randint(256, (count, pixels, channels), generator=generator).to(torch.uint8)
    return owners.to(device), torch.stack([rows, cols], -1).to(device), colours.to(device)


def seconds_of(
    evaluator: Evaluator, candidates: tuple[Tensor, Tensor, Tensor], device: torch.device
) -> float:
    """Return the seconds that an evaluator takes for candidates."""
    started = synchronised(device)
    evaluator.logits(*candidates)
    return synchronised(device) - started
