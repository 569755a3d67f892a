"""Images of 8 bits as the content of PNG files, every pixel as it is."""

import io

import numpy as np
from PIL import Image

from pixguard.datasets.base import Images


def encode_png(image: Images) -> bytes:
    """Return a uint8 image (H, W, C), C of 1 or 3, as the content of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return file.getvalue()


def decode_png(content: bytes) -> Images:
    """Return the uint8 image (H, W, C) of what :func:`encode_png` made."""
    with Image.open(io.BytesIO(content)) as image:
        pixels: Images = np.array(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels
