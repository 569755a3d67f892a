"""Doing less at a time where a device's memory, or the machine's, does not do."""

from collections.abc import Callable
from typing import TypeVar

import torch

from pixguard.errors import is_out_of_memory

Answer = TypeVar("Answer")


def with_room(call: Callable[[], Answer], lower: Callable[[], bool]) -> Answer:
    """Return what a call gives; where memory does not do, call again with less.

    Args:
        call: may be made again after it failed.
        lower: makes it take less; returns False where it takes the least already.

    Raises:
        Exception: what the call raised, where it cannot be made to take less.
    """
    while True:
        try:
            return call()
        except Exception as error:
            if not is_out_of_memory(error) or not lower():
                raise
        # Outside the handler, whose traceback holds on to what did not fit.
        torch.cuda.empty_cache()
