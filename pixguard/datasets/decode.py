"""One image file: is it one that can be attacked pixel by pixel, and what are its pixels."""

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from pixguard.datasets.base import Images
from pixguard.datasets.files import UnreadableFileError
from pixguard.errors import DataError

_FORMATS = ("JPEG", "PNG", "TIFF", "BMP")
_MIN_SIDE = 8
_MAX_PIXELS = 1 << 26
_TIFF_BITS_PER_SAMPLE = 258
_MODE_PROBLEMS = {
    "1": "has 1 bit a pixel",
    "P": "has a palette",
    "PA": "has a palette",
    "LA": "has an alpha channel",
    "La": "has an alpha channel",
    "RGBA": "has an alpha channel",
    "RGBa": "has an alpha channel",
    "CMYK": "is CMYK",
    "YCbCr": "is YCbCr",
    "LAB": "is CIELAB",
    "HSV": "is HSV",
}
# What Pillow's decoders raise on damaged input.
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, KeyError)


class BadImageError(UnreadableFileError):
    """A file is not an 8-bit grayscale or RGB image; the text says what it is, without the path."""


def inspect(data: bytes) -> bool:
    """Tell whether an image file is in colour; nothing more is decoded than soundness takes.

    Raises:
        BadImageError: the file is damaged, or not a still 8-bit grayscale or RGB image of a
            sensible size.
    """
    image = _open(data)
    _check_header(image, data)
    if not _is_complete(image, data):
        try:
            image.load()
        except _DAMAGE as error:
            raise BadImageError(f"is truncated or damaged ({error})") from error
    return image.mode == "RGB"


def decode(data: bytes, size: int, channels: int) -> Images:
    """Return the uint8 pixels (size, size, channels) of an image file.

    Other sizes are resized to the square by Pillow's antialiasing bicubic filter, whatever their
    proportions; a grayscale image among colour ones has three equal channels.

    Raises:
        BadImageError: the file is damaged.
    """
    image = _open(data)
    mode = "RGB" if channels == 3 else "L"
    try:
        converted = image if image.mode == mode else image.convert(mode)
        if converted.size != (size, size):
            converted = converted.resize((size, size), Image.Resampling.BICUBIC)
    except _DAMAGE as error:
        raise BadImageError(f"is truncated or damaged ({error})") from error
    return np.asarray(converted, dtype=np.uint8).reshape(size, size, channels)


def bad_images_error(location: Path, bad: Sequence[tuple[str, str]]) -> DataError:
    """Return the error that lists every bad file of a dataset, as (path, what is wrong)."""
    lines = "\n".join(f"  {path}: {reason}" for path, reason in bad)
    return DataError(
        f"{location}: {len(bad)} of its files cannot be used\n{lines}",
        "mend or remove them, or go on without them: --skip-bad",
    )


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise BadImageError("is not a JPEG, PNG, TIFF or BMP image") from error
    except Image.DecompressionBombError as error:
        raise BadImageError("declares far more pixels than a medical image has") from error
    except _DAMAGE as error:
        raise BadImageError(f"is damaged ({error})") from error


def _check_header(image: Image.Image, data: bytes) -> None:
    width, height = image.size
    if width * height > _MAX_PIXELS:
        raise BadImageError(f"has {width}x{height} pixels, more than {_MAX_PIXELS:,} in all")
    if min(width, height) < _MIN_SIDE:
        raise BadImageError(f"has {width}x{height} pixels, less than {_MIN_SIDE} a side")
    if getattr(image, "n_frames", 1) > 1:
        raise BadImageError("has several frames")
    if image.mode == "F":
        raise BadImageError("has floating-point pixels")
    if image.mode.startswith("I") or _has_wide_channels(image, data):
        raise BadImageError("has more than 8 bits a channel")
    if image.mode not in ("L", "RGB"):
        raise BadImageError(_MODE_PROBLEMS.get(image.mode, f"has the mode {image.mode}"))


def _has_wide_channels(image: Image.Image, data: bytes) -> bool:
    """Tell whether Pillow would drop the low bits of a 16-bit colour image without a word."""
    if image.format == "PNG":
        return len(data) > 24 and data[24] == 16
    bits = image.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (8,)) if hasattr(image, "tag_v2") else (8,)
    return any(b > 8 for b in np.atleast_1d(bits))


def _is_complete(image: Image.Image, data: bytes) -> bool:
    """Tell from a file's end that it is whole; False means that only decoding can tell."""
    if image.format == "JPEG":
        return data.rstrip(b"\0").endswith(b"\xff\xd9")
    return False
