"""Reading the next batches while a device is busy with this one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

AHEAD = 4
"""Batches that wait in pinned memory."""

Batch = tuple[Tensor, ...]
Read = Callable[[NDArray[np.int64]], Batch]


def batches_on(
    device: torch.device, read: Read, batches: Iterable[NDArray[np.int64]]
) -> Iterator[Batch]:
    """Yield batches on a device, in order.

    On a GPU they are read ahead in a thread, into pinned memory, and copied without waiting; on
    a CPU, which would do both with the same cores, one after the other.

    Args:
        device: where they are wanted.
        read: returns the tensors of a batch, in the host's memory.
        batches: what ``read`` is given, one a batch.
    """
    if device.type != "cuda":
        for indices in batches:
            yield tuple(tensor.to(device) for tensor in read(indices))
        return

    def pinned(indices: NDArray[np.int64]) -> Batch:
        return tuple(tensor.pin_memory() for tensor in read(indices))

    for batch in read_ahead(pinned, batches, AHEAD):
        yield tuple(tensor.to(device, non_blocking=True) for tensor in batch)


def read_ahead(read: Read, batches: Iterable[NDArray[np.int64]], ahead: int) -> Iterator[Batch]:
    """Yield ``read(indices)`` for all batches in order, up to ``ahead`` of them read before.

    What ``read`` raises is raised here, at that batch. Closing the iterator ends the thread.
    """
    left = iter(batches)
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        try:
            waiting.extend(thread.submit(read, indices) for indices in islice(left, ahead))
            while waiting:
                batch = waiting.popleft().result()
                waiting.extend(thread.submit(read, indices) for indices in islice(left, 1))
                yield batch
        finally:
            for future in waiting:
                future.cancel()
