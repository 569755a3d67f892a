"""Opens a dataset as its owner ships it, unpacked or in a zip."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pixguard.config import DatasetSettings
from pixguard.datasets.base import ImageDataset
from pixguard.datasets.files import FileTree, UnreadableFileError
from pixguard.datasets.folder import Origin, open_images, required_data_dir
from pixguard.datasets.joined import open_roots
from pixguard.datasets.label_tables import read_table, refuse_repeated
from pixguard.datasets.layout import Layout, Sample, split_of
from pixguard.datasets.owners import ORIGINALS, LabelTable, Original, find_original
from pixguard.errors import DataError, UsageError, listed
from pixguard.progress import Display

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".rar", ".7z")


def open_originals(settings: DatasetSettings, display: Display) -> ImageDataset:
    """Open a dataset as its owner ships it, unpacked or in a zip.

    Raises:
        UsageError: there is no original of that name, or ``data_dir`` or ``size`` make no sense.
        DataError: the files are not laid out as the owner's are, or are bad (unless ``skip_bad``).
    """
    original = find_original(settings.name)
    if original is None:
        known = ", ".join(f"{o.entry.name} ({o.title})" for o in ORIGINALS.values())
        raise UsageError(
            f"{settings.name!r} has no original that is known; those are {known}",
            f"for your own images: `dataset={settings.name}` `source=folder` `data_dir=DIR`",
        )
    tree = open_roots(required_data_dir(settings))
    layout = _read_layout(tree, original, settings, display)
    if layout.grouped_by and (alone := sum(s.group == s.path for s in layout.samples)):
        display.say(
            f"{alone} of {len(layout.samples)} file names tell no {layout.grouped_by}: each of "
            f"these images is taken for a {layout.grouped_by} of its own"
        )
    origin = Origin(
        source="originals",
        tree=tree,
        layout=layout,
        groups_by_default=True,
        entry=original.entry,
        channels=original.entry.channels,
        licence=original.licence,
        citation=original.entry.owners_citation,
    )
    return open_images(settings, origin, display)


def recognises(settings: DatasetSettings) -> bool:
    """Tell whether ``data_dir`` holds an original as its owner ships it, of that name."""
    found = settings.data_dir and recognise(settings.data_dir, settings.name)
    return found is not None


def recognise(data_dir: Path, name: str) -> Original | None:
    """Return the original that lies in a folder or zip, None if it is none.

    Raises:
        UsageError: it is one of another name whose folders are not its classes.
    """
    if data_dir.suffix.lower() == ".csv" and data_dir.is_file():
        return None
    tree = open_roots(data_dir)
    wanted = find_original(name)
    there = [original for original in ORIGINALS.values() if _is_there(tree, original)]
    if wanted in there:
        return wanted
    for original in there:
        if original.table:
            raise UsageError(
                f"{data_dir} holds {original.title} as its owner ships it, which is the dataset "
                f"{original.entry.name}, not {name}",
                f"`dataset={original.entry.name}`; or, for a layout of your own, `source=folder`",
            )
    return None


def _is_there(tree: FileTree, original: Original) -> bool:
    if original.table:
        return bool(_tables(tree, original.table))
    return bool(_roots(tree, original))


def _read_layout(
    tree: FileTree, original: Original, settings: DatasetSettings, display: Display
) -> Layout:
    if original.table:
        return _from_table(tree, original, original.table, settings, display)
    return _from_folders(tree, original)


def _roots(tree: FileTree, original: Original) -> dict[str, list[Sample]]:
    """Return the images by the folder below which the folders of all classes lie."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for path in tree.sizes:
        above, _, name = path.rpartition("/")[0].rpartition("/")
        if name in original.classes:
            root, _, nearest = above.rpartition("/")
            split = split_of(nearest)
            root = root if split else above
            sample = Sample(path, (original.classes[name],), split)
            found[f"{root}/" if root else ""].append(sample)
    count = len(original.classes)
    return {
        root: samples
        for root, samples in found.items()
        if len({sample.labels for sample in samples}) == count
    }


def _from_folders(tree: FileTree, original: Original) -> Layout:
    roots = _roots(tree, original)
    if not roots:
        raise _not_laid_out(tree, original)
    root = _shallowest(tree, original, roots)
    samples = [replace(s, group=_group_in_name(original, s.path) or s.path) for s in roots[root]]
    told = any(sample.group != sample.path for sample in samples)
    return Layout(
        samples=tuple(samples),
        grouped_by=original.grouped_by if told else "",
        task=original.entry.task,
        class_names=tuple(original.classes.values()),
        root=root,
        other_modes=original.other_modes,
    )


def _group_in_name(original: Original, path: str) -> str:
    """Return the patient that a file's name tells, empty where it tells none."""
    name = path.rpartition("/")[2]
    found = re.fullmatch(original.group_in_name, name) if original.group_in_name else None
    return found[1] if found else ""


def _tables(tree: FileTree, table: LabelTable) -> list[str]:
    return [path for path in tree.sizes if path.rpartition("/")[2] in table.names]


