"""Several folders or zips that are one dataset, as they lie on several disks or were downloaded."""

import os
from collections.abc import Mapping
from pathlib import Path

from pixguard.datasets.files import FileTree, UnreadableFileError, open_tree
from pixguard.datasets.layout import split_of
from pixguard.errors import DataError


def roots_of(location: Path) -> list[Path]:
    """Return the places that a location names, joined as in ``PATH``; one that is there, itself."""
    parts = str(location).split(os.pathsep)
    return [location] if location.exists() or not all(parts) else [Path(part) for part in parts]


def first_missing(location: Path) -> Path | None:
    """Return the first place of a location that is not there, None where all are."""
    return next((root for root in roots_of(location) if not root.exists()), None)


def resolved(location: Path) -> str:
    """Return a location with each of its places in full."""
    return os.pathsep.join(str(root.resolve()) for root in roots_of(location))


def open_roots(location: Path) -> FileTree:
    """Open a folder, a zip, or several joined.

    Raises:
        DataError: one is not there, or damaged; or two hold different files of one path.
    """
    roots = roots_of(location)
    return open_tree(roots[0]) if len(roots) == 1 else JoinedTree(location, roots)


class JoinedTree:
    """The files of several trees by their path below each.

    A root that is a part of a split, or holds files beside its folders, keeps its name before the
    paths: they are then what they are in the folder that holds all roots.
    """

    def __init__(self, location: Path, roots: list[Path]) -> None:
        self.location = location
        self._places: dict[str, tuple[FileTree, str]] = {}
        sizes: dict[str, int] = {}
        for root in roots:
            tree = open_tree(root)
            above = f"{root.resolve().stem}/" if _keeps_name(tree, root) else ""
            for path, size in tree.sizes.items():
                place = self._places.setdefault(above + path, (tree, path))
                sizes.setdefault(above + path, size)
                if place[0] is not tree and not _are_same(place, (tree, path)):
                    raise DataError(
                        f"{place[0].location} and {root} hold different files {path}",
                        "leave one of the two out of `data_dir=...`",
                    )
        self.sizes: Mapping[str, int] = dict(sorted(sizes.items()))

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        tree, inner = self._places[path]
        return tree.read(inner)


def _are_same(one: tuple[FileTree, str], other: tuple[FileTree, str]) -> bool:
    """Tell whether two files have one content, or one cannot be read, which is told later."""
    try:
        return one[0].read(one[1]) == other[0].read(other[1])
    except UnreadableFileError:
        return True


def _keeps_name(tree: FileTree, root: Path) -> bool:
    is_split = split_of(root.resolve().stem) is not None
    return is_split or any("/" not in path and not path.endswith(".csv") for path in tree.sizes)
