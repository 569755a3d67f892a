"""``pixguard data``: which datasets there are, fetch one, look at one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pixguard.cli.common import (
    DataDirOption,
    JsonOption,
    PhantomImagesOption,
    SizeOption,
    SkipBadOption,
    SourceOption,
    SplitOption,
    checked_source,
    new_app,
    print_json,
    print_result,
)
from pixguard.cli.tables import print_rows
from pixguard.config import DatasetSettings
from pixguard.records import SplitScheme

if TYPE_CHECKING:
    from pixguard.datasets.base import ImageDataset

app = new_app("List, fetch and look at datasets.")

NameArgument = Annotated[
    str, typer.Argument(help="derma, pathology, oct, chest, a MedMNIST flag, or your own name.")
]
DEFAULTS = DatasetSettings(name="")


@app.command("list")
def list_datasets(json: JsonOption = False) -> None:
    """List the datasets that have a name, and at which sizes they are on this machine."""
    from pixguard.datasets.catalogue import every_entry
    from pixguard.datasets.medmnist import SIZES, locate

    entries: list[dict[str, Any]] = [
        {
            "dataset": entry.name,
            "classes": entry.class_count,
            "task": entry.task,
            "channels": entry.channels,
            "licence": entry.licence,
            "sizes_here": [size for size in SIZES if locate(entry, size, None)],
        }
        for entry in every_entry()
    ]
    if json:
        print_json(entries)
        return
    for entry in entries:
        entry["sizes_here"] = ", ".join(map(str, entry["sizes_here"])) or "-"
    print_rows(entries, "no datasets")


@app.command()
def fetch(
    name: NameArgument,
    size: Annotated[int, typer.Option(help="28, 64, 128 or 224 pixels.")] = DEFAULTS.size,
    json: JsonOption = False,
) -> None:
    """Download a dataset of MedMNIST; a broken download goes on where it stopped."""
    from pixguard import datasets
    from pixguard.cli.display import TerminalDisplay

    path = datasets.fetch(name, size, TerminalDisplay())
    print_result({"dataset": name, "size": size, "file": str(path)}, json)


@app.command()
def info(
    name: NameArgument,
    source: SourceOption = None,
    size: SizeOption = None,
    data_dir: DataDirOption = None,
    split: SplitOption = None,
    images: PhantomImagesOption = None,
    skip_bad: SkipBadOption = False,
    json: JsonOption = False,
) -> None:
    """Open a dataset, check its files, and tell what it holds."""
    dataset = _open(name, source, size, data_dir, split, images, skip_bad)
    about = dataset.info
    print_result(
        {
            "dataset": about.name,
            "source": about.source + (" (synthetic)" if about.is_synthetic else ""),
            "version": about.version,
            "size": about.size,
            "channels": about.channels,
            "task": about.task,
            "images": len(dataset),
            "train": dataset.class_counts("train"),
            "val": dataset.class_counts("val"),
            "test": dataset.class_counts("test"),
            "licence": about.licence or "unknown",
            "citation": about.citation or "unknown",
            "location": about.location or "none: made when read",
        },
        json,
    )


@app.command()
def preview(
    name: NameArgument,
    output: Annotated[
        Path | None, typer.Option(help="PNG file to write. Default: NAME-preview.png here.")
    ] = None,
    per_class: Annotated[int, typer.Option(min=1, max=100, help="Images of each class.")] = 8,
    source: SourceOption = None,
    size: SizeOption = None,
    data_dir: DataDirOption = None,
    images: PhantomImagesOption = None,
    skip_bad: SkipBadOption = False,
    json: JsonOption = False,
) -> None:
    """Write a contact sheet of some images of every class."""
    from pixguard.datasets.preview import contact_sheet, encode_png
    from pixguard.files import write_atomically

    dataset = _open(name, source, size, data_dir, None, images, skip_bad)
    path = output or Path(f"{name}-preview.png")
    write_atomically(path, encode_png(contact_sheet(dataset, per_class)))
    print_result({"dataset": dataset.info.name, "file": str(path)}, json)


def _open(
    name: str,
    source: str | None,
    size: int | None,
    data_dir: Path | None,
    split: SplitScheme | None,
    images: int | None,
    skip_bad: bool,
) -> "ImageDataset":
    from pixguard.cli.display import TerminalDisplay
    from pixguard.datasets import open_dataset

    settings = DatasetSettings(
        name=name,
        source=checked_source(source) or DEFAULTS.source,
        size=size or DEFAULTS.size,
        data_dir=data_dir,
        split=split or DEFAULTS.split,
        phantom_images=images or DEFAULTS.phantom_images,
        skip_bad=skip_bad,
    )
    return open_dataset(settings, TerminalDisplay())
