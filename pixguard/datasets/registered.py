"""From a registered dataset back to the settings that open it."""

import re
from pathlib import Path

from pixguard.config import DatasetSettings
from pixguard.config.data import parts_of_scheme
from pixguard.errors import UsageError
from pixguard.records import DatasetInfo


def settings_of(info: DatasetInfo, data_dir: Path | None = None) -> DatasetSettings:
    """Return the settings that open a dataset as it was registered.

    Args:
        info: as the database holds it.
        data_dir: where its files are now, if they were moved.

    Raises:
        UsageError: it is of a phantom version that this pixguard does not make.
    """
    split, group = parts_of_scheme(info.split_scheme)
    settings = DatasetSettings(
        name=info.name,
        source=info.source,
        size=info.size,
        data_dir=data_dir or (Path(info.location) if info.location else None),
        split=split,
        group=group,
        split_seed=info.split_seed,
        # Unreadable files that were left out then are left out again; the manifest is compared
        # afterwards, so nothing else can go missing unnoticed.
        skip_bad=True,
        channels=("rgb" if info.channels == 3 else "gray")
        if info.source in ("folder", "npz")
        else "auto",
    )
    if info.source != "phantom":
        return settings
    count = re.fullmatch(r"phantom-\d+-seed\d+-n(\d+)", info.version)
    if count is None:
        raise UsageError(
            f"phantoms of version {info.version!r} are unknown to this pixguard",
            f"pixguard train --dataset {info.name} --source phantom",
        )
    return DatasetSettings(
        name=info.name,
        source="phantom",
        size=info.size,
        split=split,
        split_seed=info.split_seed,
        phantom_images=int(count[1]),
    )
