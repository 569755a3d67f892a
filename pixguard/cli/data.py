"""``pixguard data``: which datasets there are, fetch one, look at one."""

from pathlib import Path
from typing import Annotated, Any

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
from pixguard.errors import PixguardError
from pixguard.records import SplitScheme

app = new_app("List, fetch and look at datasets.")

NameArgument = Annotated[
    str, typer.Argument(help="derma, pathology, oct, chest, a MedMNIST flag, or your own name.")
]
DEFAULTS = DatasetSettings(name="")


@app.command("list")
def list_datasets(json: JsonOption = False) -> None:
    """List the datasets that have a name, and at which sizes MedMNIST's are on this machine."""
    from pixguard.datasets.catalogue import MEDICAL_MNIST, every_entry
    from pixguard.datasets.medmnist import SIZES, locate
    from pixguard.datasets.owners import ORIGINALS

    entries: list[dict[str, Any]] = [
        {
            "dataset": entry.name,
            "classes": entry.class_count,
            "task": entry.task,
            "channels": entry.channels,
            "licence": entry.licence,
            "original": ORIGINALS[entry.name].title if entry.name in ORIGINALS else None,
            "sizes_here": [s for s in SIZES if entry.flag and locate(entry, s, None)],
        }
        for entry in (*every_entry(), MEDICAL_MNIST)
    ]
    if json:
        print_json(entries)
        return
    for entry in entries:
        del entry["channels"]  # what is left fits into 80 columns
        entry["here"] = ", ".join(map(str, entry.pop("sizes_here"))) or "-"
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
    """Open a dataset, look at its files, and tell what it holds, as Tables 6 to 10 do."""
    from pixguard.cli.display import TerminalDisplay
    from pixguard.datasets import open_dataset
    from pixguard.datasets.overview import CLASS_TABLES, class_table, overview

    settings = _settings(name, source, size, data_dir, split, images, skip_bad)
    dataset = open_dataset(settings, TerminalDisplay())
    about = dataset.info
    summary = {
        "dataset": about.name,
        "source": about.source + (" (synthetic)" if about.is_synthetic else ""),
        "version": about.version,
        "size": about.size_name,
        "channels": about.channels,
        "task": about.task,
        "images": len(dataset),
        "train": dataset.class_counts("train"),
        "val": dataset.class_counts("val"),
        "test": dataset.class_counts("test"),
        "licence": about.licence or "unknown",
        "citation": about.citation or "unknown",
        "location": about.location or "none: made when read",
        "skipped": len(dataset.skipped),
    }
    if json:
        tables = {"overview": overview(dataset), "classes": class_table(dataset)}
        print_json({**summary, **tables})
        return
    print_result(summary, json)
    number = CLASS_TABLES.get(about.name)
    typer.echo("\nThe dataset, as in Table 6 of the paper")
    print_rows([overview(dataset)], "no images")
    typer.echo(f"Its classes, as in Table {number} of the paper" if number else "Its classes")
    print_rows([_with_percent(row) for row in class_table(dataset)], "no classes")


def _with_percent(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "percentage": f"{row['percentage']:.2f} %"}


@app.command()
def check(
    name: NameArgument,
    source: SourceOption = None,
    size: SizeOption = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Decode every image of a dataset and list the files that cannot be used (exit code 1)."""
    from pixguard.cli.display import TerminalDisplay
    from pixguard.datasets.checking import check_dataset

    settings = _settings(name, source, size, data_dir, None, None, skip_bad=True)
    checked = check_dataset(settings, TerminalDisplay())
    bad = [{"file": path, "problem": problem} for path, problem in checked.bad]
    if json:
        print_json({"dataset": name, "sound": checked.sound, "bad": bad})
    else:
        print_result({"dataset": name, "sound": checked.sound, "bad": len(bad)}, json)
        if bad:
            print_rows(bad, "")
    if bad:
        raise typer.Exit(PixguardError.exit_code)


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
    from pixguard.cli.display import TerminalDisplay
    from pixguard.datasets import open_dataset
    from pixguard.datasets.preview import contact_sheet, encode_png
    from pixguard.files import write_atomically

    settings = _settings(name, source, size, data_dir, None, images, skip_bad)
    dataset = open_dataset(settings, TerminalDisplay())
    path = output or Path(f"{name}-preview.png")
    write_atomically(path, encode_png(contact_sheet(dataset, per_class)))
    print_result({"dataset": dataset.info.name, "file": str(path)}, json)


def _settings(
    name: str,
    source: str | None,
    size: int | None,
    data_dir: Path | None,
    split: SplitScheme | None,
    images: int | None,
    skip_bad: bool,
) -> DatasetSettings:
    return DatasetSettings(
        name=name,
        source=checked_source(source) or DEFAULTS.source,
        size=DEFAULTS.size if size is None else size,
        data_dir=data_dir,
        split=split or DEFAULTS.split,
        phantom_images=images or DEFAULTS.phantom_images,
        skip_bad=skip_bad,
    )
