"""How image files of other forms become 8-bit ones."""

from dataclasses import dataclass
from pathlib import Path

from pixguard.config.settings import Settings, required, setting


@dataclass(frozen=True)
class ConversionSettings(Settings):
    """How image files of other forms become 8-bit ones.

    ``window`` is ``percentiles``, ``minmax`` (both of each image), or ``LOW:HIGH``;
    ``background`` is a gray level.
    """

    source: Path = required("Folder or zip of images.", argument=True, metavar="DATA_DIR")
    out: Path = required("New folder to write.", short="-o")
    window: str = setting(
        "percentiles",
        "Which values of images of more than 8 bits become 0 and 255: the 0.5th and 99.5th "
        "percentile of each image, its least and greatest value (minmax), or the same for all "
        "(LOW:HIGH, as 0:4095).",
        metavar="percentiles|minmax|LOW:HIGH",
        in_file=True,
    )
    background: int = setting(
        0, "Gray level behind transparent pixels: 0 is black, 255 white.", low=0, high=255
    )
    skip_bad: bool = setting(False, "Leave unreadable images out instead of stopping.")