def _from_table(
    tree: FileTree,
    original: Original,
    table: LabelTable,
    settings: DatasetSettings,
    display: Display,
) -> Layout:
    tables = _tables(tree, table)
    if not tables:
        raise _not_laid_out(tree, original)
    table_path = _shallowest(tree, original, tables)
    where = f"{tree.location / table_path}"
    rows = read_table(tree, table_path, (table.image_column, table.label_column))
    places = _places(tree)
    labels: dict[str, tuple[str, ...]] = {}
    groups: dict[str, str] = {}
    files: list[str] = []
    for _, row in rows:
        file = f"{(row[table.image_column] or '').strip()}{table.suffix}"
        files.append(file)
        labels[file] = table.labels(row[table.label_column] or "")
        groups[file] = (row.get(table.group_column) or "").strip()
    refuse_repeated(where, files)
    _check_labels(where, original, table, labels)
    missing = [f for f in sorted(files) if f not in places]
    if missing and settings.partial:
        display.say(f"{len(missing)} of the {len(files)} images that {where} lists are not there")
        files = [f for f in files if f in places]
    elif missing and not settings.skip_bad:
        raise _not_all_there(tree, original, where, missing)
    samples = tuple(
        Sample(
            path=_only_place(tree, places.get(file, [file])),
            labels=tuple(original.classes[name] for name in labels[file]),
            group=groups[file],
        )
        for file in sorted(files)
    )
    names = {name for sample in samples for name in sample.labels}
    return Layout(
        samples=samples,
        task=original.entry.task,
        class_names=tuple(c.name for c in original.entry.classes if c.name in names),
        is_flat=True,
        other_modes=original.other_modes,
        grouped_by=original.grouped_by if all(groups.values()) else "",
    )


def _check_labels(
    where: str, original: Original, table: LabelTable, labels: Mapping[str, tuple[str, ...]]
) -> None:
    unknown = sorted({name for row in labels.values() for name in row} - original.classes.keys())
    if unknown:
        raise DataError(
            f"{where} has labels that {original.title} does not have: {listed(unknown)}; it has "
            f"{', '.join(original.classes)}",
            "get the file again from its owner; or, for labels of your own, `source=folder`",
        )
    blank = sorted(file for file, row in labels.items() if not row)
    if blank:
        raise DataError(
            f"{where} says nothing in {table.label_column} of {listed(blank)}",
            "get the file again from its owner",
        )


def _not_all_there(tree: FileTree, original: Original, where: str, missing: list[str]) -> DataError:
    return DataError(
        f"{where} lists {len(missing)} images that are not in {tree.location}: "
        f"{listed(missing)}; expected {original.expected}; found {_found(tree)}",
        _packed_hint(tree) or "unpack the rest of them there, or go on without: `skip_bad=True`",
    )


def _places(tree: FileTree) -> dict[str, list[str]]:
    """Return the paths of each file name, wherever in the tree."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in tree.sizes:
        places[path.rpartition("/")[2]].append(path)
    return places


def _only_place(tree: FileTree, paths: list[str]) -> str:
    """Return the first of several paths with a file of one name, which must be the same file."""
    try:
        if len(paths) > 1 and len({tree.read(path) for path in paths}) > 1:
            raise DataError(
                f"{tree.location} holds different files of one name: {listed(paths)}",
                "keep the owner's one of them",
            )
    except UnreadableFileError:
        pass  # told, with its reason, when every file is looked at
    return paths[0]


def _shallowest(tree: FileTree, original: Original, paths: Iterable[str]) -> str:
    """Return the path nearest to the top: copies of the whole lie further down in some zips."""
    depths: dict[int, list[str]] = defaultdict(list)
    for path in paths:
        depths[path.count("/")].append(path)
    nearest = depths[min(depths)]
    if len(nearest) > 1:
        raise DataError(
            f"{tree.location} holds {original.title} more than once: {listed(nearest)}",
            f"point `data_dir=...` at one of them, such as {tree.location / nearest[0]}",
        )
    return nearest[0]


def _not_laid_out(tree: FileTree, original: Original) -> DataError:
    missing = ""
    if not original.table:
        folders = {part for path in tree.sizes for part in PurePosixPath(path).parent.parts}
        here = [name for name in original.classes if name in folders]
        lacking = [name for name in original.classes if name not in folders]
        missing = f"; no images in {', '.join(lacking)}" if here and lacking else ""
    return DataError(
        f"{tree.location} is not laid out as {original.title} is: expected {original.expected}; "
        f"found {_found(tree)}{missing}",
        _packed_hint(tree) or f"point `data_dir=...` at the folder or zip of {original.title}",
    )


def _found(tree: FileTree) -> str:
    return listed(sorted({path.split("/")[0] for path in tree.sizes})) or "nothing"


def _packed_hint(tree: FileTree) -> str:
    packed = [path for path in tree.sizes if path.lower().endswith(_ARCHIVES)]
    return f"unpack {listed(packed)} where they are" if packed else ""
