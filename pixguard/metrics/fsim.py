"""Feature similarity (Zhang et al. 2011; paper, section 4.1.2, metric 5)."""

import math

import torch
from torch import Tensor
from torch.fft import fft2, ifft2
from torch.nn.functional import avg_pool2d

from pixguard.metrics.inputs import DATA_RANGE, checked
from pixguard.metrics.maps import gradient_magnitude, luma, similarity
from pixguard.metrics.metric import Metric
from pixguard.metrics.registry import METRICS

SCALES = 4
ORIENTATIONS = 4
LEAST_WAVELENGTH = 6
BANDWIDTH = 0.55
"""Of a filter: deviation over centre frequency."""
ANGULAR_RATIO = 1.2
"""Angle between orientations over the angular deviation of a filter."""
CUTOFF, CUTOFF_ORDER = 0.45, 15
"""Of the low-pass (Butterworth) that keeps the corners of the spectrum out."""
NOISE_DEVIATIONS, NOISE_SCALE = 2.0, 1.7
PHASE_CONSTANT, GRADIENT_CONSTANT = 0.85, 160
SCHARR = (3 / 16, 10 / 16, 3 / 16)

BLOCK = 16
"""Images at a time: the filter responses of one take some 25 MB at 224 x 224."""


def fsim(restored: Tensor, clean: Tensor) -> Tensor:
    """Return float64 (N,) in [0, 1]: 1 for equal images.

    FSIM on luma, the same for grayscale and colour (not FSIMc), with the published constants.
    Sides of 384 and more are averaged down towards 256, as published. Below 48, the largest of
    the four wavelengths (6, 12, 24, 48 pixels) is longer than the image; its filter then sees
    what the lowest frequencies hold, so values of small images are defined, but do not compare
    with those of large ones. A flat image has no features: rounding decides its value.

    Args:
        restored: float32 (N, C, H, W) in [0, 1], sides of at least 8.
        clean: likewise.

    Raises:
        ValueError: shapes differ or sides are too short, or values are outside [0, 1].
    """
    first, second = checked(restored, clean, METRICS["fsim"].least_side)
    blocks = zip(torch.split(first, BLOCK), torch.split(second, BLOCK), strict=True)
    return torch.cat([_similarity(*block) for block in blocks])


def _similarity(first: Tensor, second: Tensor) -> Tensor:
    both = 255 * torch.cat([first, second])  # the constants are for 8 bits
    both = luma(avg_pool2d(both, max(1, round(min(both.shape[-2:]) / 256))))
    phase_1, phase_2 = _phase_congruency(both).chunk(2)
    gradient_1, gradient_2 = gradient_magnitude(both, SCHARR).chunk(2)
    alike = similarity(phase_1, phase_2, PHASE_CONSTANT)
    alike *= similarity(gradient_1, gradient_2, GRADIENT_CONSTANT)
    weight = torch.maximum(phase_1, phase_2)
    return (alike * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))


def _phase_congruency(planes: Tensor) -> Tensor:
    """Return Kovesi's measure (N, 1, H, W) in [0, 1] of planes (N, 1, H, W), in [0, 255].

    Kovesi 1999, "Image features from phase congruency", as in the FSIM paper's FeatureSIM.m: the
    energy of the filters' responses that are in phase, less what noise alone would give, over
    their amplitude. The median is the lower one of an even number of values.
    """
    tiny = torch.finfo(planes.dtype).eps
    filters = _filters(planes)
    spectrum = fft2(planes)
    energy, amplitude = torch.full_like(planes, tiny), torch.full_like(planes, tiny)
    for bank in filters:  # of one orientation, (scales, H, W), the finest first
        responses = ifft2(spectrum * bank)
        total = responses.sum(1, keepdim=True)
        turned = responses * (total / (total.abs() + tiny)).conj()
        in_phase = (turned.real - turned.imag.abs()).sum(1, keepdim=True)
        sizes = responses.abs()
        # Gaussian noise has squared responses of a known median, by which the finest filter tells
        # its power; and a Rayleigh distribution of the energy, of which two deviations are taken.
        power = (
            sizes[:, 0].square().flatten(1).median(1).values / math.log(2) / bank[0].square().sum()
        )
        kernels = ifft2(bank).real * math.sqrt(bank[0].numel())
        # Half of twice each kernel's square and four times each pair: the square of their sum.
        tau = (power * kernels.sum(0).square().sum()).sqrt()
        noise = tau * (math.sqrt(math.pi / 2) + NOISE_DEVIATIONS * math.sqrt(2 - math.pi / 2))
        energy += (in_phase - noise.view(-1, 1, 1, 1) / NOISE_SCALE).clamp_min(0)
        amplitude += sizes.sum(1, keepdim=True)
    return energy / amplitude


def _filters(planes: Tensor) -> Tensor:
    """Return log-Gabor filters (orientations, scales, H, W) in the order of frequencies of fft2."""
    rows, columns = (_frequencies(side, planes) for side in planes.shape[-2:])
    radius = torch.hypot(rows[:, None], columns)
    angle = torch.atan2(-columns.expand_as(radius), rows[:, None].expand_as(radius))
    radius[0, 0] = 1  # its logarithm is needed, its filter is not
    corners = 1 / (1 + (radius / CUTOFF) ** (2 * CUTOFF_ORDER))
    waves = LEAST_WAVELENGTH * 2.0 ** _counted(SCALES, planes)
    radial = torch.exp(-((radius * waves).log() ** 2) / (2 * math.log(BANDWIDTH) ** 2)) * corners
    radial[:, 0, 0] = 0
    along = _counted(ORIENTATIONS, planes) * math.pi / ORIENTATIONS
    apart = torch.atan2((angle - along).sin(), (angle - along).cos())
    spread = math.pi / (ORIENTATIONS * ANGULAR_RATIO)
    return torch.exp(-apart.square() / (2 * spread**2))[:, None] * radial


def _counted(count: int, like: Tensor) -> Tensor:
    return torch.arange(count, dtype=like.dtype, device=like.device).view(-1, 1, 1)


def _frequencies(side: int, like: Tensor) -> Tensor:
    """Return the frequencies (side,) of a Fourier transform, scaled as published: odd sides."""
    places = torch.arange(side, dtype=like.dtype, device=like.device) - side // 2
    return torch.roll(places / (side - side % 2), -(side // 2))


METRIC = Metric(
    fsim,
    {
        "data_range": DATA_RANGE,
        "scales": SCALES,
        "orientations": ORIENTATIONS,
        "least_wavelength": LEAST_WAVELENGTH,
        "colour": "luma",
    },
)
