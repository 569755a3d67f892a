"""Leaving the image alone: the row that every denoiser has to be compared with."""

from torch import Tensor, nn


class Identity(nn.Module):
    """Returns its input; has no parameters."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, images: Tensor) -> Tensor:
        """Return the images (N, C, H, W) themselves."""
        return images
