"""Steps of one shape as CUDA graphs: launched at once, instead of kernel by kernel."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WARM_UPS = 2
"""Runs before a capture, in which libraries make what they keep."""


class Captured:
    """Captures a step at its first call and replays it from then on.

    What the step reads beside its arguments must stay where it is: after new buffers, make another.
    """

    def __init__(self, step: Callable[..., Tensor]) -> None:
        self._step = step
        self._inputs: list[Tensor] = []
        self._replay: Callable[[], None] | None = None

    def __call__(self, *given: Tensor) -> Tensor:
        """Return what the step gives for tensors of the shapes of the first call."""
        if self._replay is None:
            self._inputs = [tensor.clone() for tensor in given]
            self._replay, self._output = capture(lambda: self._step(*self._inputs), given[0].device)
        for held, tensor in zip(self._inputs, given, strict=True):
            held.copy_(tensor)
        self._replay()
        return self._output.clone()  # the next replay writes over it


def capture(run: Callable[[], Tensor], device: torch.device) -> tuple[Callable[[], None], Tensor]:
    """Return what runs the kernels of a function again, and where its result then is.

    Raises:
        RuntimeError: the function waits for the device, or takes memory in a way that it cannot.
    """
    with torch.cuda.device(device):
        aside: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call] # torch's types
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                run()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            output = run()
    return graph.replay, output
