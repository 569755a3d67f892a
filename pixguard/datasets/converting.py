"""Writes images that are not 8-bit gray or RGB as PNG files that are, and says how."""

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pixguard.config.conversion import ConversionSettings
from pixguard.datasets.decode import (
    DAMAGE,
    BadFilesError,
    BadImageError,
    check_sides,
    has_wide_channels,
    inspect,
)
from pixguard.datasets.files import FileTree, UnreadableFileError, open_tree, plain_path
from pixguard.datasets.jpeg import JPEG_START
from pixguard.datasets.jpeg import problem as jpeg_problem
from pixguard.errors import DataError, PixguardError, UsageError
from pixguard.files import replace_folder, temporary_folder
from pixguard.progress import Display

_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")
_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .tif .tiff .bmp .gif .webp .jp2 .j2k .pgm .ppm .pnm".split()
)
_TABLES = frozenset({".csv", ".tsv"})
_PHOTOMETRIC_TAG, _WHITE_IS_ZERO = 262, 0
_PERCENTILES = (0.5, 99.5)

AS_THEY_ARE = "8-bit gray or RGB: copied as they are"


@dataclass
class Converted:
    """What was written: files by how they came about, and what was left out.

    ``lowest`` and ``highest`` are the ends of all windows that were applied, None without one.
    """

    out: Path
    how: Counter[str] = field(default_factory=Counter)
    lowest: float | None = None
    highest: float | None = None
    left_out: list[str] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)


def convert_images(settings: ConversionSettings, display: Display) -> Converted:
    """Write every image of a folder or zip below a new folder, in its place, as 8-bit gray or RGB.

    Files that are so already are copied; others become PNG files, and tables that name them by a
    column ``path`` name the new ones. Nothing is left where it fails.

    Raises:
        UsageError: the window makes no sense, or ``out`` is taken or lies in the data.
        DataError: there is no image, or files cannot be converted (unless ``skip_bad``).
        PixguardError: the folder cannot be written.
    """
    window = _parse_window(settings.window)
    _check_out(settings)
    tree = open_tree(settings.source)
    done = Converted(settings.out)
    images = [path for path in tree.sizes if _suffix(path) in _SUFFIXES]
    if not images:
        raise DataError(f"{tree.location} holds no image", "check the folder")
    renamed: dict[str, str] = {}
    try:
        with (
            temporary_folder(settings.out) as folder,
            display.track(
                f"convert {tree.location.resolve().name}", len(images), "files"
            ) as progress,
        ):
            for number, path in enumerate(images, start=1):
                try:
                    new, content = _convert(tree, path, settings, window, done)
                except UnreadableFileError as error:
                    done.bad.append((path, str(error)))
                else:
                    renamed[path] = new
                    _write(folder / new, content)
                progress.update(number, f"{len(done.bad)} bad" if done.bad else "")
            if done.bad and not settings.skip_bad:
                raise BadFilesError(tree.location, done.bad)
            for path in tree.sizes:
                if _suffix(path) in _TABLES:
                    _write(folder / path, _rewritten(tree, path, renamed))
                elif _suffix(path) not in _SUFFIXES:
                    done.left_out.append(path)
            replace_folder(folder, settings.out)
    except OSError as error:
        raise PixguardError(
            f"cannot write {settings.out}: {error.strerror or error}", "name another folder"
        ) from error
    return done


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _check_out(settings: ConversionSettings) -> None:
    out = settings.out.resolve()
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(f"{settings.out} is there already", f"`out={settings.out}-2`")
    if settings.source.is_dir() and out.is_relative_to(settings.source.resolve()):
        raise UsageError(
            f"{settings.out} lies in {settings.source}, of whose images it would be a part",
            f"`out={settings.source.resolve().name}-8bit`, beside it",
        )


def _parse_window(text: str) -> tuple[float, float] | str:
    if text in ("percentiles", "minmax"):
        return text
    low, _, high = text.partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = (np.inf, np.inf)
    if not np.isfinite(ends).all() or ends[0] >= ends[1]:
        raise UsageError(
            f"the window {text!r} is none",
            "`window=percentiles`, `window=minmax` or `window=0:4095`",
        )
    return ends


