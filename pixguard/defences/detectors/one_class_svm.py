"""Autoencoder and one-class SVM (paper, section 5): images unlike those of one class raise alarms.

The autoencoder learns the normal class, the SVM encloses its latents (Schölkopf et al., Neural
Computation 13, 2001). Inferred: which autoencoder, its training on noise (that of the denoisers),
the pooled latents, and the radial kernel; the paper states none of them.
"""

import time
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from pixguard.classifiers.evaluation import plain_float32
from pixguard.config import DenoiserSettings, DetectorSettings
from pixguard.datasets.base import Images
from pixguard.defences.denoisers.autoencoder import autoencoder
from pixguard.defences.denoisers.dae import DenoisingAutoencoder
from pixguard.defences.detectors.registry import DETECTORS
from pixguard.defences.training import train_denoiser
from pixguard.errors import PixguardError
from pixguard.models.inputs import to_unit_range
from pixguard.models.training_loop import Made, Workplace

GRID = 4
"""Cells a side that the bottleneck's maps are averaged to. At 28 pixels that is the bottleneck
itself; at 224 it is 28 x 28, and flattened it would be 6,272 numbers, whose mutual distances are
nearly equal. Latents of one length fit images of mixed sizes; one mean a map would forget where
in the image a finding lies."""
BATCH = 64
KERNEL_PRECISION = torch.float64
"""The decision is a small difference of sums over all support vectors: float32 loses its digits."""


class OneClassSVMDetector(nn.Module):
    """The bottleneck of an autoencoder, standardised, before a one-class SVM of radial kernel.

    A state dict holds all of it, and so do safetensors: nothing of scikit-learn is kept.

    Args:
        channels: of the images, 1 or 3.
        support_vectors: how many the SVM has.
    """

    mean: Tensor
    scale: Tensor
    vectors: Tensor
    coefficients: Tensor
    intercept: Tensor
    gamma: Tensor

    def __init__(self, channels: int, support_vectors: int) -> None:
        super().__init__()
        self.autoencoder = autoencoder(channels)
        length = latent_length(self.autoencoder)
        shapes = {
            "mean": (length,),
            "scale": (length,),
            "vectors": (support_vectors, length),
            "coefficients": (support_vectors,),
            "intercept": (),
            "gamma": (),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=KERNEL_PRECISION))

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (N,), float64, for images (N, C, H, W): the SVM's decision, negated."""
        return -self.decision(pooled_latents(self.autoencoder, images))

    def decision(self, latents: Tensor) -> Tensor:
        """Return the SVM's decision (N,) on latents (N, L): positive inside the normal class."""
        standardised = (latents - self.mean) / self.scale
        distances = torch.cdist(standardised, self.vectors).square()
        return torch.exp(-self.gamma * distances) @ self.coefficients + self.intercept


def latent_length(trained: DenoisingAutoencoder) -> int:
    """Return L, the length of an image's pooled latents."""
    return GRID * GRID * trained.bottleneck_width


def pooled_latents(trained: DenoisingAutoencoder, images: Tensor) -> Tensor:
    """Return the bottleneck averaged to :data:`GRID` cells a side, float64 (N, L)."""
    _, bottleneck = trained.encode(images)
    return adaptive_avg_pool2d(bottleneck, GRID).flatten(1).to(KERNEL_PRECISION)


def latents_of(trained: DenoisingAutoencoder, images: Images, device: torch.device) -> Tensor:
    """Return the pooled latents of images in memory, float64 (N, L), on the CPU.

    Args:
        trained: the autoencoder; it is moved to the device and put into evaluation mode.
        images: uint8 (N, H, W, C).
        device: where the latents are computed.
    """
    trained.to(device).eval()
    with torch.inference_mode(), plain_float32(device):
        return torch.cat(
            [
                pooled_latents(trained, to_unit_range(images[start : start + BATCH], device)).cpu()
                for start in range(0, len(images), BATCH)
            ]
        )


def fit_one_class_svm(
    trained: DenoisingAutoencoder, latents: Tensor, nu: float
) -> OneClassSVMDetector:
    """Return a detector, on the CPU, that encloses latents.

    Args:
        trained: the autoencoder that the latents are of; the detector takes it over.
        latents: float64 (N, L) of the images of the normal class.
        nu: in (0, 1), the largest share of them left outside: the false alarms allowed.

    Raises:
        PixguardError: the latents are the same for all images, or not finite.
    """
    # A second's import, for training alone.
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import OneClassSVM

    values = latents.numpy()
    scaler = StandardScaler().fit(values)
    standardised = scaler.transform(values)
    variance = float(standardised.var())
    if not variance > 0:  # NaN too
        raise PixguardError(
            "the autoencoder gives every image the same latents: there is nothing to enclose",
            "train it longer (`epochs=...`), on more images, or from another `seed=...`",
        )
    gamma = 1 / (values.shape[1] * variance)  # scikit-learn's "scale", to be kept with the rest
    svm = OneClassSVM(kernel="rbf", gamma=gamma, nu=nu).fit(standardised)
    fitted = {
        "mean": scaler.mean_,
        "scale": scaler.scale_,
        "vectors": svm.support_vectors_,
        "coefficients": svm.dual_coef_[0],
        "intercept": svm.intercept_[0],
        "gamma": gamma,
    }
    channels = trained.last.out_channels
    detector = OneClassSVMDetector(channels, len(svm.support_vectors_))
    state = {name: torch.as_tensor(value).to(KERNEL_PRECISION) for name, value in fitted.items()}
    weights = {f"autoencoder.{name}": tensor for name, tensor in trained.state_dict().items()}
    detector.load_state_dict({**weights, **state})
    return detector.eval()


def train(
    images_train: Images, images_val: Images, settings: DetectorSettings, at: Workplace
) -> Made:
    """Train an autoencoder on the normal class, and enclose its latents.

    See :class:`pixguard.defences.detectors.training.Trainer`.
    """
    options = DETECTORS[settings.name].settled(settings.options)
    own = DenoiserSettings(
        name="autoencoder", epochs=settings.epochs, only_class=settings.normal, seed=settings.seed
    )
    made = train_denoiser(own, images_train, images_val, at)
    if not made.fit.finished:
        return made
    trained = made.module
    assert isinstance(trained, DenoisingAutoencoder)
    at.display.say(f"fitting the one-class SVM to {len(images_train)} latents")
    started = time.perf_counter()
    latents = latents_of(trained, images_train, at.device)
    detector = fit_one_class_svm(trained, latents, options.nu)
    fit = replace(made.fit, seconds=made.fit.seconds + time.perf_counter() - started)
    return Made(detector, fit, {"support_vectors": len(detector.vectors)})
