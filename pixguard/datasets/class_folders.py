"""Images in a folder per class: which folders are classes, and which only look like some.

A folder's name is a label, and a wrong one trains a network without a word. So what looks like a
split, like masks or like patients is no class: it is read as what it is, or refused.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from pixguard.datasets.files import FileTree
from pixguard.datasets.layout import Layout, Sample, class_names, split_of
from pixguard.errors import DataError
from pixguard.records import Split

EXPECTED = (
    "expected a folder per class with its images inside (as NAME/one.jpg), or a labels.csv with "
    "the columns path,label"
)
_TABLE = "write a labels.csv with the columns path,label (and split, and patient) beside them"
_MASK_FOLDERS = frozenset(
    {"mask", "masks", "segmentation", "segmentations", "annotation", "annotations", "groundtruth",
     "lungmask", "lungmasks"}
)  # fmt: skip
_MASK_FILE = re.compile(r"^(?P<image>.+?)[ _.-]*(mask|seg|segmentation|gt)([ _.-]*\d+)?$", re.I)


def from_folders(tree: FileTree, prefix: str) -> Layout:
    """Return the layout of a tree whose folders below ``prefix`` are classes, or splits of them.

    Raises:
        DataError: fewer than two classes are there, or the folders look like something else.
    """
    paths = {path: path[len(prefix) :].split("/") for path in tree.sizes}
    own = {parts[0] for parts in paths.values() if len(parts) > 1 and _is_output(parts)}
    paths = {path: parts for path, parts in paths.items() if parts[0] not in own}
    _refuse_images_and_masks(tree, paths)
    places = _splits_first(tree, paths) or _classes_first(tree, paths)
    samples = [Sample(path, (name,), split) for path, (name, split) in places.items()]
    names = {sample.labels[0] for sample in samples} | _empty_folders(tree, prefix)
    if len(names) < 2:
        found = ", ".join(sorted({parts[0] for parts in paths.values()})[:8]) or "nothing"
        raise DataError(
            f"{tree.location} holds {len(names)} classes, at least 2 are needed: {EXPECTED}; "
            f"found {found}",
            "point `data_dir=...` at the folder that holds the classes' folders",
        )
    return Layout(tuple(samples), "multi-class", class_names(tree.location, names), prefix)


def _is_output(parts: list[str]) -> bool:
    """Tell whether a file shows that its folder is one that pixguard writes: weights, or a page."""
    return parts[0].endswith("-files") or parts[-1] == "index.html"


Places = dict[str, tuple[str, Split | None]]
"""The class and the split of each file, by path."""


def _splits_first(tree: FileTree, paths: Mapping[str, list[str]]) -> Places | None:
    """Return the places of files in SPLIT/CLASS/one.jpg; None where no folder is a split's.

    Raises:
        DataError: only some folders look like splits, or files lie beside the classes.
    """
    folders = {parts[0] for parts in paths.values() if len(parts) > 1}
    splits = {name for name in folders if split_of(name)}
    holding_folders = {parts[0] for parts in paths.values() if len(parts) > 2}
    if not splits or (len(splits) == 1 and splits != folders and not splits & holding_folders):
        return None  # one class may be called Test
    others = sorted(folders - splits)
    if others:
        raise DataError(
            f"{tree.location} has folders that look like the splits of a dataset, "
            f"{_some(splits)}, and beside them {_some(others)}: they cannot all be classes",
            f"move {_some(others)} elsewhere; or point `data_dir=...` at one of the folders",
        )
    beside = sorted(path for path, parts in paths.items() if parts[0] in splits and len(parts) == 2)
    if beside:
        raise DataError(
            f"{tree.location} has the splits {_some(splits)}, but images directly in them, in no "
            f"folder of a class: {_some(beside)}",
            _TABLE,
        )
    inner = {path: parts[1:] for path, parts in paths.items() if len(parts) > 2}
    _refuse_groups(tree, inner)
    return {path: (parts[1], split_of(parts[0])) for path, parts in paths.items() if len(parts) > 2}


def _classes_first(tree: FileTree, paths: Mapping[str, list[str]]) -> Places:
    """Return the places of files in CLASS/one.jpg, or in CLASS/SPLIT/one.jpg."""
    inner = {path: parts for path, parts in paths.items() if len(parts) > 1}
    seconds = {parts[1] for parts in inner.values() if len(parts) > 2}
    has_splits = (
        len(seconds) > 1
        and all(map(split_of, seconds))
        and all(len(parts) > 2 for parts in inner.values())
    )
    if not has_splits:
        _refuse_groups(tree, inner)
    return {
        path: (parts[0], split_of(parts[1]) if has_splits else None)
        for path, parts in inner.items()
    }


def _refuse_groups(tree: FileTree, paths: Mapping[str, list[str]]) -> None:
    """Refuse folders that all hold folders of the same few names, as patients hold classes.

    Raises:
        DataError: the folders below are shared by those above.
    """
    inner: dict[str, set[str]] = defaultdict(set)
    for parts in paths.values():
        inner[parts[0]].add(parts[1] if len(parts) > 2 else "")
    if len(inner) < 2 or any("" in folders for folders in inner.values()):
        return
    names = set().union(*inner.values())
    share = sum(map(len, inner.values())) / (len(names) * len(inner))
    if len(names) > 1 and share > 0.5:
        raise DataError(
            f"{tree.location} has the folders {_some(inner)}, and in each of them {_some(names)}: "
            "which of the two are the classes cannot be told (patients or sites often stand above "
            "classes)",
            f"put the classes' folders first, one level; or {_TABLE}",
        )


def _refuse_images_and_masks(tree: FileTree, paths: Mapping[str, list[str]]) -> None:
    """Refuse masks beside images: in folders of their own, or as files named after an image.

    Raises:
        DataError: there are some.
    """
    folders = {
        "/".join(parts[: place + 1])
        for parts in paths.values()
        for place, name in enumerate(parts[:-1])
        if "".join(c for c in name.casefold() if c.isalnum()) in _MASK_FOLDERS
    }
    stems = {path.rpartition(".")[0] for path in paths}
    files = [
        path
        for path in paths
        if (found := _MASK_FILE.match(path.rpartition(".")[0])) and found["image"] in stems
    ]
    masks = sorted(folders) or sorted(files)
    if masks:
        what = "folders of" if folders else "files that look like"
        raise DataError(
            f"{tree.location} has {what} masks beside the images: {_some(masks)}",
            f"move the masks elsewhere; or {_TABLE} that names the images alone",
        )


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
        and split_of(folder.name) is None
    }


def _some(names: Iterable[str], most: int = 4) -> str:
    found = sorted(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
