"""One image file: is it one that can be attacked pixel by pixel, and what are its pixels."""

import io
import struct
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pixguard.datasets.base import Images
from pixguard.datasets.files import UnreadableFileError
from pixguard.errors import DataError
from pixguard.records import NATIVE_SIZE

_FORMATS = ("JPEG", "PNG", "TIFF", "BMP")
_MIN_SIDE = 8
_MAX_PIXELS = 1 << 26
_TIFF_BITS_PER_SAMPLE = 258
_ORIENTATION_TAG = 274
_PNG_EXIF = (b"eXIf", b"Raw profile type exif")
_SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap height and width."""
NAMED_BAD_FILES = 100
"""How many of a dataset's bad files a message names."""
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
DAMAGE = Exception
"""What Pillow raises on damaged input: whatever its decoders stumble over."""


class BadImageError(UnreadableFileError):
    """A file is not an 8-bit grayscale or RGB image; the text says what it is, without the path."""


@dataclass(frozen=True, slots=True)
class Header:
    """What an image file says of itself; sides in pixels, as it is to be looked at.

    ``is_rgb``: it has three channels, which may be equal; ``is_turned``: its EXIF orientation
    turns or mirrors what is stored.
    """

    height: int
    width: int
    is_rgb: bool
    is_turned: bool = False


def inspect(data: bytes, other_modes: Collection[str] = ()) -> Header:
    """Return what a sound image file says of itself; no more is decoded than soundness takes.

    Args:
        data: the content of the file.
        other_modes: Pillow's modes that are taken besides 8-bit grayscale and RGB: ``RGBA``, if it
            is opaque, and ``P``, if it is not transparent.

    Raises:
        BadImageError: the file is damaged, or not a still 8-bit grayscale or RGB image of a
            sensible size.
    """
    image = _open(data)
    _check_header(image, data, other_modes)
    if image.mode == "RGBA" or not _is_complete(image, data):
        try:
            image.load()
        except DAMAGE as error:
            raise BadImageError(f"is truncated or damaged ({error})") from error
    _check_opaque(image)
    orientation = _orientation(image, data)
    height, width = image.height, image.width
    if orientation in _SIDEWAYS:
        height, width = width, height
    return Header(height, width, image.mode != "L", orientation != 1)


def is_coloured(data: bytes) -> bool:
    """Tell whether an image file has a pixel whose channels differ.

    Raises:
        BadImageError: the file is damaged.
    """
    pixels = decode(data, NATIVE_SIZE, 3)
    return bool((pixels != pixels[..., :1]).any())


def decode(data: bytes, size: int, channels: int) -> Images:
    """Return the uint8 pixels (size, size, channels) of an image file.

    They are turned as the file's EXIF orientation says. At :data:`pixguard.records.NATIVE_SIZE`
    they are (H, W, channels), those of the file. Else other sizes are resized to the square by
    Pillow's antialiasing bicubic filter, whatever their proportions; a grayscale image among colour
    ones has three equal channels, and a colour image among grayscale ones its luma (ITU-R BT.601).

    Raises:
        BadImageError: the file is damaged.
    """
    image = _open(data)
    mode = "RGB" if channels == 3 else "L"
    try:
        if _orientation(image, data) != 1:
            image = ImageOps.exif_transpose(image)
        converted = image if image.mode == mode else image.convert(mode)
        if size != NATIVE_SIZE and converted.size != (size, size):
            converted = converted.resize((size, size), Image.Resampling.BICUBIC)
        pixels = np.asarray(converted, dtype=np.uint8)  # decoded now, where nothing was done yet
    except DAMAGE as error:
        raise BadImageError(f"is truncated or damaged ({error})") from error
    return pixels.reshape(converted.height, -1, channels)


