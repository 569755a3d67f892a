"""The classical median filter."""

from torch import Tensor, nn

from pixguard.defences.denoisers.layers import median_filter


class Median(nn.Module):
    """Median filter of each channel apart; has no parameters to train."""

    def __init__(self, channels: int, size: int = 3) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Return the filtered images (N, C, H, W), borders repeated."""
        return median_filter(images, self.size)
