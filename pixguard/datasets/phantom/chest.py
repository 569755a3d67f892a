"""Chest X-rays: fourteen findings, none, or several at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pixguard.datasets.phantom.canvas import (
    Field,
    bump,
    cells,
    ellipse,
    fractal_noise,
    grid,
    segment,
    smooth_noise,
    soft,
)

CARDIOMEGALY, EMPHYSEMA = 1, 10
SINGLE_SHARES = (6, 1, 5, 7, 1, 5, 1, 1, 1, 1, 1, 1, 1, 1)
"""How many images of a hundred have each finding alone; ``NORMAL_SHARE`` have none, the rest two
or three (the NIH set: 54 % none, 28 % one)."""
NORMAL_SHARE = 45


@dataclass(frozen=True, slots=True)
class _Chest:
    """The anatomy that findings are placed in; ``lungs`` (H, W) is 1 in the lung fields."""

    size: int
    centres: tuple[float, float]
    top: float
    bottom: float
    half_width: float
    lungs: Field

    def spot(
        self, rng: Generator, low: float, high: float, side: int | None = None
    ) -> tuple[float, float]:
        """Return a place (x, y) in a lung, between two heights (0 its apex, 1 its base)."""
        lung = int(rng.integers(2)) if side is None else side
        x = self.centres[lung] + rng.uniform(-0.45, 0.45) * self.half_width
        return float(x), float(self.top + rng.uniform(low, high) * (self.bottom - self.top))

    def side_sign(self, side: int) -> float:
        """Return the direction of a lung's outer wall: -1 to the left, 1 to the right."""
        return -1.0 if side == 0 else 1.0


def _haze(rng: Generator, chest: _Chest, at: tuple[float, float], reach: float) -> Field:
    ragged = 0.35 * fractal_noise(rng, chest.size, 6)
    away = ellipse(chest.size, *at, reach, reach * rng.uniform(0.8, 1.3))
    return np.asarray((1 - soft(away + ragged - 1, 0.6)) * chest.lungs, np.float32)


def _atelectasis(rng: Generator, chest: _Chest, image: Field) -> Field:
    side = int(rng.integers(2))
    for _ in range(int(rng.integers(2, 4))):
        across, down = chest.spot(rng, 0.62, 0.88, side)
        slope = rng.normal(0, 0.05)
        line = segment(chest.size, (across - 0.10, down - slope), (across + 0.10, down + slope))
        image = image + 0.30 * bump(line, 0.015) * chest.lungs
    x, y = grid(chest.size)
    base = soft(y - chest.bottom + 0.10, 0.06)
    here = np.abs(x - chest.centres[side]) < chest.half_width
    return np.asarray(image + 0.20 * base * here * chest.lungs, np.float32)


def _cardiomegaly(rng: Generator, chest: _Chest, image: Field) -> Field:
    return image  # the heart's width is part of the anatomy


def _effusion(rng: Generator, chest: _Chest, image: Field) -> Field:
    side = int(rng.integers(2))
    x, y = grid(chest.size)
    outward = (x - chest.centres[side]) * chest.side_sign(side) / chest.half_width
    level = chest.bottom - rng.uniform(0.08, 0.22) - 0.07 * np.clip(outward, -0.4, 1.2)
    below = soft(y - level, 0.025)
    here = np.abs(outward) < 1.3
    field = np.minimum(2 * chest.lungs, 1)
    return np.asarray(image + (0.70 - image) * below * here * field, np.float32)


def _infiltration(rng: Generator, chest: _Chest, image: Field) -> Field:
    patches = soft(fractal_noise(rng, chest.size, 8) - 0.1, 0.7)
    for _ in range(int(rng.integers(2, 4))):
        area = _haze(rng, chest, chest.spot(rng, 0.3, 0.85), rng.uniform(0.10, 0.16))
        image = image + 0.30 * area * patches
    return image


def _mass(rng: Generator, chest: _Chest, image: Field) -> Field:
    reach = rng.uniform(0.075, 0.11)
    away = ellipse(chest.size, *chest.spot(rng, 0.25, 0.75), reach, reach * rng.uniform(0.8, 1.2))
    edge = away + 0.08 * smooth_noise(rng, chest.size, 8)
    return image + 0.34 * (1 - soft(edge - 1, 0.18)) * (0.4 + 0.6 * chest.lungs)


