"""``pixguard data``: which datasets there are, fetch one, look at one."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pixguard.cli.common import new_app, print_json, print_result
from pixguard.cli.groups import JsonOptions
from pixguard.cli.options import Without, command
from pixguard.cli.tables import print_rows
from pixguard.config import TrainingRequest
from pixguard.config.conversion import ConversionSettings
from pixguard.config.data import DATASET_HELP
from pixguard.config.settings import Settings, setting
from pixguard.errors import PixguardError, UsageError

if TYPE_CHECKING:
    from pixguard.datasets.checking import Twins

app = new_app("List, fetch and look at datasets.")


OVERVIEW = 6
"""The paper's table of datasets."""
WORD_HELP = "The dataset, as --dataset names it."


def _only(name: str, word: str) -> str:
    """Return the dataset that was named, by option or by place.

    Raises:
        UsageError: none was, or two.
    """
    if not (name or word):
        raise UsageError(
            "--dataset is missing", "--dataset NAME; pixguard data list tells which there are"
        )
    if name and word and name != word:
        raise UsageError(f"two datasets were named: {name} and {word}", "one of the two")
    return name or word


@dataclass(frozen=True)
class NamedDataset(TrainingRequest):
    """A dataset that is the subject of the command."""

    name: str = setting("", DATASET_HELP, flag="--dataset", short="-d", names="dataset")
    word: str = setting("", WORD_HELP, argument=True, metavar="NAME", names="dataset")

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _only(self.name, self.word))


@dataclass(frozen=True)
class Download(Settings):
    """What to fetch."""

    name: str = setting("", DATASET_HELP, flag="--dataset", short="-d", names="dataset")
    word: str = setting("", WORD_HELP, argument=True, metavar="NAME", names="dataset")
    size: int = setting(28, "28, 64, 128 or 224.", unit="pixels")

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _only(self.name, self.word))


@dataclass(frozen=True, slots=True)
class Sheet(Settings):
    """A contact sheet."""

    out: Path | None = setting(
        None, "PNG file to write. Default: DATASET-preview.png here.", short="-o"
    )
    per_class: int = setting(8, "Images of each class.", low=1, high=100, unit="images")


@app.command("list")
@command
def list_datasets(output: JsonOptions) -> None:
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
    if output.json:
        print_json(entries)
        return
    for entry in entries:
        del entry["channels"]  # what is left fits into 80 columns
        entry["here"] = ", ".join(map(str, entry.pop("sizes_here"))) or "-"
    print_rows(entries, "no datasets")


@app.command()
@command
def fetch(wanted: Download, output: JsonOptions) -> None:
    """Download a dataset of MedMNIST; a broken download goes on where it stopped."""
    from pixguard.cli.display import TerminalDisplay
    from pixguard.datasets.download import fetch as download

    path = download(wanted.name, wanted.size, TerminalDisplay())
    print_result({"dataset": wanted.name, "size": wanted.size, "file": str(path)}, output.json)


@app.command()
@command
def info(data: NamedDataset, output: JsonOptions) -> None:
    """Open a dataset, look at its files, and tell what it holds, as Tables 6 to 10 do."""
    from pixguard.cli.display import TerminalDisplay
    from pixguard.datasets.opening import open_dataset
    from pixguard.datasets.overview import CLASS_TABLES, attribution, class_table, overview

    dataset = open_dataset(replace(data.settings(), partial=True), TerminalDisplay())
    about, groups = dataset.info, dataset.groups
    summary = {
        "dataset": about.name,
        "source": about.source,
        "synthetic": about.is_synthetic,
        "version": about.version,
        "size": about.size_name,
        "channels": about.channels,
        "task": about.task,
        "images": len(dataset),
        **({} if groups is None else {f"{dataset.grouped_by}s": int(groups.max()) + 1}),
        "split": about.split_scheme,
        "train": dataset.class_counts("train"),
        "val": dataset.class_counts("val"),
        "test": dataset.class_counts("test"),
        "licence": about.licence or "unknown",
        "citation": about.citation or "unknown",
        "attribution": attribution(about) or "none known",
        "location": about.location or "none: made when read",
        "skipped": len(dataset.skipped),
    }
    number = CLASS_TABLES.get(about.name)
    row, classes = overview(dataset), class_table(dataset)
    share: list[dict[str, Any]] = []
    if number and not about.is_synthetic:
        share = [_share(OVERVIEW, about.name, row["images"])]
        share += [_share(number, one["class"], one["count"]) for one in classes]
    if output.json:
        print_json({**summary, "overview": row, "classes": classes, "share_of_paper": share})
        return
    print_result(summary, as_json=False)
    if share:
        row["images"] = f"{row['images']:,} of {share[0]['paper_count']:,}"
        classes = [one | part for one, part in zip(classes, share[1:], strict=True)]
    typer.echo("\nThe dataset, as in Table 6 of the paper")
    print_rows([row], "no images")
    typer.echo(f"Its classes, as in Table {number} of the paper" if number else "Its classes")
    print_rows([_with_percent(one) for one in classes], "no classes")


