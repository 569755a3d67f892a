"""A small network for quick runs and tests; it is not the paper's."""

from torch import Tensor, nn


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),
        # In the few batches of a quick run, 0.1 would leave the statistics far behind the weights.
        nn.BatchNorm2d(outputs, momentum=0.3),
        nn.ReLU(),
    )


class SmallCNN(nn.Module):
    """Maps images (N, ``channels``, H, W), H and W at least 4, to logits (N, ``label_count``).

    Four 3x3 convolutions with batch normalisation, halved twice, then the mean over positions;
    about 94,000 parameters. Made for sides of 28 to 64 pixels.
    """

    def __init__(self, channels: int, label_count: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _block(channels, 32),
            nn.MaxPool2d(2),
            _block(32, 64),
            nn.MaxPool2d(2),
            _block(64, 64),
            _block(64, 64),
        )
        self.head = nn.Linear(64, label_count)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, ``label_count``)."""
        logits: Tensor = self.head(self.features(images).mean(dim=(2, 3)))
        return logits
