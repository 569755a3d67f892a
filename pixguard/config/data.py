"""Which images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pixguard.config.setting import Settings
from pixguard.records import SplitScheme

Source = Literal["auto", "medmnist", "originals", "folder", "phantom"]
AttackAt = Literal["input", "native"]


@dataclass(frozen=True, slots=True)
class DatasetSettings(Settings):
    """Which images.

    ``size`` is the side in pixels, or :data:`pixguard.records.NATIVE_SIZE` for each image's own;
    ``phantom_images`` is the number of phantoms.
    """

    name: str
    source: Source = "auto"
    size: int = 28
    data_dir: Path | None = None
    split: SplitScheme = "paper"
    split_seed: int = 0
    phantom_images: int = 2000
    skip_bad: bool = False
