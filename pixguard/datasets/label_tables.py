"""Images with their labels in a CSV (or tab-separated) table."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pixguard.datasets.files import FileTree, UnreadableFileError, climbs_out
from pixguard.datasets.layout import Layout, Sample, class_names, split_of
from pixguard.errors import DataError
from pixguard.records import Task

SEPARATOR = ";"
"""Between the labels of one image."""
NO_FINDING = frozenset({"no finding", "no findings"})
"""How an image without any of the labels is marked, case aside."""
_OTHER_SEPARATORS = re.compile(r"[,/+&]")
_MISSING = frozenset({"nan", "na", "null", "n/a", "#n/a", "<na>"})
"""What tools write for a value that is not there."""


def from_table(tree: FileTree, csv_path: str) -> Layout:
    """Return the layout that a table of path and label tells, in the order of the paths.

    Raises:
        DataError: the table cannot be read, or a line of it makes no sense.
    """
    where = f"{tree.location / csv_path}"
    rows = read_table(tree, csv_path, ("path", "label"))
    folder = csv_path.rpartition("/")[0]
    samples = [_sample(where, folder, number, row) for number, row in rows]
    refuse_repeated(where, [sample.path for sample in samples])
    names = {name for sample in samples for name in sample.labels}
    _refuse_joined(where, names)
    if len(names) < 2:
        raise DataError(f"{where} has {len(names)} labels, at least 2 are needed", "check it")
    multi_label = any(len(sample.labels) != 1 for sample in samples)
    ordered = sorted(samples, key=lambda sample: sample.path)
    task: Task = "multi-label" if multi_label else "multi-class"
    root = f"{folder}/" if folder else ""
    return Layout(tuple(ordered), task, class_names(Path(where), names), root)


def read_table(
    tree: FileTree, csv_path: str, columns: tuple[str, str]
) -> list[tuple[int, dict[str, str | None]]]:
    """Return the rows of a CSV (or tab-separated) file with their line numbers.

    Raises:
        DataError: it is not text in UTF-8, or lacks one of the columns.
    """
    where = f"{tree.location / csv_path}"
    try:
        text = tree.read(csv_path).decode("utf-8-sig")
    except (UnreadableFileError, UnicodeDecodeError) as error:
        raise DataError(f"{where} cannot be read: {error}", "save it as UTF-8") from error
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    try:
        names = rows.fieldnames or ()
        if not set(columns) <= set(names):
            raise DataError(
                f"{where} has the columns {', '.join(names) or '(none)'}",
                f"its first line must name the columns {columns[0]} and {columns[1]}",
            )
        return [(rows.line_num, row) for row in rows]
    except csv.Error as error:
        raise DataError(f"{where}, line {rows.line_num}: {error}", "mend that line") from error


def refuse_repeated(where: str, files: Sequence[str]) -> None:
    """Raise DataError where a table lists a file more than once."""
    repeated = [name for name, count in Counter(files).items() if count > 1]
    if repeated:
        raise DataError(
            f"{where} lists files more than once: {', '.join(repeated)}",
            "keep one row for each file, with all of its labels",
        )


def _sample(where: str, folder: str, number: int, row: dict[str, str | None]) -> Sample:
    path = (row["path"] or "").strip()
    if not path or climbs_out(path):
        raise DataError(
            f"{where}, line {number}: {path!r} is not a path below the CSV's folder",
            "write paths relative to the CSV, with forward slashes",
        )
    split_name = (row.get("split") or "").strip()
    if split_name and split_of(split_name) is None:
        raise DataError(
            f"{where}, line {number}: unknown split {split_name!r}", "use train, val or test"
        )
    return Sample(
        path=f"{folder}/{path}" if folder else path,
        labels=_labels(f"{where}, line {number}", row["label"] or ""),
        split=split_of(split_name),
    )


def _refuse_joined(where: str, names: set[str]) -> None:
    """Refuse names that look like several labels with another separator between them.

    Raises:
        DataError: the parts of a name are all labels themselves, or another name has the same ones.
    """
    parted = {
        name: frozenset(parts)
        for name in sorted(names)
        if len(parts := [part.strip() for part in _OTHER_SEPARATORS.split(name)]) > 1
    }
    for name, labels in parted.items():
        twins = [other for other, same in parted.items() if same == labels and other != name]
        if twins or labels <= names:
            beside = twins or sorted(labels)
            raise DataError(
                f"{where}: the label {name!r} looks like several labels; others are "
                f"{', '.join(map(repr, beside))}",
                f"separate several labels of an image by {SEPARATOR!r}",
            )


def _labels(where: str, cell: str) -> tuple[str, ...]:
    """Return the labels of a cell, none for ``No finding``.

    Raises:
        DataError: it is blank, stands for a missing value, or has another separator.
    """
    if cell.strip().casefold() in NO_FINDING:
        return ()
    labels = [name.strip() for name in cell.split(SEPARATOR)]
    if any(not name or name.casefold() in _MISSING for name in labels):
        raise DataError(
            f"{where}: the label {cell!r} is blank or says that it is missing",
            "write the class; or, for an image with none of several labels, No finding; or remove "
            "the line",
        )
    if any("|" in name for name in labels):
        raise DataError(
            f"{where}: the label {cell!r} has a bar in it",
            f"separate several labels by {SEPARATOR!r}; a class needs a name without a bar",
        )
    return tuple(sorted(set(labels)))
