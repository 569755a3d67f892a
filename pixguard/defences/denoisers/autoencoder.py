"""The shallow autoencoder of Senapati et al. (paper, section 3.1.2, Tables 1 and 2)."""

from torch import Tensor, nn

from pixguard.defences.denoisers.layers import pad_to_multiple

ENCODER_WIDTHS = (32, 8, 8)
DECODER_WIDTHS = (8, 8, 32)


class Autoencoder(nn.Module):
    """Three convolutions with pooling, three with upsampling, one back to the image.

    7,009 parameters for one channel, 8,163 for three. ReLU, nearest upsampling and the sigmoid
    at the end are inferred: the tables list neither activations nor interpolation.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for widths, resample in (
            (ENCODER_WIDTHS, nn.MaxPool2d(2)),
            (DECODER_WIDTHS, nn.Upsample(scale_factor=2)),
        ):
            for width in widths:
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(), resample]
                before = width
        layers += [nn.Conv2d(before, channels, 3, padding=1), nn.Sigmoid()]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return images in (0, 1), (N, C, H, W), for images (N, C, H, W) in [0, 1]."""
        height, width = images.shape[-2:]
        restored: Tensor = self.layers(pad_to_multiple(images, 2 ** len(ENCODER_WIDTHS)))
        return restored[..., :height, :width]
