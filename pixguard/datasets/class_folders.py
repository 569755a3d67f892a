"""Images in a folder per class: which folders are classes, and which only look like some.

A folder's name is a label, and a wrong one trains a network without a word. So what looks like a
split, like masks or like patients is no class: it is read as what it is, or refused.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

from pixguard.datasets.files import FileTree
from pixguard.datasets.layout import Layout, Sample, class_names, split_of
from pixguard.errors import DataError, listed
from pixguard.records import Split

EXPECTED = (
    "expected a folder per class with its images inside (as NAME/one.jpg), or a labels.csv with "
    "the columns path,label"
)
_TABLE = "write a labels.csv with the columns path,label (and split, and patient) beside them"
_MASK_FOLDERS = frozenset(
    {"mask", "masks", "segmentation", "segmentations", "annotation", "annotations", "groundtruth",
     "lungmask", "lungmasks", "label", "labels", "labelstr", "labelsts"}
)  # fmt: skip
_MASK_WORDS = frozenset({"mask", "masks", "seg", "segmentation", "segmentations", "gt", "labels"})
_NUMBERED = re.compile(
    r"^(?P<what>patient|pat|subject|subj|sub|case|study|series|exam|visit|session|ses|fold|split)"
    r"[ _.-]*\d+$",
    re.I,
)
_SPLIT_WORDS = ("train", "training", "val", "valid", "validation", "test", "testing")
_MASK_FILE = re.compile(r"^(?P<image>.+?)[ _.-]*(mask|seg|segmentation|gt)([ _.-]*\d+)?$", re.I)


def from_folders(tree: FileTree, prefix: str) -> Layout:
    """Return the layout of a tree whose folders below ``prefix`` are classes, or splits of them.

    Raises:
        DataError: fewer than two classes are there, or the folders look like something else.
    """
    paths = {path: path[len(prefix) :].split("/") for path in tree.sizes}
    own = _output_folders(tree.sizes)
    paths = {path: parts for path, parts in paths.items() if not path.startswith(own)}
    _refuse_images_and_masks(tree, paths)
    places = _splits_first(tree, paths) or _classes_first(tree, paths)
    samples = [Sample(path, (name,), split) for path, (name, split) in places.items()]
    names = {sample.labels[0] for sample in samples} | _empty_folders(tree, prefix)
    _refuse_numbered(tree, names)
    _refuse_other_classes(tree, samples)
    if len(names) < 2:
        found = listed(sorted({parts[0] for parts in paths.values()})) or "nothing"
        raise DataError(
            f"{tree.location} holds {'one' if names else 'no'} class, at least 2 are needed: "
            f"{EXPECTED}; found {found}",
            "point `data_dir=...` at the folder that holds the classes' folders",
        )
    return Layout(tuple(samples), "multi-class", class_names(tree.location, names), prefix)


def _output_folders(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the folders (with their slash) that pixguard writes: of weights, and of pages."""
    there = set(paths)
    folders = {path[: place + 1] for path in there for place, c in enumerate(path) if c == "/"}
    pages = {
        f"{path.removesuffix('index.html')}"
        for path in there
        if path.endswith("/index.html") and f"{path.removesuffix('index.html')}tables/" in folders
    }
    files = {
        folder
        for folder in folders
        if folder.endswith("-files/")
        and (f"{folder.removesuffix('-files/')}.db" in there or f"{folder}weights/" in folders)
    }
    return tuple(sorted(pages | files))


def split_of_folder(name: str) -> Split | None:
    """Return the split that a folder stands for, also as ``seg_train`` or ``test2017``; or None."""
    if exact := split_of(name):
        return exact
    words = [word.casefold() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]
    ends = [word for word in (*words[:1], *words[-1:]) if word in _SPLIT_WORDS]
    return split_of(ends[0]) if len(words) and len(set(map(split_of, ends))) == 1 else None


Places = dict[str, tuple[str, Split | None]]
"""The class and the split of each file, by path."""


