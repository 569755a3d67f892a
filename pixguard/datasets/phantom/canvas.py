"""Drawing on the unit square: coordinates, noise and soft shapes, the same at every size.

Arrays are float32 (H, W) unless said otherwise; ``x`` runs right and ``y`` down, both in [0, 1].
What is random in a shape is drawn before anything that depends on the size, so that an image
looks the same at 28 and at 1024 pixels.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Field = NDArray[np.float32]
Real = NDArray[np.floating[Any]]
Colour = tuple[float, float, float]


@lru_cache(maxsize=8)
def grid(size: int) -> tuple[Field, Field]:
    """Return the coordinates (x, y) of pixel centres."""
    centres = ((np.arange(size) + 0.5) / size).astype(np.float32)
    x, y = np.meshgrid(centres, centres)
    x.setflags(write=False)
    y.setflags(write=False)
    return x, y


@lru_cache(maxsize=256)
def _interpolation(size: int, cells: int) -> Field:
    """Return the matrix (size, cells + 3) of a uniform cubic B-spline over the unit interval."""
    position = (np.arange(size, dtype=np.float32) + 0.5) / size * cells
    first = np.floor(position).astype(np.int64)
    t = position - first
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    matrix = np.zeros((size, cells + 3), dtype=np.float32)
    rows = np.arange(size)[:, None]
    matrix[rows, first[:, None] + np.arange(4)] = weights / 6
    return matrix


def smooth_noise(rng: Generator, size: int, cells: int, cells_x: int | None = None) -> Field:
    """Return smooth noise of unit variance with about ``cells`` bumps down (and across)."""
    across = cells if cells_x is None else cells_x
    lattice = rng.standard_normal((cells + 3, across + 3), dtype=np.float32)
    # A cubic B-spline keeps 0.48 of the standard deviation along each axis.
    return np.asarray(
        _interpolation(size, cells) @ lattice @ _interpolation(size, across).T / 0.48**2 * 0.48,
        dtype=np.float32,
    )


def fractal_noise(rng: Generator, size: int, cells: int, octaves: int = 3) -> Field:
    """Return a sum of smooth noises, each twice as fine and half as strong as the one before."""
    total = smooth_noise(rng, size, cells)
    for octave in range(1, octaves):
        total += smooth_noise(rng, size, cells << octave) * np.float32(0.5**octave)
    return total


def curve(rng: Generator, size: int, cells: int) -> Field:
    """Return smooth noise (size,) along a line, of about unit variance."""
    lattice = rng.standard_normal(cells + 3, dtype=np.float32)
    return np.asarray(_interpolation(size, cells) @ lattice / 0.69, dtype=np.float32)


def soft(value: Real, width: float) -> Field:
    """Return a smooth step from 0 to 1 as ``value`` goes from ``-width`` to ``width``."""
    t = np.clip(value / (2 * width) + 0.5, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def bump(distance: Real, radius: float) -> Field:
    """Return a Gaussian bump of a distance: 1 at 0, 0.6 at ``radius``."""
    return np.asarray(np.exp(-0.5 * np.square(distance / radius)), dtype=np.float32)


def ellipse(size: int, cx: float, cy: float, rx: float, ry: float, angle: float = 0.0) -> Field:
    """Return the distance from a centre in units of an ellipse's radii: 1 on its outline."""
    x, y = grid(size)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    dx, dy = x - np.float32(cx), y - np.float32(cy)
    return np.asarray(
        np.hypot((dx * c + dy * s) / np.float32(rx), (dy * c - dx * s) / np.float32(ry)),
        dtype=np.float32,
    )


def segment(size: int, start: tuple[float, float], end: tuple[float, float]) -> Field:
    """Return the distance to the straight line from ``start`` to ``end``, as (x, y)."""
    x, y = grid(size)
    dx, dy = np.float32(end[0] - start[0]), np.float32(end[1] - start[1])
    length = max(float(dx * dx + dy * dy), 1e-9)
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / np.float32(length), 0, 1)
    return np.asarray(np.hypot(x - start[0] - along * dx, y - start[1] - along * dy), np.float32)


@dataclass(frozen=True, slots=True)
class Cells:
    """Cellular noise: for each pixel the distances to the nearest points, and which is nearest.

    ``nearest`` and ``second`` are in units of a lattice cell; ``chance`` in [0, 1) is a number
    of the nearest point's own.
    """

    nearest: Field
    second: Field
    chance: Field


def cells(rng: Generator, u: Real, v: Real, count: int, jitter: float = 0.9) -> Cells:
    """Return cellular noise (Worley 1996) over coordinates u, v, ``count`` cells to the unit.

    One point lies in each cell of a lattice of 64 by 64, which repeats.
    """
    offset_x, offset_y, own = rng.random((3, 64 * 64), dtype=np.float32)
    offset_x = (offset_x - 0.5) * np.float32(jitter) + 0.5
    offset_y = (offset_y - 0.5) * np.float32(jitter) + 0.5
    px, py = np.asarray(u * count, np.float32), np.asarray(v * count, np.float32)
    floor_x, floor_y = np.floor(px), np.floor(py)
    ix, iy = floor_x.astype(np.int32), floor_y.astype(np.int32)
    px, py = px - floor_x, py - floor_y
    nearest = np.full(u.shape, 9, dtype=np.float32)  # squared distances until the end
    second = nearest.copy()
    chance = np.zeros_like(nearest)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            which = ((iy + dy) & 63) << 6 | ((ix + dx) & 63)
            away_x, away_y = offset_x[which] + (dx - px), offset_y[which] + (dy - py)
            distance = away_x * away_x + away_y * away_y
            closer = distance < nearest
            second = np.minimum(second, np.maximum(nearest, distance))
            nearest = np.minimum(nearest, distance)
            np.copyto(chance, own[which], where=closer)
    return Cells(np.sqrt(nearest), np.sqrt(second), chance)


def mix(base: Real, colour: Colour, amount: Real) -> Field:
    """Return colours (H, W, 3) in [0, 1] moved towards ``colour`` by ``amount`` (H, W)."""
    return np.asarray(
        base + (np.asarray(colour, dtype=np.float32) - base) * amount[..., None], np.float32
    )


def plain(size: int, colour: Colour) -> Field:
    """Return colours (H, W, 3), all of them ``colour``."""
    return np.full((size, size, 3), colour, dtype=np.float32)


def jittered(rng: Generator, colour: Colour, spread: float) -> Colour:
    """Return a colour near to ``colour``: ``spread`` in lightness, a third of it in hue."""
    r, g, b = np.asarray(colour) + rng.normal(0, spread) + rng.normal(0, spread / 3, 3)
    return float(r), float(g), float(b)