def _nodule(rng: Generator, chest: _Chest, image: Field) -> Field:
    for _ in range(int(rng.integers(1, 4))):
        reach = rng.uniform(0.034, 0.046)
        away = ellipse(chest.size, *chest.spot(rng, 0.15, 0.8), reach, reach)
        image = image + rng.uniform(0.26, 0.36) * (1 - soft(away - 1, 0.35)) * chest.lungs
    return image


def _pneumonia(rng: Generator, chest: _Chest, image: Field) -> Field:
    area = _haze(rng, chest, chest.spot(rng, 0.45, 0.8), rng.uniform(0.15, 0.20))
    return image + (0.30 + 0.06 * fractal_noise(rng, chest.size, 12, 2)) * area


def _pneumothorax(rng: Generator, chest: _Chest, image: Field) -> Field:
    side = int(rng.integers(2))
    x, y = grid(chest.size)
    outward = (x - chest.centres[side]) * chest.side_sign(side) / chest.half_width
    height = (y - chest.top) / (chest.bottom - chest.top)
    edge = outward - rng.uniform(0.25, 0.45) - 0.6 * np.clip(height - 0.1, 0, 1)
    air = soft(edge, 0.05) * chest.lungs * (np.abs(outward) < 1.4)
    return np.asarray(
        image * (1 - air) + 0.10 * air + 0.30 * bump(edge, 0.05) * chest.lungs, np.float32
    )


def _consolidation(rng: Generator, chest: _Chest, image: Field) -> Field:
    side, upper = int(rng.integers(2)), rng.random() < 0.5
    low, high = (0.12, 0.45) if upper else (0.52, 0.85)
    y = (grid(chest.size)[1] - chest.top) / (chest.bottom - chest.top)
    lobe = soft(y - low, 0.03) * (1 - soft(y - np.float32(high), 0.03))
    here = np.abs(grid(chest.size)[0] - chest.centres[side]) < 1.4 * chest.half_width
    bronchi = 0.12 * soft(smooth_noise(rng, chest.size, 12) - 1.1, 0.3)
    return np.asarray(image + (0.36 - bronchi) * lobe * here * chest.lungs, np.float32)


def _edema(rng: Generator, chest: _Chest, image: Field) -> Field:
    wings = np.zeros_like(image)
    middle = (chest.top + chest.bottom) / 2
    for side, x in enumerate(chest.centres):
        at = x - chest.side_sign(side) * 0.3 * chest.half_width
        wings = np.maximum(wings, bump(ellipse(chest.size, at, middle, 0.13, 0.20), 0.8))
    texture = 1 + 0.12 * fractal_noise(rng, chest.size, 14, 2)
    return np.asarray(image + 0.30 * wings * texture * chest.lungs, np.float32)


def _emphysema(rng: Generator, chest: _Chest, image: Field) -> Field:
    bullae = soft(smooth_noise(rng, chest.size, 6) - 0.5, 0.4)
    return np.asarray(image - (0.09 + 0.08 * bullae) * chest.lungs, np.float32)


def _fibrosis(rng: Generator, chest: _Chest, image: Field) -> Field:
    x, y = grid(chest.size)
    mesh = cells(rng, x, y, 24)
    lines = 1 - soft(mesh.second - mesh.nearest - 0.18, 0.16)
    base = soft(y - (chest.top + 0.55 * (chest.bottom - chest.top)), 0.16)
    return image + 0.20 * lines * base * chest.lungs


def _thickening(rng: Generator, chest: _Chest, image: Field) -> Field:
    side = int(rng.integers(2))
    x, y = grid(chest.size)
    outward = (x - chest.centres[side]) * chest.side_sign(side) / chest.half_width
    rim = soft(outward - 0.62 + 0.05 * smooth_noise(rng, chest.size, 7), 0.06)
    height = soft(y - chest.top - rng.uniform(0.02, 0.25), 0.05)
    return np.asarray(
        image + 0.36 * rim * height * chest.lungs * (np.abs(outward) < 1.4), np.float32
    )


def _hernia(rng: Generator, chest: _Chest, image: Field) -> Field:
    at = (0.5 + rng.normal(0.02, 0.02), chest.bottom - rng.uniform(0.05, 0.11))
    away = ellipse(chest.size, *at, rng.uniform(0.07, 0.10), rng.uniform(0.055, 0.08))
    inside = 1 - soft(away - 1, 0.12)
    return np.asarray(
        image * (1 - inside) + 0.34 * inside + 0.28 * bump(away - 1, 0.12), np.float32
    )