def _share(table: int, name: str, count: int) -> dict[str, Any]:
    """Return the paper's count in a row of one of its tables, and the share that is here."""
    from pixguard.reports.published import published_rows, row_key

    printed = published_rows(table)[row_key(name)]["images" if table == OVERVIEW else "count"]
    about = {"dataset" if table == OVERVIEW else "class": name}
    return {**about, "paper_count": printed, "share_percent": round(100 * count / printed, 2)}


def _with_percent(row: dict[str, Any]) -> dict[str, Any]:
    shares = [key for key in ("percentage", "share_percent") if key in row]
    return row | {key: f"{row[key]:.2f} %" for key in shares}


@app.command()
@command
def check(
    data: Annotated[NamedDataset, Without("phantom_images", "skip_bad")], output: JsonOptions
) -> None:
    """Decode every image; list files that cannot be used, and images that stand there twice.

    Exit code 1 where files are bad, where one image has two labels, or is trained on and tested.
    """
    from pixguard.cli.display import TerminalDisplay
    from pixguard.datasets.checking import check_dataset

    checked = check_dataset(replace(data.settings(), skip_bad=True), TerminalDisplay())
    bad = [{"file": path, "problem": problem} for path, problem in checked.bad]
    leaks = [twins for twins in checked.twins if twins.leak]
    contradictions = [twins for twins in checked.twins if twins.contradict]
    found = {
        "dataset": data.name,
        "sound": checked.sound,
        "bad": bad if output.json else len(bad),
        "images_with_twins": sum(len(twins.files) for twins in checked.twins),
        "twins_in_training_and_elsewhere": len(leaks),
        "twins_of_two_labels": len(contradictions),
    }
    shown = checked.twins if output.json else [*dict.fromkeys([*contradictions, *leaks])][:SHOWN]
    told = [_told_of(twins) for twins in shown]
    if output.json:
        print_json({**found, "twins": told})
    else:
        print_result(found, as_json=False)
        if bad:
            print_rows(bad, "")
        if told:
            print_rows([{k: ", ".join(v) for k, v in row.items()} for row in told], "")
    if bad or leaks or contradictions:
        raise typer.Exit(PixguardError.exit_code)


SHOWN = 20
"""Groups of twins that are printed; --json has all."""


def _told_of(twins: "Twins") -> dict[str, list[str]]:
    labels = sorted(" + ".join(names) or "none" for names in twins.labels)
    return {"files": list(twins.files), "parts": sorted(twins.splits), "labels": labels}


@app.command()
@command
def preview(
    data: Annotated[NamedDataset, Without("split")], sheet: Sheet, output: JsonOptions
) -> None:
    """Write a contact sheet of some images of every class."""
    from pixguard.cli.display import TerminalDisplay
    from pixguard.datasets.opening import open_dataset
    from pixguard.datasets.png import encode_png
    from pixguard.datasets.preview import contact_sheet
    from pixguard.files import write_atomically

    dataset = open_dataset(data.settings(), TerminalDisplay())
    path = sheet.out or Path(f"{data.name}-preview.png")
    write_atomically(path, encode_png(contact_sheet(dataset, sheet.per_class)))
    print_result({"dataset": dataset.info.name, "file": str(path)}, output.json)


@app.command()
@command
def convert(wanted: ConversionSettings, output: JsonOptions) -> None:
    """Write images of more than 8 bits, with transparency or palettes, as 8-bit PNG files."""
    from pixguard.cli.display import TerminalDisplay
    from pixguard.datasets.converting import convert_images

    done = convert_images(wanted, TerminalDisplay())
    bad = [{"file": path, "problem": problem} for path, problem in done.bad]
    windows = None if done.lowest is None else [done.lowest, done.highest]
    print_result(
        {
            "folder": str(done.out),
            "images": sum(done.how.values()),
            "how": [{"how": how, "images": images} for how, images in done.how.items()],
            "values_from_to": windows,
            "no_images_left_out": done.left_out,
            "bad": bad if output.json else len(bad),
        },
        output.json,
    )
    if bad and not output.json:
        print_rows(bad, "")
