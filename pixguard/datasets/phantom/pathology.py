"""H&E-stained histology: tissue of nine kinds."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from pixguard.datasets.phantom.canvas import (
    Field,
    Real,
    bump,
    cells,
    fractal_noise,
    grid,
    jittered,
    mix,
    plain,
    smooth_noise,
    soft,
)

_EOSIN = (0.88, 0.58, 0.72)
_NUCLEUS = (0.33, 0.19, 0.48)
_PALE = (0.94, 0.91, 0.94)
SHARES = (10, 10, 11, 12, 10, 13, 9, 11, 14)
"""How many images of a hundred show each class."""


def _warped(rng: Generator, size: int, amount: float) -> tuple[Field, Field]:
    """Return coordinates at a random place and angle, bent by ``amount``."""
    x, y = grid(size)
    angle, (du, dv) = rng.uniform(0, 2 * np.pi), rng.uniform(0, 8, 2)
    c, s = np.cos(angle), np.sin(angle)
    u = c * x + s * y + du + amount * smooth_noise(rng, size, 3)
    v = c * y - s * x + dv + amount * smooth_noise(rng, size, 3)
    return np.asarray(u, np.float32), np.asarray(v, np.float32)


def _nuclei(
    rng: Generator, u: Real, v: Real, count: int, radius: float, share: float = 1.0
) -> Field:
    """Return discs, 1 inside, in that share of the lattice's cells."""
    field = cells(rng, u, v, count)
    size = radius * (0.8 + 0.4 * field.chance / share)
    return np.asarray((1 - soft(field.nearest - size, 0.1)) * (field.chance < share), np.float32)


def _adipose(rng: Generator, size: int) -> Field:
    u, v = _warped(rng, size, 0.03)
    fat = cells(rng, u, v, int(rng.integers(4, 7)), jitter=0.75)
    wall = 1 - soft(fat.second - fat.nearest - 0.07, 0.07)
    image = mix(plain(size, jittered(rng, _PALE, 0.01)), jittered(rng, _EOSIN, 0.03), wall * 0.85)
    return mix(image, _NUCLEUS, _nuclei(rng, u, v, 14, 0.26, 0.25) * wall)


def _background(rng: Generator, size: int) -> Field:
    x, y = grid(size)
    image = plain(size, jittered(rng, (0.92, 0.91, 0.93), 0.015))
    image += 0.02 * (rng.normal() * x + rng.normal() * y)[..., None]
    image += 0.008 * fractal_noise(rng, size, 4)[..., None]
    u, v = _warped(rng, size, 0.05)
    return mix(image, (0.72, 0.66, 0.74), _nuclei(rng, u, v, 9, 0.16, rng.uniform(0, 0.06)) * 0.6)


def _debris(rng: Generator, size: int) -> Field:
    image = plain(size, jittered(rng, (0.84, 0.68, 0.78), 0.02))
    clumps = fractal_noise(rng, size, 5, 4)
    image = mix(image, jittered(rng, (0.72, 0.44, 0.60), 0.03), soft(clumps - 0.2, 0.6) * 0.8)
    image = mix(image, _PALE, soft(-clumps - 0.9, 0.4) * 0.8)
    u, v = _warped(rng, size, 0.12)
    image = mix(image, (0.42, 0.26, 0.50), _nuclei(rng, u, v, 17, 0.28, 0.30) * 0.75)
    dust = soft(fractal_noise(rng, size, 20, 2) - 1.4, 0.3)
    return mix(image, (0.34, 0.18, 0.42), dust * 0.7)


def _lymphocytes(rng: Generator, size: int) -> Field:
    image = plain(size, jittered(rng, (0.78, 0.62, 0.78), 0.03))
    image += 0.03 * fractal_noise(rng, size, 6)[..., None]
    u, v = _warped(rng, size, 0.02)
    dots = _nuclei(rng, u, v, int(rng.integers(10, 14)), 0.38, rng.uniform(0.8, 1.0))
    return mix(image, jittered(rng, _NUCLEUS, 0.03), dots * 0.92)


def _mucus(rng: Generator, size: int) -> Field:
    u, v = _warped(rng, size, 0.22)
    wisps = np.sin(2 * np.pi * (rng.uniform(2.5, 4.5) * v) + 1.5 * smooth_noise(rng, size, 4))
    image = plain(size, jittered(rng, (0.82, 0.79, 0.90), 0.02))
    image = mix(image, (0.94, 0.92, 0.96), soft(wisps, 1.0) * 0.7)
    strands = bump(wisps + 0.7, 0.18)
    image = mix(image, (0.70, 0.62, 0.82), strands * 0.5)
    return mix(image, _NUCLEUS, _nuclei(rng, u, v, 11, 0.22, rng.uniform(0, 0.08)) * 0.8)