def _convert(
    tree: FileTree,
    path: str,
    settings: ConversionSettings,
    window: tuple[float, float] | str,
    done: Converted,
) -> tuple[str, bytes]:
    """Return the new path and content of an image; count in ``done`` how it came about."""
    data = tree.read(path)
    if data.startswith(JPEG_START) and (wrong := jpeg_problem(data)):
        raise BadImageError(f"is damaged: {wrong}")
    try:
        inspect(data)
    except BadImageError:
        pass
    else:
        done.how[AS_THEY_ARE] += 1
        return path, data
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        check_sides(image)
        wide_colour = has_wide_channels(image, data) and not image.mode.startswith("I")
        turned = ImageOps.exif_transpose(image)
    except BadImageError:
        raise
    except DAMAGE as error:
        raise BadImageError(f"is damaged, or no image ({error})") from error
    if turned.mode == "F" or turned.mode.startswith("I"):
        is_inverted = (
            hasattr(image, "tag_v2") and image.tag_v2.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO
        )
        made, how = _windowed(np.asarray(turned), window, is_inverted, done)
    else:
        made, how = _in_8_bits(turned, settings.background)
        if wide_colour:
            how = f"{how}, of 16 bits the upper 8" if how else "16 bits a channel: the upper 8"
    done.how[how or "other formats and colour spaces: as PNG"] += 1
    file = io.BytesIO()
    made.save(file, "PNG")
    new = str(PurePosixPath(path).with_suffix(".png"))
    return new if new == path or new not in tree.sizes else f"{path}.png", file.getvalue()


def _windowed(
    stored: NDArray[np.generic], window: tuple[float, float] | str, inverted: bool, done: Converted
) -> tuple[Image.Image, str]:
    values = stored.astype(np.float64)
    if not np.isfinite(values).all():
        raise BadImageError("has pixels that are not finite numbers")
    if window == "percentiles":
        low, high = (float(end) for end in np.percentile(values, _PERCENTILES))
        how = "percentiles 0.5 to 99.5 of each image"
    elif window == "minmax":
        low, high, how = float(values.min()), float(values.max()), "least to greatest of each image"
    else:
        (low, high), how = map(float, window), f"{window[0]:g} to {window[1]:g}"
    if low == high:  # such as a thin structure in an empty image, or nothing at all
        low, high = float(values.min()), float(values.max())
    if low == high:
        raise BadImageError(f"has one value, {low:g}, in all of its pixels")
    done.lowest = low if done.lowest is None else min(done.lowest, low)
    done.highest = high if done.highest is None else max(done.highest, high)
    scaled = np.rint((values - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)
    return Image.fromarray(255 - scaled if inverted else scaled), f"more than 8 bits: window {how}"


def _in_8_bits(image: Image.Image, background: int) -> tuple[Image.Image, str]:
    """Return an 8-bit image in gray or RGB, and how it came about; empty for its colours alone."""
    had_palette = image.mode in ("P", "PA")
    how = "palette: colours written out" if had_palette else ""
    try:
        if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            if image.getchannel("A").getextrema() == (255, 255):
                how = how or "alpha, opaque everywhere: left out"
            else:
                behind = Image.new("RGBA", image.size, (background,) * 3 + (255,))
                image = Image.alpha_composite(behind, image)
                how = f"transparent in places: on the gray level {background}"
        if image.mode == "1":
            how = "1 bit: 0 and 255"
        made = image.convert("L" if image.mode in ("1", "L") else "RGB")
    except ValueError as error:
        raise BadImageError(f"cannot be converted ({error})") from error
    pixels = np.asarray(made)
    if made.mode == "RGB" and (pixels == pixels[..., :1]).all():
        made = made.getchannel(0)
    return made, how


def _rewritten(tree: FileTree, path: str, renamed: dict[str, str]) -> bytes:
    """Return a table whose column ``path``, if it has one, names the new files.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return _renamed(tree.read(path), path, renamed)
    except (UnreadableFileError, csv.Error) as error:
        raise DataError(
            f"{tree.location / path} cannot be read: {error}", "mend it, or move it elsewhere"
        ) from error


def _renamed(content: bytes, path: str, renamed: dict[str, str]) -> bytes:
    folder = path.rpartition("/")[0]
    beginning = f"{folder}/" if folder else ""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    if not rows or "path" not in rows[0]:
        return content
    column = rows[0].index("path")
    for row in rows[1:]:
        if len(row) > column:
            old = row[column].strip()
            new = renamed.get(plain_path(beginning + old), beginning + old)
            row[column] = new.removeprefix(beginning)
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return file.getvalue().encode()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
