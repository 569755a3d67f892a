"""Programs that a user brings: a TorchScript file, or an exported program (``.pt2``)."""

import hashlib
import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pixguard.classifiers.trust import Code
from pixguard.errors import PixguardError, UsageError, reason

Format = Literal["torchscript", "exported", "builder"]

SUFFIXES: dict[Format, str] = {
    "torchscript": ".torchscript.pt",
    "exported": ".pt2",
    "builder": ".safetensors",
}
"""How the stored file's name ends."""

_FORMATS = (
    "a TorchScript file (torch.jit.save), an exported program (torch.export.save), or "
    "`builder=module:function` with `weights=FILE`"
)


class RecordedNetwork(nn.Module):
    """A network whose operations were recorded elsewhere; maps (N, C, H, W) to logits (N, L).

    Attributes:
        network: the TorchScript module, or the module of an exported program.
        recorded_as: its format.
        differentiable: whether gradients flow back to the images.
    """

    def __init__(self, network: nn.Module, recorded_as: Format, differentiable: bool) -> None:
        super().__init__()
        self.network = network
        self.recorded_as = recorded_as
        self.differentiable = differentiable

    def train(self, mode: bool = True) -> "RecordedNetwork":
        """Set the mode, which an exported program has for good: that one refuses to be asked."""
        if self.recorded_as == "exported":
            self.training = mode
            return self
        return super().train(mode)

    def __deepcopy__(self, memo: object) -> "RecordedNetwork":
        """Refuse: a copy is made to trace it or to widen it, and recorded operations take neither.

        Raises:
            TypeError: always.
        """
        raise TypeError("its operations were recorded elsewhere, in float32")

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, L).

        Raises:
            UsageError: a gradient is wanted, and the recorded operations have none.
        """
        if images.requires_grad and not self.differentiable:
            raise no_gradient()
        # Recorded views hold for the plain layout only. And a TorchScript program is optimised
        # after its first runs, from where on its answers would differ in the last bits.
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined] # torch tells no types
            logits: Tensor = self.network(images.contiguous())
        return logits


def no_gradient() -> UsageError:
    """Return the error for a gradient that is wanted of a classifier that has none."""
    return UsageError(
        "this classifier gives no gradient with respect to its images",
        "`attack=corner` with `order=grid`, or another attack that sees answers only",
    )


def file_sha256(content: bytes) -> str:
    """Return the SHA-256 (64 hex digits) of a file's content."""
    return hashlib.sha256(content).hexdigest()


def read_file(path: Path) -> bytes:
    """Return a file's content.

    Raises:
        PixguardError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise PixguardError(
            f"{path} cannot be read: {error.strerror or error}", "check the file's name and place"
        ) from error


def detect_format(content: bytes, name: str) -> Format:
    """Return what a file holds, judged by its content.

    Raises:
        UsageError: neither a TorchScript program nor an exported one.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        names = []
    if any("/code/" in member for member in names):
        return "torchscript"
    if any(member.endswith("/archive_format") for member in names):
        return "exported"
    if any(member.endswith("data.pkl") for member in names) or name.endswith(".safetensors"):
        raise UsageError(
            f"{name} holds weights (or a pickled model, which pixguard does not unpickle), "
            "not a program",
            f"`builder=module:function` with `weights={name}`, where function returns the network",
        )
    raise UsageError(f"{name} holds no model that pixguard can read", _FORMATS)


_PROGRAMS: dict[str, tuple[str, str]] = {
    "torchscript": ("a TorchScript program", "can read and overwrite any file of yours"),
    "exported": ("an exported program", "can do all that you can do, already when it is opened"),
}
"""What a format is, and what torch lets it do: ``torch.from_file`` in the one; the other holds
expressions that torch gives to sympy, which evaluates them as Python."""


def code_of(content: bytes, recorded_as: Format, path: Path) -> Code:
    """Return what is to be trusted before a program is opened."""
    what, does = _PROGRAMS[recorded_as]
    return Code(file_sha256(content), f"{path.name}, {what}", does, (path,))


def open_recorded(
    content: bytes, recorded_as: Format, device: torch.device, *, differentiable: bool = True
) -> RecordedNetwork:
    """Return the network of a TorchScript file or an exported program, in evaluation mode.

    Opening one runs its code: what is given here is trusted (:func:`code_of`).

    Raises:
        PixguardError: the file is damaged, of another version of torch, or would have to be
            unpickled into code.
    """
    try:
        if recorded_as == "torchscript":
            with warnings.catch_warnings():  # what torch says to those who write such files
                warnings.simplefilter("ignore", FutureWarning)
                load: Any = torch.jit.load  # has no types
                network = load(io.BytesIO(content), map_location=device)
        else:
            _refuse_pickles(content)
            program = torch.export.load(io.BytesIO(content))
            from torch.export.passes import move_to_device_pass

            network = move_to_device_pass(program, str(device)).module()
    except Exception as error:  # a damaged file may raise anything
        raise PixguardError(
            f"the model cannot be read as {recorded_as}: {reason(error)}",
            f"save it again with the torch that pixguard uses ({torch.__version__})",
        ) from error
    return RecordedNetwork(network, recorded_as, differentiable).eval()


def _refuse_pickles(content: bytes) -> None:
    """Raise where torch.export.load would unpickle what may be code."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.namelist():
            if member.endswith("_config.json"):
                entries = json.loads(archive.read(member)).get("config", {})
                if any(
                    entry.get("use_pickle")
                    or not entry["path_name"].startswith(("weight_", "tensor_"))
                    for entry in entries.values()
                ):
                    raise ValueError("it holds pickled objects, which may be code")
            elif "/sample_inputs/" in member:
                torch.load(io.BytesIO(archive.read(member)), weights_only=True)
