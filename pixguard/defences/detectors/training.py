"""What the trainer of a detector is."""

from typing import Protocol

from pixguard.config import DetectorSettings
from pixguard.datasets.base import Images
from pixguard.models.training_loop import Made, Workplace


class Trainer(Protocol):
    """Trains a detector on the images of its normal class.

    That of an entry with ``of_classifier`` takes the classifier, too: a keyword ``classifier``, in
    evaluation mode on the workplace's device.
    """

    def __call__(
        self, images_train: Images, images_val: Images, settings: DetectorSettings, at: Workplace
    ) -> Made:
        """Train, going on from the workplace's checkpoint where there is one.

        Args:
            images_train: uint8 (N, H, W, C), of the normal class.
            images_val: uint8 (M, H, W, C), likewise; M may be 0.
            settings: with the detector's own options.
            at: where, who watches, and who may stop it: then ``fit.finished`` is False and the
                network must not be used.
        """