def _splits_first(tree: FileTree, paths: Mapping[str, list[str]]) -> Places | None:
    """Return the places of files in SPLIT/CLASS/one.jpg; None where no folder is a split's.

    Raises:
        DataError: only some folders look like splits, or files lie beside the classes.
    """
    folders = {parts[0] for parts in paths.values() if len(parts) > 1}
    splits = {name for name in folders if split_of_folder(name)}
    if splits != folders:  # a class may be called Stress test, but not Test
        splits = {name for name in folders if split_of(name)}
    if not splits:
        return None
    others = sorted(folders - splits)
    if others:
        raise DataError(
            f"{tree.location} has folders that look like the splits of a dataset, "
            f"{_some(splits)}, and beside them {_some(others)}: they cannot all be classes",
            f"move {_some(others)} elsewhere; or point `data_dir=...` at one of the folders; or, "
            "for a class of such a name, write a labels.csv with the columns path,label",
        )
    beside = sorted(path for path, parts in paths.items() if parts[0] in splits and len(parts) == 2)
    if beside:
        raise DataError(
            f"{tree.location} has the splits {_some(splits)}, but images directly in them, in no "
            f"folder of a class: {_some(beside)}",
            f"point `data_dir=...` at the one with classes in it; or {_TABLE}",
        )
    spelt = sorted(splits, key=lambda name: (split_of_folder(name) or "", name))
    for one, other in pairwise(spelt):
        if split_of_folder(one) == split_of_folder(other):
            raise DataError(
                f"{tree.location} has two folders of one split: {one} and {other}",
                f"put them together; or point `data_dir=...` at one of them; or {_TABLE}",
            )
    inner = {path: parts[1:] for path, parts in paths.items() if len(parts) > 2}
    _refuse_groups(tree, inner)
    return {
        path: (parts[1], split_of_folder(parts[0]))
        for path, parts in paths.items()
        if len(parts) > 2
    }


def _classes_first(tree: FileTree, paths: Mapping[str, list[str]]) -> Places:
    """Return the places of files in CLASS/one.jpg, or in CLASS/SPLIT/one.jpg."""
    inner = {path: parts for path, parts in paths.items() if len(parts) > 1}
    seconds = {parts[1] for parts in inner.values() if len(parts) > 2}
    has_splits = (
        len(seconds) > 1
        and all(map(split_of_folder, seconds))
        and all(len(parts) > 2 for parts in inner.values())
    )
    if not has_splits:
        _refuse_groups(tree, inner)
    return {
        path: (parts[0], split_of_folder(parts[1]) if has_splits else None)
        for path, parts in inner.items()
    }


def _refuse_groups(tree: FileTree, paths: Mapping[str, list[str]]) -> None:
    """Refuse folders that hold folders of the same few names, as patients hold classes.

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
    if len(names) > 1 and (share > 0.5 or len(names) < len(inner)):
        raise DataError(
            f"{tree.location} has the folders {_some(inner)}, and in each of them {_some(names)}: "
            "which of the two are the classes cannot be told (patients or sites often stand above "
            "classes)",
            f"put the classes' folders first, one level; or {_TABLE}",
        )


def _refuse_numbered(tree: FileTree, names: Iterable[str]) -> None:
    """Refuse classes that are called as patients, studies or folds are: ``patient_007``.

    Raises:
        DataError: all of them are.
    """
    found = [_NUMBERED.match(name) for name in names]
    if found and all(found):
        raise DataError(
            f"{tree.location} has folders that look numbered, not named as classes: {_some(names)}",
            f"put the images in a folder for each class; or {_TABLE}",
        )


def _refuse_other_classes(tree: FileTree, samples: Iterable[Sample]) -> None:
    """Refuse classes that a split has and its training images have not: mostly a wrong spelling.

    Raises:
        DataError: there are some.
    """
    names: dict[Split | None, set[str]] = defaultdict(set)
    for sample in samples:
        names[sample.split].add(sample.labels[0])
    for split, found in names.items():
        extra = found - names["train"] if names.get("train") else set()
        if extra:
            raise DataError(
                f"{tree.location} has classes in the split {split} that its training images do not "
                f"have: {_some(extra)}; those have {_some(names['train'])}",
                "give the folders of a class one name in every split",
            )


def _refuse_images_and_masks(tree: FileTree, paths: Mapping[str, list[str]]) -> None:
    """Refuse masks beside images: in folders of their own, or as files named after an image.

    Raises:
        DataError: there are some.
    """
    inside: dict[str, set[str]] = defaultdict(set)
    for parts in {tuple(parts[:-1]) for parts in paths.values()}:
        for place, name in enumerate(parts):
            inside["/".join(parts[:place])].add(name)
    folders = {
        f"{above}/{name}".lstrip("/")
        for above, names in inside.items()
        for name in names
        if _is_of_masks(name, names)
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


def _is_of_masks(name: str, siblings: set[str]) -> bool:
    """Tell whether a folder is one of masks: by its name, or as ``cat_masks`` beside ``cat``."""
    if "".join(c for c in name.casefold() if c.isalnum()) in _MASK_FOLDERS:
        return True
    words = re.findall(r"[^\W_]+", name.casefold())
    rest = [word for word in words if word not in _MASK_WORDS]
    beside = {tuple(re.findall(r"[^\W_]+", other.casefold())) for other in siblings - {name}}
    return len(rest) < len(words) and any(
        tuple(other) in beside for other in (rest, [*rest, "images"], [*rest, "image"])
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
        and split_of_folder(folder.name) is None
    }


def _some(names: Iterable[str]) -> str:
    return listed(sorted(names), 4)
