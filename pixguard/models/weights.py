"""Weights in files: named and checked by their content, never unpickled into code."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from pixguard.errors import PixguardError, is_out_of_memory, reason
from pixguard.files import write_atomically

CHECKPOINT_KEYS = (
    "state_dict", "model_state_dict", "model", "net", "model_state", "params_ema", "params",
)  # fmt: skip
"""Under which training frameworks keep the state dict of a checkpoint."""
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.")
"""What DataParallel, torch.compile and training frameworks put before every name."""
_RUNNING_STATISTICS = ("running_mean", "running_var")


def content_sha256(state: dict[str, Tensor]) -> str:
    """Return the SHA-256 (64 hex digits) of tensors: names, types, shapes and bytes, by name."""
    total = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        total.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}:".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def save_weights(module: nn.Module, folder: Path) -> tuple[str, str]:
    """Save a module's parameters and buffers as safetensors, whole or not at all.

    Returns:
        The file's name in ``folder`` (the first 16 digits of the SHA-256, ``.safetensors``) and
        the SHA-256 of the content (:func:`content_sha256`).

    Raises:
        PixguardError: the file cannot be written.
    """
    # safetensors takes neither views nor tensors that share memory.
    state = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in module.state_dict().items()
    }
    sha256 = content_sha256(state)
    name = f"{sha256[:16]}.safetensors"
    write_atomically(folder / name, save(state))
    return name, sha256


def load_weights(module: nn.Module, path: Path, sha256: str | None = None) -> None:
    """Load weights into a module, wherever it stands; nothing is loaded where anything is wrong.

    Args:
        module: built as the module that the weights were saved from.
        path: ``.safetensors``, or a ``.pt`` or ``.pth`` that holds a state dict, perhaps in a
            training framework's checkpoint, or under the prefixes of wrappers.
        sha256: what :func:`save_weights` returned; None does not check it.

    Raises:
        PixguardError: the file is missing or damaged, or is not of this module.
    """
    state = read_weights(path)
    if sha256 is not None and content_sha256(state) != sha256:
        raise PixguardError(
            f"{path} is damaged or has been replaced: its content is not what was registered",
            "restore the file from a backup, or train the model again",
        )
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    state = without_wrappers(state, set(wanted))
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if wanted != found:
        differing = sorted(wanted.items() ^ found.items())
        raise PixguardError(
            f"{path} does not fit the model: {len(differing)} entries differ, the first is "
            f"{differing[0][0]}",
            "use the architecture, channels and number of classes that the weights are of",
        )
    module.load_state_dict(state)


def parameter_counts(module: nn.Module) -> tuple[int, int]:
    """Return the numbers of trainable and of non-trainable parameters.

    As the paper counts (section 3.1.2), the running means and variances of batch normalisation
    are non-trainable parameters, beside parameters that are frozen. Other buffers do not count.
    """
    parameters = list(module.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    frozen = sum(p.numel() for p in parameters if not p.requires_grad)
    statistics = sum(
        buffer.numel()
        for name, buffer in module.named_buffers()
        if name.rpartition(".")[2] in _RUNNING_STATISTICS
    )
    return trainable, frozen + statistics


def without_wrappers(state: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    """Return a state dict without the prefixes of wrappers, one after another, that all names have.

    A prefix that the module itself has stays.
    """
    while set(state) != wanted:
        prefix = next((p for p in WRAPPERS if all(name.startswith(p) for name in state)), None)
        if not state or prefix is None:
            break
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a file (see :func:`load_weights`), on the CPU, as it names it.

    Raises:
        PixguardError: the file is missing or damaged, or holds something else.
    """
    if not path.is_file():
        raise PixguardError(
            f"the weights {path} are missing",
            "restore the file from a backup, or train the model again",
        )
    try:
        if path.suffix == ".safetensors":
            return load(path.read_bytes())  # load_file takes no name that is not UTF-8
        state = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(state, dict):
            inner = (state[key] for key in CHECKPOINT_KEYS if isinstance(state.get(key), dict))
            state = next(inner, state)
        if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
            raise ValueError("it holds no state dict")
        return dict(state)
    except Exception as error:  # a damaged pickle may raise anything
        if is_out_of_memory(error):
            raise
        raise PixguardError(
            f"the weights {path} cannot be read: {reason(error)}",
            "restore the file, or save it again as safetensors or as a plain state dict",
        ) from error
