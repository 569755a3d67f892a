"""SCUNet (Zhang et al., Machine Intelligence Research 20, 2023), trained elsewhere.

Swin transformer blocks and convolutions side by side in a U-Net. The network is that of spandrel,
an optional package, which also tells from a file's tensors how large it is. A grayscale model
restores each channel of a colour image alone; of what a colour model makes of a gray one the mean
is taken.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from pixguard.errors import PixguardError, UsageError

BLOCKS = (4, 4, 4, 4, 4, 4, 4)
WIDTH = 64
INSTALL = "pip install 'pixguard[spandrel]'"


class SCUNet(nn.Module):
    """A network whose weights come from a file; until then they are random.

    Args:
        channels: of the images, 1 or 3.
        model_channels: that it was made for, 1 or 3; None: those of the images.
        blocks: on the way down, at the bottom, and up again: seven numbers.
        width: features of the first level.

    Raises:
        UsageError: spandrel is not installed.
    """

    def __init__(
        self,
        channels: int,
        model_channels: int | None = None,
        blocks: Sequence[int] = BLOCKS,
        width: int = WIDTH,
    ) -> None:
        super().__init__()
        try:
            from spandrel.architectures import SCUNet as module
        except ModuleNotFoundError as error:
            raise UsageError(f"scunet needs spandrel: {error}", INSTALL) from None
        self.model_channels = model_channels or channels
        made = module.SCUNet(in_nc=self.model_channels, config=list(blocks), dim=width)
        descriptor = module.SCUNetArch().load(made.state_dict())
        self.network: nn.Module = descriptor.model
        self._sizes = descriptor.size_requirements

    def forward(self, images: Tensor) -> Tensor:
        """Return restored images (N, C, H, W), for images (N, C, H, W) in [0, 1]."""
        count, channels, height, width = images.shape
        gray, colour = channels > self.model_channels, channels < self.model_channels
        inputs = images.reshape(-1, 1, height, width) if gray else images
        inputs = inputs.expand(-1, self.model_channels, -1, -1) if colour else inputs
        right, below = self._sizes.get_padding(width, height)
        # As spandrel does it: reflected as far as the image goes, then its edges repeated.
        mirrored = min(right, width - 1), min(below, height - 1)
        inputs = pad(inputs, (0, mirrored[0], 0, mirrored[1]), mode="reflect")
        rest = (0, right - mirrored[0], 0, below - mirrored[1])
        inputs = pad(inputs, rest, mode="replicate")
        made: Tensor = self.network(inputs)[..., :height, :width]
        made = made.clamp(0, 1).mean(dim=1, keepdim=True) if colour else made
        return made.reshape(count, channels, height, width)


def parameters_of(state: dict[str, Tensor], channels: int) -> dict[str, Any]:
    """Return the arguments of :class:`SCUNet` beyond ``channels`` that are not its defaults.

    Args:
        state: the tensors of a file, by name.
        channels: of the images, 1 or 3.

    Raises:
        UsageError: spandrel is not installed.
        PixguardError: the tensors are of no SCUNet.
    """
    try:
        import spandrel
    except ModuleNotFoundError as error:
        raise UsageError(f"scunet needs spandrel: {error}", INSTALL) from None
    hint = "a state dict of SCUNet, as its authors publish it: .pth or .safetensors"
    try:
        with torch.no_grad():
            found = spandrel.ModelLoader().load_from_state_dict(state)
    except Exception as error:  # whatever a loader meets in a stranger's tensors
        raise PixguardError(f"spandrel does not know this network: {error}", hint) from None
    if found.architecture.id != "SCUNet":
        raise PixguardError(f"it is a network {found.architecture.name}, no SCUNet", hint)
    own = {
        "model_channels": (found.input_channels, channels),
        "blocks": (list(found.model.config), list(BLOCKS)),
        "width": (int(state["m_head.0.weight"].shape[0]), WIDTH),
    }
    return {name: value for name, (value, default) in own.items() if value != default}
