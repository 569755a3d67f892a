"""A GPU that is none: its tensors are computed on the CPU, and mixing them with others is refused.

Without a GPU nothing tells a tensor that was made on the wrong device. Here those that are made on
or moved to ``cuda:0`` say that they are there, whatever is done with them comes out there, and an
operation on tensors of both devices raises, as CUDA's does: but for scalars, copies and indices.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

GPU = torch.device("cuda", 0)
CPU = torch.device("cpu")
COPIES = {"aten::copy_", "aten::_to_copy", "aten::to"}
INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::index_fill_"}
INDEXING |= {"aten::_index_put_impl_", "aten::_unsafe_index"}


class Pretended(Tensor):
    """A tensor on the pretended GPU; ``held`` has its values.

    To torch's own code it is on the device "meta", which asks no driver for anything.
    """

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl
    is_cuda = property(lambda self: True)
    is_meta = property(lambda self: False)
    device = property(lambda self: GPU)

    @staticmethod
    def __new__(cls, held: Tensor) -> "Pretended":
        with torch.inference_mode(held.is_inference()):
            made = Tensor._make_wrapper_subclass(
                cls,
                held.size(),
                strides=held.stride(),
                storage_offset=held.storage_offset(),
                dtype=held.dtype,
                device=torch.device("meta"),
            )
        made.held = held
        return made

    def __repr__(self) -> str:
        return f"Pretended({self.held})"

    def __getitem__(self, index: Any) -> Tensor:
        return super().__getitem__(_tensors(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_tensors(index), value)

    def new_tensor(self, data: Any, **given: Any) -> Tensor:
        return torch.tensor(data, **{"dtype": self.dtype, "device": GPU, **given})

    def tolist(self) -> Any:
        return self.held.tolist()

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert a tensor on cuda:0 to numpy")

    __array__ = numpy

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _carried_out(function, args, kwargs or {})


class _Pretending(TorchDispatchMode):
    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _carried_out(function, args, kwargs or {})


def _tensors(index: Any) -> Any:
    """Return an index without lists: torch makes tensors of them on the device behind this."""
    if isinstance(index, tuple):
        return tuple(_tensors(one) for one in index)
    if isinstance(index, list):
        return torch.tensor(index, dtype=None if index else torch.int64)
    return index


def _carried_out(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return what an operation gives on the CPU, on the device where it belongs."""
    name, given = function.overloadpacket._qualified_op_name, tree_leaves((args, kwargs))
    ours = [one for one in given if isinstance(one, Pretended)]
    devices = [one for one in given if isinstance(one, torch.device)]
    is_copy = name in COPIES
    if ours and not is_copy:
        rest = given
        if name in INDEXING and isinstance(args[0], Pretended):
            rest = tree_leaves(args[2:]) if name != "aten::index_fill_" else []
        plain = [one for one in rest if isinstance(one, Tensor) and not isinstance(one, Pretended)]
        if any(one.dim() for one in plain):
            raise RuntimeError(f"{name}: expected all tensors on one device, found cuda:0 and cpu")
    on_gpu = devices[0].type in ("cuda", "meta") if devices else bool(ours)
    if name == "aten::copy_":
        on_gpu = isinstance(args[0], Pretended)
    inner = tree_map_only(Pretended, lambda one: one.held, (args, kwargs))
    inner = tree_map_only(torch.device, lambda one: CPU, inner)
    found = function(*inner[0], **inner[1])
    if not on_gpu:
        return found
    found = tree_map_only(
        Tensor, lambda one: one if isinstance(one, Pretended) else Pretended(one), found
    )
    return return_and_correct_aliasing(function, args, kwargs, found) if ours else found


class _Generator(torch.Generator):
    """torch asks the driver for a generator on a GPU: this one is on the CPU."""

    def __new__(cls, device: Any = "cpu") -> "_Generator":
        return super().__new__(cls, device="cpu")


def _made_by_copying(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """torch moves new data to a GPU behind every mode's back: make it here, and move it then."""

    def made(data: Any, *, device: Any = None, **given: Any) -> Tensor:
        tensor = make(data, **given)
        return tensor if device is None else tensor.to(device)

    return made


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Let ``cuda:0`` be there while this lasts, in this thread."""
    of_cuda = {
        "_initialized": True,
        "_exchange_device": lambda index: 0,
        "_maybe_exchange_device": lambda index: 0,
        "default_generators": (torch.default_generator,),
        "device_count": lambda: 1,
        "empty_cache": lambda: None,
        "get_device_name": lambda *_: "pretended",
        "get_device_properties": lambda *_: SimpleNamespace(total_memory=8 << 30),
        "get_rng_state": lambda *_: torch.zeros(1, dtype=torch.uint8),
        "is_available": lambda: True,
        "is_bf16_supported": lambda **_: True,
        "manual_seed": lambda *_: None,
        "set_rng_state": lambda *_: None,
        "synchronize": lambda *_: None,
    }
    of_torch = {
        "Generator": _Generator,
        "tensor": _made_by_copying(torch.tensor),
        "as_tensor": _made_by_copying(torch.as_tensor),
    }
    stream = SimpleNamespace(is_capturing=lambda: False)
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    with (
        mock.patch.multiple(torch.cuda, **of_cuda),
        mock.patch.multiple(torch, **of_torch),
        mock.patch.object(torch.accelerator, "current_stream", lambda *_: stream),
        mock.patch.object(Tensor, "pin_memory", lambda self, *_: self),
        _Pretending(),
    ):
        torch.__future__.set_swap_module_params_on_conversion(True)
        try:
            yield
        finally:
            torch.__future__.set_swap_module_params_on_conversion(swaps)
