"""Optical coherence tomography: the layers of a retina, with three diseases or none."""

import numpy as np
from numpy.random import Generator

from pixguard.datasets.phantom.canvas import (
    Field,
    bump,
    curve,
    ellipse,
    fractal_noise,
    grid,
    smooth_noise,
    soft,
)

_CNV, _DME, _DRUSEN, _NORMAL = range(4)
SHARES = (27, 17, 16, 40)
"""How many images of a hundred show each class."""

# Brightness at depths from the inner limiting membrane (0) to the pigment epithelium (1).
_DEPTHS = (0.0, 0.03, 0.16, 0.20, 0.38, 0.42, 0.50, 0.54, 0.60, 0.64, 0.84, 0.87, 0.90, 0.94, 1.0)
_LIGHT = (0.55, 0.80, 0.72, 0.50, 0.46, 0.28, 0.26, 0.48, 0.46, 0.22, 0.20, 0.38, 0.75, 0.50, 0.95)


def _lumps(rng: Generator, size: int, count: int, width: float, height: float) -> Field:
    """Return (size,) elevations at ``count`` places across the scan."""
    x = grid(size)[0][0]
    total = np.zeros(size, np.float32)
    for _ in range(count):
        at, reach = rng.uniform(0.12, 0.88), width * rng.uniform(0.6, 1.4)
        total = np.maximum(total, height * rng.uniform(0.6, 1.2) * bump(x - np.float32(at), reach))
    return total


def _cysts(rng: Generator, size: int, inner: Field, thickness: Field, severity: float) -> Field:
    """Return the fluid-filled spaces of an edema, 1 inside, within the retina's middle."""
    fluid = np.zeros((size, size), np.float32)
    middle = rng.uniform(0.35, 0.65)
    for _ in range(int(rng.integers(3, 8))):
        cx = float(np.clip(rng.normal(middle, 0.13), 0.08, 0.92))
        column = min(int(cx * size), size - 1)
        cy = float(inner[column] + rng.uniform(0.42, 0.72) * thickness[column])
        rx, ry = rng.uniform(0.022, 0.055, 2) * severity
        fluid = np.maximum(fluid, 1 - soft(ellipse(size, cx, cy, rx, ry * 1.3) - 1, 0.25))
    return fluid


def render(rng: Generator, size: int, label: int) -> Field:
    """Return one image, float32 (size, size, 1) in [0, 1], of a class."""
    x, y = grid(size)
    row = x[0]
    severity = rng.uniform(0.65, 1.35)
    tilt, bow = rng.normal(0, 0.06), rng.uniform(0.0, 0.12)
    fovea = rng.uniform(0.35, 0.65)
    base = rng.uniform(0.58, 0.70) + tilt * (row - 0.5) - bow * np.square(2 * row - 1)
    base = np.asarray(base + 0.006 * curve(rng, size, 5), np.float32)
    thickness = rng.uniform(0.24, 0.30) + 0.006 * curve(rng, size, 4)
    pit = rng.uniform(0.35, 0.55) * bump(row - np.float32(fovea), rng.uniform(0.07, 0.11))
    lift = np.zeros(size, np.float32)
    if label == _DRUSEN:
        lift = _lumps(rng, size, int(rng.integers(4, 9)), 0.026, 0.045 * severity)
    elif label == _CNV:
        lift = _lumps(rng, size, int(rng.integers(1, 3)), 0.10, 0.10 * severity)
        lift = np.asarray(lift * (1 + 0.25 * curve(rng, size, 9)), np.float32)
        pit = pit * 0.4
    elif label == _DME:
        swelling = 0.45 * severity * bump(row - np.float32(rng.uniform(0.35, 0.65)), 0.2)
        thickness, pit = thickness * (1 + swelling), pit * rng.uniform(0.0, 0.5)
    epithelium = base - lift
    inner = np.asarray(base - thickness * (1 - pit) - lift * 0.6, np.float32)
    depth = (y - inner) / np.maximum(epithelium - inner, 0.02)

    retina = np.interp(depth, _DEPTHS, _LIGHT).astype(np.float32)
    retina *= 1 + 0.10 * smooth_noise(rng, size, 6)
    pixel = 1 / size
    vitreous = np.full_like(y, 0.05)
    band = bump(y - epithelium, max(0.013, 0.6 * pixel))
    choroid = 0.55 * np.exp(-(y - base) / rng.uniform(0.07, 0.14))
    choroid = choroid * (1 + 0.35 * fractal_noise(rng, size, 14, 2))
    below = soft(y - epithelium, max(0.006, pixel))
    image = np.where(depth < 0, vitreous, retina) * (1 - below) + choroid * below
    raised = below * (y < base) * soft(np.broadcast_to(lift - 0.012, y.shape), 0.01)
    filling = 0.42 if label == _DRUSEN else 0.60 + 0.12 * fractal_noise(rng, size, 9)
    image = image * (1 - raised) + filling * raised
    image = np.maximum(image, band * rng.uniform(0.85, 1.0))
    if label == _DME:
        image = image * (1 - 0.85 * _cysts(rng, size, inner, inner * 0 + thickness, severity))
    if label == _CNV:
        image = _neovascular(rng, image, epithelium, lift)
    gain = rng.uniform(0.65, 0.95)
    speckle = rng.gamma(12.0, 1 / 12.0, (size, size)).astype(np.float32)
    return np.asarray((image * gain * speckle + 0.02)[..., None], np.float32)


def _neovascular(rng: Generator, image: Field, epithelium: Field, lift: Field) -> Field:
    """Break the pigment epithelium over a membrane, and let fluid gather above it."""
    size = len(image)
    x, _ = grid(size)
    peak = float(x[0][int(np.argmax(lift))])
    haze = bump(ellipse(size, peak, float(epithelium.min()), 0.13, 0.045), 0.6)
    image = image + 0.45 * haze * (1 + 0.4 * fractal_noise(rng, size, 10, 2))
    side = peak + rng.choice((-1.0, 1.0)) * rng.uniform(0.10, 0.18)
    column = int(np.clip(side, 0, 0.999) * size)
    fluid = ellipse(size, side, float(epithelium[column]) - 0.03, 0.10, 0.032)
    return np.asarray(image * (1 - 0.8 * (1 - soft(fluid - 1, 0.2))), np.float32)
