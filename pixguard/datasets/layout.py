"""Which files of a tree are images of which labels: a folder per class, or a CSV."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pixguard.datasets.catalogue import CatalogueEntry
from pixguard.datasets.files import FileTree, UnreadableFileError, climbs_out
from pixguard.errors import DataError
from pixguard.records import NO_FINDING_ORDINAL, ClassInfo, Split, Task

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
_EXPECTED = (
    "expected a folder per class with its images inside (as NAME/one.jpg), or a labels.csv with "
    "the columns path,label"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One image file, the names of its labels, and the split that its owner put it in."""

    path: str
    labels: tuple[str, ...]
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The images of a tree, in the order of their indices.

    ``root`` (with its slash) is where they begin in the tree. ``is_flat`` means that a file's name
    alone identifies it, whichever folder it lies in. ``other_modes`` as in
    :func:`pixguard.datasets.decode.inspect`.
    """

    samples: tuple[Sample, ...]
    task: Task
    class_names: tuple[str, ...]
    root: str = ""
    is_flat: bool = False
    other_modes: tuple[str, ...] = ()

    def short(self, path: str) -> str:
        """Return what identifies a file in the dataset, wherever that lies."""
        return path.rpartition("/")[2] if self.is_flat else path.removeprefix(self.root)


def read_layout(tree: FileTree, csv_path: str | None = None) -> Layout:
    """Find the images of a tree.

    Raises:
        DataError: neither layout is there, or it contradicts itself.
    """
    prefix = _wrapping_folder(tree)
    if csv_path is None and f"{prefix}labels.csv" in tree.sizes:
        csv_path = f"{prefix}labels.csv"
    return _from_csv(tree, csv_path) if csv_path else _from_folders(tree, prefix)


def _wrapping_folder(tree: FileTree) -> str:
    """Return the path (with its slash) below which a tree begins: zips often wrap all in one."""
    prefix = ""
    while True:
        rest = [path[len(prefix) :].split("/") for path in tree.sizes]
        heads = {parts[0] for parts in rest}
        holds_folders = any(len(parts) > 2 for parts in rest)
        holds_labels = any(parts[1:] == ["labels.csv"] for parts in rest)
        if len(heads) != 1 or not (holds_folders or holds_labels):
            return prefix
        prefix += f"{heads.pop()}/"


def _from_folders(tree: FileTree, prefix: str) -> Layout:
    split_paths = [path[len(prefix) :].split("/") for path in tree.sizes]
    folders = {parts[0] for parts in split_paths if len(parts) > 1}
    has_splits = bool(folders) and all(name.lower() in SPLIT_NAMES for name in folders)
    depth = 1 if has_splits else 0
    samples = [
        Sample(
            path=path,
            labels=(parts[depth],),
            split=SPLIT_NAMES[parts[0].lower()] if has_splits else None,
        )
        for path, parts in zip(tree.sizes, split_paths, strict=True)
        if len(parts) > depth + 1
    ]
    names = sorted({s.labels[0] for s in samples} | _empty_folders(tree, prefix))
    if len(names) < 2:
        found = ", ".join(sorted({parts[0] for parts in split_paths})[:8]) or "nothing"
        raise DataError(
            f"{tree.location} holds {len(names)} classes, at least 2 are needed: {_EXPECTED}; "
            f"found {found}",
            "point `data_dir=...` at the folder that holds the classes' folders",
        )
    _check_names(tree.location, names)
    return Layout(tuple(samples), "multi-class", tuple(names), prefix)


def _empty_folders(tree: FileTree, prefix: str) -> set[str]:
    """Return the folders of classes that hold nothing; a zip keeps no record of them."""
    root = tree.location / prefix
    if not root.is_dir():
        return set()
    return {
        folder.name
        for folder in root.iterdir()
        if folder.is_dir()
        and not folder.name.startswith(".")
        and not any(folder.iterdir())
        and folder.name.lower() not in SPLIT_NAMES
    }


def _from_csv(tree: FileTree, csv_path: str) -> Layout:
    where = f"{tree.location / csv_path}"
    rows = read_table(tree, csv_path, ("path", "label"))
    folder = csv_path.rpartition("/")[0]
    samples = [_csv_sample(where, folder, number, row) for number, row in rows]
    refuse_repeated(where, [sample.path for sample in samples])
    names = sorted({name for sample in samples for name in sample.labels})
    if len(names) < 2:
        raise DataError(f"{where} has {len(names)} labels, at least 2 are needed", "check it")
    _check_names(Path(where), names)
    multi_label = any(len(sample.labels) != 1 for sample in samples)
    ordered = sorted(samples, key=lambda sample: sample.path)
    task: Task = "multi-label" if multi_label else "multi-class"
    return Layout(tuple(ordered), task, tuple(names), f"{folder}/" if folder else "")


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


def _csv_sample(where: str, folder: str, number: int, row: dict[str, str | None]) -> Sample:
    path = (row["path"] or "").strip()
    if not path or climbs_out(path):
        raise DataError(
            f"{where}, line {number}: {path!r} is not a path below the CSV's folder",
            "write paths relative to the CSV, with forward slashes",
        )
    split_name = (row.get("split") or "").strip().lower()
    if split_name and split_name not in SPLIT_NAMES:
        raise DataError(
            f"{where}, line {number}: unknown split {split_name!r}", "use train, val or test"
        )
    labels = {name.strip() for name in (row["label"] or "").split(";")} - {""}
    return Sample(
        path=f"{folder}/{path}" if folder else path,
        labels=tuple(sorted(labels)),
        split=SPLIT_NAMES.get(split_name),
    )


def _check_names(location: Path, names: Sequence[str]) -> None:
    """Refuse classes whose names differ in case alone: one class, spelt twice."""
    alike = [n for n in names if sum(n.casefold() == other.casefold() for other in names) > 1]
    if alike:
        raise DataError(
            f"{location} has classes of one name: {', '.join(alike)}", "give each class one name"
        )


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def match_classes(
    location: Path, layout: Layout, entry: CatalogueEntry | None
) -> tuple[Task, tuple[ClassInfo, ...], dict[str, int]]:
    """Return the task, the classes, and the ordinal of each of the layout's class names.

    Images given for one of the paper's datasets must bear its class names (case, spaces and
    punctuation aside) and so get its ordinals; any other dataset has the classes that it has.

    Raises:
        DataError: a name is none of the dataset's classes.
    """
    if entry is None:
        classes = tuple(ClassInfo(i, name) for i, name in enumerate(layout.class_names))
        if any(not sample.labels for sample in layout.samples):
            classes += (ClassInfo(NO_FINDING_ORDINAL, "No finding"),)
        return layout.task, classes, {name: i for i, name in enumerate(layout.class_names)}
    known = {_plain(c.name): c.ordinal for c in entry.classes}
    unknown = [name for name in layout.class_names if _plain(name) not in known]
    if unknown:
        raise DataError(
            f"{location} has labels that {entry.name} does not have: {', '.join(unknown)}; it has "
            f"{', '.join(c.name for c in entry.classes)}",
            "rename them, or choose another `dataset=...` name for classes of your own",
        )
    if entry.task == "multi-class" and layout.task == "multi-label":
        raise DataError(
            f"{location} has images with no label or several; {entry.name} has one an image",
            "give each image one label, or choose another `dataset=...` name",
        )
    return entry.task, entry.classes, {n: known[_plain(n)] for n in layout.class_names}