def _muscle(rng: Generator, size: int) -> Field:
    u, v = _warped(rng, size, rng.uniform(0.02, 0.10))
    fibres = np.sin(2 * np.pi * rng.uniform(7, 10) * v + smooth_noise(rng, size, 4))
    image = plain(size, jittered(rng, (0.86, 0.56, 0.70), 0.03))
    image = mix(image, (0.94, 0.74, 0.82), soft(fibres, 1.0) * 0.6)
    elongated = _nuclei(rng, u * 0.3, v, 13, 0.24, rng.uniform(0.3, 0.5))
    return mix(image, jittered(rng, _NUCLEUS, 0.03), elongated * 0.85)


def _mucosa(rng: Generator, size: int) -> Field:
    u, v = _warped(rng, size, 0.025)
    crypts = cells(rng, u, v, int(rng.integers(3, 5)), jitter=0.35)
    image = plain(size, jittered(rng, (0.80, 0.58, 0.74), 0.02))
    image = mix(image, _NUCLEUS, _nuclei(rng, u, v, 16, 0.30, 0.55) * 0.7)
    gland = 1 - soft(crypts.nearest - 0.42, 0.04)
    image = mix(image, (0.86, 0.76, 0.86), gland)
    speckled = 0.6 + 0.4 * _nuclei(rng, u, v, 22, 0.45)
    basal = bump(crypts.nearest - 0.38, 0.045) * speckled
    image = mix(image, jittered(rng, (0.42, 0.26, 0.56), 0.02), basal * 0.9)
    goblets = _nuclei(rng, u, v, 15, 0.36, 0.8) * soft(0.33 - crypts.nearest, 0.04)
    image = mix(image, (0.92, 0.88, 0.94), goblets * 0.8)
    return mix(image, (0.96, 0.94, 0.96), 1 - soft(crypts.nearest - 0.10, 0.04))


def _stroma(rng: Generator, size: int) -> Field:
    u, v = _warped(rng, size, rng.uniform(0.05, 0.16))
    waves = np.sin(2 * np.pi * rng.uniform(5, 8) * v + 2.0 * smooth_noise(rng, size, 5))
    image = plain(size, jittered(rng, (0.88, 0.62, 0.74), 0.03))
    image = mix(image, (0.95, 0.82, 0.88), soft(waves, 1.0) * 0.7)
    spindles = _nuclei(rng, u * 0.45, v, 12, 0.22, rng.uniform(0.2, 0.5))
    image = mix(image, jittered(rng, (0.42, 0.26, 0.52), 0.03), spindles * 0.85)
    strays = _nuclei(rng, u, v, 12, 0.30, rng.uniform(0, 0.15))
    return mix(image, _NUCLEUS, strays * 0.85)


def _carcinoma(rng: Generator, size: int) -> Field:
    u, v = _warped(rng, size, 0.07)
    glands = cells(rng, u, v, int(rng.integers(2, 4)), jitter=0.9)
    ragged = 0.08 * smooth_noise(rng, size, 6)
    lumen = 1 - soft(glands.nearest + ragged - 0.16, 0.05)
    gap = 1 - soft(glands.second - glands.nearest - 0.10, 0.08)
    image = plain(size, jittered(rng, (0.70, 0.48, 0.68), 0.03))
    image += 0.04 * fractal_noise(rng, size, 8)[..., None]
    big = _nuclei(rng, u, v, int(rng.integers(8, 11)), 0.42, rng.uniform(0.75, 0.95))
    image = mix(image, jittered(rng, (0.38, 0.22, 0.50), 0.04), big * 0.85)
    image = mix(image, (0.90, 0.66, 0.78), gap * 0.7)
    return mix(image, (0.93, 0.88, 0.93), lumen * 0.9)


_TISSUES: tuple[Callable[[Generator, int], Field], ...] = (
    _adipose,
    _background,
    _debris,
    _lymphocytes,
    _mucus,
    _muscle,
    _mucosa,
    _stroma,
    _carcinoma,
)


def render(rng: Generator, size: int, label: int) -> Field:
    """Return one image, float32 (size, size, 3) in [0, 1], of a class.

    As on real slides, a tile may hold some of another tissue: its class is what most of it shows.
    """
    image = _TISSUES[label](rng, size)
    if rng.random() < 0.6:
        other = _TISSUES[int(rng.integers(len(_TISSUES)))](rng, size)
        border = smooth_noise(rng, size, 2)
        share = rng.uniform(0.05, 0.48)
        there = soft(border - np.quantile(border, 1 - share), 0.15)
        image = image + there[..., None] * (other - image)
    stain = np.asarray(rng.normal(1, 0.03) + rng.normal(0, 0.012, 3), np.float32)
    grain = 0.03 * smooth_noise(rng, size, 24)
    return np.asarray(image * stain + grain[..., None], np.float32)