_FINDINGS: tuple[Callable[[Generator, _Chest, Field], Field], ...] = (
    _atelectasis,
    _cardiomegaly,
    _effusion,
    _infiltration,
    _mass,
    _nodule,
    _pneumonia,
    _pneumothorax,
    _consolidation,
    _edema,
    _emphysema,
    _fibrosis,
    _thickening,
    _hernia,
)


def _anatomy(rng: Generator, size: int, labels: tuple[int, ...]) -> tuple[_Chest, Field]:
    """Return a healthy chest and its image, its heart and lungs shaped by two of the findings."""
    x, y = grid(size)
    inflated = EMPHYSEMA in labels
    middle = 0.5 + rng.normal(0, 0.012)
    apart = rng.uniform(0.195, 0.215)
    half_width = rng.uniform(0.145, 0.165) + 0.012 * inflated
    top = rng.uniform(0.10, 0.15)
    bottom = rng.uniform(0.76, 0.82) + 0.07 * inflated
    centres = (middle - apart, middle + apart)
    half_height = (bottom - top) / 2 * 1.12
    fields = np.zeros((size, size), np.float32)
    for side, cx in enumerate(centres):
        lean = 0.10 if side == 0 else -0.10
        shape = ellipse(size, cx, top + half_height, half_width, half_height, lean)
        squared = np.asarray(shape + 0.015 * smooth_noise(rng, size, 5), np.float32)
        dome = bottom - (0.02 if inflated else 0.06) * bump(x - np.float32(cx), 0.09)
        dome = dome - (0.03 if side == 0 else 0.0)
        fields = np.maximum(fields, (1 - soft(squared - 1, 0.07)) * (1 - soft(y - dome, 0.015)))
    enlarged = CARDIOMEGALY in labels
    width = rng.uniform(0.20, 0.235) if enlarged else rng.uniform(0.125, 0.165)
    heart = ellipse(size, middle + 0.3 * width, bottom - 0.13, width, 0.155, -0.45)
    spine = bump(x - middle, 0.055)
    shadow = 1 - soft(heart - 1, 0.10)
    lungs = np.asarray(fields * (1 - shadow) * (1 - 0.75 * spine), np.float32)

    body = 1 - soft(ellipse(size, middle, 0.62, 0.50, 0.66) - 1, 0.10)
    tissue = 0.66 + 0.05 * smooth_noise(rng, size, 3) + 0.10 * spine
    image = body * tissue * (1 - lungs) + lungs * rng.uniform(0.22, 0.28)
    vessels = np.abs(smooth_noise(rng, size, 12))
    hilum = sum(
        bump(ellipse(size, middle + s * 0.10, (top + bottom) / 2, 0.14, 0.22), 0.9) for s in (-1, 1)
    )
    image = image + 0.11 * bump(vessels, 0.35) * hilum * lungs + 0.06 * hilum * lungs
    return _Chest(size, centres, top, bottom, half_width, lungs), np.asarray(image, np.float32)


def _ribs(rng: Generator, chest: _Chest, image: Field) -> Field:
    x, y = grid(chest.size)
    spread = np.square((x - 0.5) / 0.5)
    phase = (y - chest.top + 0.28 * spread - 0.10 * np.abs(x - 0.5)) / rng.uniform(0.085, 0.10)
    ribs = soft(np.asarray(np.cos(2 * np.pi * phase), np.float32) - 0.45, 0.3)
    image = image + 0.075 * ribs * (0.25 + 0.75 * chest.lungs) * (y < chest.bottom + 0.05)
    for sign in (-1, 1):
        bone = segment(
            chest.size, (0.5 + sign * 0.05, chest.top + 0.05), (0.5 + sign * 0.36, chest.top - 0.02)
        )
        image = image + 0.10 * bump(bone, 0.016)
    return np.asarray(image, np.float32)


def render(rng: Generator, size: int, labels: tuple[int, ...]) -> Field:
    """Return one image, float32 (size, size, 1) in [0, 1], with a set of findings."""
    chest, image = _anatomy(rng, size, labels)
    image = _ribs(rng, chest, image)
    for label in labels:
        image = image + rng.uniform(0.75, 1.25) * (_FINDINGS[label](rng, chest, image) - image)
    contrast, light = rng.uniform(0.85, 1.15), rng.normal(0, 0.03)
    image = (image - 0.45) * contrast + 0.45 + light
    grain = 0.012 * rng.standard_normal((size, size), dtype=np.float32)
    return np.asarray((image + grain)[..., None], np.float32)
