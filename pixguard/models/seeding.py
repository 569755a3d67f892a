"""What torch draws from its own generators, such as first weights, as a function of a seed."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's own generators, and put them back afterwards.

    A network that is built inside has the weights that its layers draw, whatever layers they are,
    and wherever it is trained: they are drawn on the CPU.

    Args:
        seed: not negative.
        device: a GPU whose generator is seeded, too; None and a CPU: none.
    """
    gpu = device if device is not None and device.type == "cuda" else None
    with torch.random.fork_rng([] if gpu is None else [gpu]):
        torch.default_generator.manual_seed(seed)
        if gpu is not None:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield
