"""Dermatoscopy: lesions of seven kinds on skin."""

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
    jittered,
    mix,
    plain,
    segment,
    smooth_noise,
    soft,
)

_INK = (0.16, 0.10, 0.09)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a lesion lies: distance from its centre, 1 on its outline, and its own noise."""

    cx: float
    cy: float
    radius: float
    distance: Field
    rough: Field

    @property
    def size(self) -> int:
        """Side in pixels."""
        return len(self.distance)


def _place(rng: Generator, size: int, irregular: float, radius: tuple[float, float]) -> _Place:
    cx, cy = rng.normal(0.5, 0.05, 2)
    r = rng.uniform(*radius)
    stretch = rng.uniform(0.78, 1.0)
    rough = fractal_noise(rng, size, 5)
    distance = ellipse(size, cx, cy, r, r * stretch, rng.uniform(0, np.pi))
    return _Place(cx, cy, r, np.asarray(distance + irregular * rough, np.float32), rough)


def _dots(rng: Generator, place: _Place, count: int, radius: float, spread: float) -> Field:
    """Return bumps at random places within ``spread`` of a lesion's radius."""
    dots = np.zeros_like(place.distance)
    for _ in range(count):
        angle, reach = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random()) * spread * place.radius
        at = (place.cx + np.cos(angle) * reach, place.cy + np.sin(angle) * reach)
        r = radius * rng.uniform(0.7, 1.4)
        dots = np.maximum(dots, bump(ellipse(place.size, *at, 1, 1), r))
    return dots


def _vessels(rng: Generator, place: _Place, count: int) -> Field:
    """Return branching lines across a lesion."""
    lines = np.zeros_like(place.distance)
    for _ in range(count):
        angle = rng.uniform(0, 2 * np.pi)
        start = (
            place.cx + np.cos(angle) * place.radius * 0.9,
            place.cy + np.sin(angle) * place.radius * 0.9,
        )
        heading = angle + np.pi + rng.normal(0, 0.5)
        for length in (0.5, 0.4, 0.4):
            end = (
                start[0] + np.cos(heading) * place.radius * length,
                start[1] + np.sin(heading) * place.radius * length,
            )
            lines = np.maximum(lines, bump(segment(place.size, start, end), 0.011))
            start, heading = end, heading + rng.normal(0, 0.8)
    return lines


def _network(rng: Generator, place: _Place, count: int) -> Field:
    """Return the honeycomb of a pigment network, 1 on its lines."""
    x, y = grid(place.size)
    mesh = cells(rng, x, y, count, jitter=0.6)
    return 1 - soft(mesh.second - mesh.nearest - 0.16, 0.14)


def _actinic(rng: Generator, image: Field) -> Field:
    place = _place(rng, len(image), 0.16, (0.26, 0.38))
    inside = 1 - soft(place.distance - 1, 0.45)
    image = mix(image, jittered(rng, (0.80, 0.45, 0.42), 0.03), inside * 0.75)
    follicles = _network(rng, place, 11)
    image = mix(image, (0.70, 0.30, 0.30), inside * follicles * 0.45)
    scale = soft(fractal_noise(rng, len(image), 14, 2) - 1.0, 0.4)
    return mix(image, (0.96, 0.90, 0.82), inside * scale * 0.8)


def _basal(rng: Generator, image: Field) -> Field:
    place = _place(rng, len(image), 0.07, (0.24, 0.34))
    inside = 1 - soft(place.distance - 1, 0.14)
    image = mix(image, jittered(rng, (0.88, 0.66, 0.66), 0.03), inside * 0.85)
    image = mix(image, (0.98, 0.90, 0.90), inside * bump(place.distance - 0.85, 0.1) * 0.6)
    nests = _dots(rng, place, int(rng.integers(0, 8)), 0.035, 0.8)
    image = mix(image, jittered(rng, (0.36, 0.36, 0.48), 0.03), soft(nests - 0.5, 0.3) * 0.85)
    image = mix(
        image, (0.72, 0.12, 0.16), inside * _vessels(rng, place, int(rng.integers(0, 5))) * 0.7
    )
    if rng.random() < 0.4:
        ulcer = _dots(rng, place, 1, 0.06, 0.4)
        image = mix(image, (0.50, 0.12, 0.10), soft(ulcer - 0.6, 0.2))
    return image


def _keratosis(rng: Generator, image: Field) -> Field:
    place = _place(rng, len(image), 0.09, (0.24, 0.36))
    inside = 1 - soft(place.distance - 1, 0.06)
    tan = jittered(rng, (0.58, 0.42, 0.28), 0.05)
    image = mix(image, tan, inside * 0.9)
    ridges = soft(np.abs(smooth_noise(rng, len(image), 9)) - 0.25, 0.2)
    image = mix(image, (0.36, 0.23, 0.14), inside * (1 - ridges) * 0.7)
    milia = _dots(rng, place, int(rng.integers(0, 12)), 0.016, 0.85)
    return mix(image, (0.97, 0.92, 0.78), inside * soft(milia - 0.5, 0.3))


def _fibroma(rng: Generator, image: Field) -> Field:
    place = _place(rng, len(image), 0.06, (0.20, 0.30))
    inside = 1 - soft(place.distance - 1, 0.30)
    image = mix(image, jittered(rng, (0.66, 0.46, 0.36), 0.03), inside * 0.6)
    ring = inside * _network(rng, place, 17)
    image = mix(image, (0.48, 0.30, 0.22), ring * 0.55)
    scar = 1 - soft(place.distance - rng.uniform(0.40, 0.55), 0.2)
    return mix(image, (0.95, 0.86, 0.82), scar * 0.85)


def _melanoma(rng: Generator, image: Field) -> Field:
    place = _place(rng, len(image), rng.uniform(0.05, 0.26), (0.20, 0.38))
    size = len(image)
    inside = 1 - soft(place.distance - 1, 0.09)
    image = mix(image, jittered(rng, (0.42, 0.27, 0.19), 0.05), inside * 0.92)
    patches = fractal_noise(rng, size, 4, 2)
    image = mix(
        image, (0.14, 0.09, 0.09), inside * soft(patches - rng.uniform(0.2, 1.2), 0.35) * 0.9
    )
    veil = smooth_noise(rng, size, 3)
    image = mix(image, (0.42, 0.44, 0.54), inside * soft(veil - rng.uniform(0.6, 1.8), 0.4) * 0.8)
    image = mix(image, (0.66, 0.36, 0.32), inside * soft(-veil - rng.uniform(0.6, 1.8), 0.4) * 0.7)
    globules = _dots(rng, place, int(rng.integers(0, 8)), 0.018, 1.1)
    return mix(image, _INK, soft(globules - 0.5, 0.3) * 0.8)


def _nevus(rng: Generator, image: Field) -> Field:
    place = _place(rng, len(image), rng.uniform(0.02, 0.13), (0.17, 0.34))
    inside = 1 - soft(place.distance - 1, rng.uniform(0.10, 0.25))
    brown = jittered(rng, (0.52, 0.34, 0.23), 0.06)
    image = mix(image, brown, inside * rng.uniform(0.75, 0.95))
    dark = (brown[0] * 0.62, brown[1] * 0.58, brown[2] * 0.58)
    image = mix(image, dark, inside * _network(rng, place, 14) * rng.uniform(0.3, 0.7))
    core = bump(place.distance, rng.uniform(0.4, 0.7))
    return mix(image, dark, inside * core * rng.uniform(0.1, 0.6))


def _vascular(rng: Generator, image: Field) -> Field:
    place = _place(rng, len(image), 0.08, (0.18, 0.32))
    inside = 1 - soft(place.distance - 1, 0.14)
    image = mix(image, jittered(rng, (0.78, 0.38, 0.42), 0.03), inside * 0.8)
    x, y = grid(len(image))
    lacunae = cells(rng, x, y, 9)
    lake = (1 - soft(lacunae.nearest - 0.42, 0.12)) * inside
    image = mix(image, jittered(rng, (0.56, 0.06, 0.14), 0.03), lake * 0.95)
    return mix(image, (0.26, 0.07, 0.20), lake * (lacunae.chance > 0.65) * 0.8)


_LESIONS: tuple[Callable[[Generator, Field], Field], ...] = (
    _actinic,
    _basal,
    _keratosis,
    _fibroma,
    _melanoma,
    _nevus,
    _vascular,
)
SHARES = (9, 12, 16, 7, 16, 32, 8)
"""How many images of a hundred show each class."""


def render(rng: Generator, size: int, label: int) -> Field:
    """Return one image, float32 (size, size, 3) in [0, 1], of a class."""
    tone = jittered(rng, (0.86, 0.66, 0.58), 0.035)
    skin = plain(size, tone) + 0.03 * fractal_noise(rng, size, 6, 4)[..., None]
    image = np.asarray(skin, np.float32)
    image = image + rng.uniform(0.35, 1.0) * (_LESIONS[label](rng, image) - image)
    x, y = grid(size)
    for _ in range(int(rng.integers(0, 4)) if rng.random() < 0.5 else 0):
        ends = rng.uniform(-0.1, 1.1, (2, 2))
        line = segment(size, (ends[0, 0], ends[0, 1]), (ends[1, 0], ends[1, 1]))
        image = mix(image, _INK, bump(line, 0.006) * 0.8)
    lit = (
        1 + rng.normal(0, 0.07) + rng.normal(0, 0.08) * (x - 0.5) + rng.normal(0, 0.08) * (y - 0.5)
    )
    shade = lit - rng.uniform(0, 0.35) * soft(np.hypot(x - 0.5, y - 0.5) - 0.62, 0.16)
    return np.asarray(image * shade[..., None], np.float32)