class BadFilesError(DataError):
    """Files of a dataset cannot be used; ``bad`` has all of them as (path, what is wrong)."""

    def __init__(
        self,
        location: Path,
        bad: Sequence[tuple[str, str]],
        hint: str = "mend or remove them, go on without them (`skip_bad=True`), or write 8-bit "
        "files of those of other forms: pixguard data convert DATA_DIR --out NEW_DIR",
    ) -> None:
        self.bad = tuple(bad)
        lines = [f"  {path}: {reason}" for path, reason in bad[:NAMED_BAD_FILES]]
        if len(bad) > NAMED_BAD_FILES:
            lines.append(
                f"  and {len(bad) - NAMED_BAD_FILES:,} more: pixguard data check lists all"
            )
        shown = "\n".join(lines)
        super().__init__(f"{location}: {len(bad)} of its files cannot be used\n{shown}", hint)


def _orientation(image: Image.Image, data: bytes) -> int:
    """Return the EXIF orientation, 1 to 8; 1, upright, where there is none that makes sense.

    Of a PNG file without one, Pillow would decode the pixels; those of TIFF files it turns itself.
    """
    if image.format not in ("JPEG", "TIFF") and not any(mark in data for mark in _PNG_EXIF):
        return 1
    try:
        found = image.getexif().get(_ORIENTATION_TAG, 1)
    except DAMAGE:  # the pixels are sound without it
        return 1
    return found if found in range(1, 9) else 1


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise BadImageError("is not a JPEG, PNG, TIFF or BMP image") from error
    except Image.DecompressionBombError as error:
        raise BadImageError("declares far more pixels than a medical image has") from error
    except DAMAGE as error:
        raise BadImageError(f"is damaged ({error})") from error


def check_sides(image: Image.Image) -> None:
    """Raise BadImageError where an image has too few pixels, too many, or several frames."""
    width, height = image.size
    if width * height > _MAX_PIXELS:
        raise BadImageError(f"has {width}x{height} pixels, more than {_MAX_PIXELS:,} in all")
    if min(width, height) < _MIN_SIDE:
        raise BadImageError(f"has {width}x{height} pixels, less than {_MIN_SIDE} a side")
    if _has_frames(image):
        raise BadImageError("has several frames")


def _has_frames(image: Image.Image) -> bool:
    """Tell whether an image has a second frame; to count millions of them would take minutes."""
    if image.format != "TIFF":
        return getattr(image, "n_frames", 1) > 1
    try:
        image.seek(1)
    except EOFError:
        return False
    except DAMAGE as error:
        raise BadImageError(f"is damaged ({error})") from error
    return True


def _check_header(image: Image.Image, data: bytes, other_modes: Collection[str]) -> None:
    check_sides(image)
    if image.mode == "F":
        raise BadImageError("has floating-point pixels")
    if image.mode.startswith("I") or has_wide_channels(image, data):
        raise BadImageError("has more than 8 bits a channel")
    if image.mode not in ("L", "RGB", *other_modes):
        raise BadImageError(_MODE_PROBLEMS.get(image.mode, f"has the mode {image.mode}"))


def has_wide_channels(image: Image.Image, data: bytes) -> bool:
    """Tell whether Pillow would drop the low bits of a 16-bit colour image without a word."""
    if image.format == "PNG":
        return len(data) > 24 and data[24] == 16
    bits = image.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (8,)) if hasattr(image, "tag_v2") else (8,)
    return any(b > 8 for b in np.atleast_1d(bits))


def _check_opaque(image: Image.Image) -> None:
    if (image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255)) or (
        image.mode == "P" and "transparency" in image.info
    ):
        raise BadImageError("is transparent in places")


def _is_complete(image: Image.Image, data: bytes) -> bool:
    """Tell without decoding that a file is whole; False means that only decoding can tell."""
    if image.format == "JPEG":
        return data.rstrip(b"\0").endswith(b"\xff\xd9")
    return image.format == "PNG" and _has_sound_chunks(data)


def _has_sound_chunks(png: bytes) -> bool:
    """Tell whether a PNG file's chunks reach its end mark with their CRC-32 right."""
    start = 8
    while start + 12 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, start)
        end = start + 8 + length
        if end + 4 > len(png) or zlib.crc32(png[start + 4 : end]) != int.from_bytes(
            png[end : end + 4], "big"
        ):
            return False
        if kind == b"IEND":
            return True
        start = end + 4
    return False
