"""Images with their labels in a CSV (or tab-separated) table."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixguard.datasets.files import FileTree, UnreadableFileError, climbs_out, plain_path
from pixguard.datasets.layout import Layout, Sample, class_names, plain_name, split_of
from pixguard.errors import DataError, UsageError, listed
from pixguard.records import Task
from pixguard.registry import suggestion

SEPARATOR = ";"
"""Between the labels of one image."""
NO_FINDING = frozenset({"no finding", "no findings"})
"""How an image without any of the labels is marked, case aside."""
_MAX_BYTES = 64 << 20
_MAX_COLUMNS = 10_000
_OTHER_SEPARATORS = re.compile(r"[,/+&]")
_MISSING = frozenset({"nan", "na", "null", "n/a", "#n/a", "<na>"})
"""What tools write for a value that is not there."""
_GROUPS = ("patient", "subject", "person", "participant", "lesion", "case", "study", "exam")
"""What images have in common that must not stand in two parts of a split, the widest first."""
_NUMBERED = ("", "id", "key", "code", "number", "name")
"""What follows that in the name of a column."""


def from_table(tree: FileTree, csv_path: str, group: str = "") -> Layout:
    """Return the layout that a table of path and label tells, in the order of the paths.

    Args:
        tree: where it lies.
        csv_path: the table.
        group: the column that tells what must not stand in two parts of a split; empty: one that
            seems to, by its name.

    Raises:
        DataError: the table cannot be read, or a line of it makes no sense.
        UsageError: it has no such column.
    """
    where = f"{tree.location / csv_path}"
    rows = read_table(tree, csv_path, ("path", "label"))
    folder = csv_path.rpartition("/")[0]
    if group and rows and group not in rows[0][1]:
        columns = [name for name in rows[0][1] if name]
        raise UsageError(
            f"{where} has no column {group!r}",
            f"`group=...` with one of its columns: {suggestion(group, columns)}",
        )
    group = group or _likely_group([row for _, row in rows])
    samples = [_sample(where, folder, number, row, group) for number, row in rows]
    refuse_repeated(where, [plain_path(sample.path) for sample in samples])
    names = {name for sample in samples for name in sample.labels}
    _refuse_joined(where, names)
    if len(names) < 2:
        count = "one label" if names else "no label"
        raise DataError(f"{where} has {count}, at least 2 are needed", "check it")
    multi_label = any(len(sample.labels) != 1 for sample in samples)
    ordered = sorted(samples, key=lambda sample: sample.path)
    task: Task = "multi-label" if multi_label else "multi-class"
    root = f"{folder}/" if folder else ""
    return Layout(tuple(ordered), task, class_names(Path(where), names), root, grouped_by=group)


def read_table(
    tree: FileTree, csv_path: str, columns: tuple[str, str]
) -> list[tuple[int, dict[str, str | None]]]:
    """Return the rows of a CSV (or tab-separated) file with their line numbers.

    Raises:
        DataError: it is not text in UTF-8, or lacks one of the columns.
    """
    where = f"{tree.location / csv_path}"
    try:
        content = tree.read(csv_path)
        text = content.decode("utf-8-sig")
    except (UnreadableFileError, UnicodeDecodeError) as error:
        raise DataError(f"{where} cannot be read: {error}", "save it as UTF-8") from error
    first = text.partition("\n")[0]
    delimiter = "\t" if "\t" in first else ","
    _check_extent(where, content, delimiter)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    try:
        names = rows.fieldnames or ()
        if not set(columns) <= set(names):
            raise DataError(
                f"{where} has the columns {listed(names) or '(none)'}",
                f"its first line must name the columns {columns[0]} and {columns[1]}",
            )
        twice = [name for name, count in Counter(names).items() if name and count > 1]
        if twice:
            raise DataError(
                f"{where} has several columns named {listed(twice)}", "give each its own name"
            )
        return [(rows.line_num, _checked(where, rows.line_num, row)) for row in rows]
    except csv.Error as error:
        raise DataError(f"{where}, line {rows.line_num + 1}: {error}", "mend that line") from error


def _check_extent(where: str, content: bytes, delimiter: str) -> None:
    """Refuse a table that would fill the memory, or that holds what no text does.

    Raises:
        DataError: it is longer or wider than tables of labels are, or has a NUL in it.
    """
    if len(content) > _MAX_BYTES:
        raise DataError(
            f"{where} has {len(content):,} bytes, more than {_MAX_BYTES >> 20} MiB",
            "keep the columns path, label and split, and the one of groups",
        )
    mark = delimiter.encode()
    for number, line in enumerate(io.BytesIO(content), start=1):
        if b"\0" in line:
            raise DataError(f"{where}, line {number}: it has a NUL in it", "save it as UTF-8")
        if line.count(mark) >= _MAX_COLUMNS:
            raise DataError(
                f"{where}, line {number}: it has {line.count(mark) + 1:,} columns, more than "
                f"{_MAX_COLUMNS:,}",
                "keep the columns path, label and split, and the one of groups",
            )


def _checked(where: str, number: int, row: dict[Any, Any]) -> dict[str, str | None]:
    """Return a row of a table that has no more cells than columns.

    Raises:
        DataError: it has: then a comma in a cell has moved the rest to wrong columns.
    """
    extra = row.pop(None, ())
    if any(cell.strip() for cell in extra):
        raise DataError(
            f"{where}, line {number}: it has more cells than there are columns",
            "put cells with a comma in them between double quotes",
        )
    return row


def refuse_repeated(where: str, files: Sequence[str]) -> None:
    """Raise DataError where a table lists a file more than once."""
    repeated = [name for name, count in Counter(files).items() if count > 1]
    if repeated:
        raise DataError(
            f"{where} lists files more than once: {listed(repeated)}",
            "keep one row for each file, with all of its labels",
        )


def _sample(where: str, folder: str, number: int, row: dict[str, str | None], group: str) -> Sample:
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
    member = (row[group] or "").strip() if group else ""
    if group and _is_missing(member):
        raise DataError(
            f"{where}, line {number}: {group} is blank or says that it is missing",
            "write which one it is; an image that stands alone has one of its own",
        )
    return Sample(
        group=member,
        path=f"{folder}/{path}" if folder else path,
        labels=_labels(f"{where}, line {number}", row["label"] or ""),
        split=split_of(split_name),
    )


def _is_missing(cell: str) -> bool:
    return not cell.strip() or cell.strip().casefold() in _MISSING


def _likely_group(rows: Sequence[dict[str, str | None]]) -> str:
    """Return the column that seems to tell whom images are of, and does of all; empty for none."""
    wanted = [stem + ending for stem in _GROUPS for ending in _NUMBERED]
    columns = {plain_name(name): name for name in (rows[0] if rows else ())}
    found = (columns[name] for name in wanted if name in columns)
    full = (name for name in found if not any(_is_missing(row[name] or "") for row in rows))
    return next(full, "")


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
                f"{listed(map(repr, beside))}",
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
