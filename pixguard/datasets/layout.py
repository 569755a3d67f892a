"""What files of labelled images are, however they are laid out: samples, classes, splits."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pixguard.datasets.catalogue import CatalogueEntry
from pixguard.errors import DataError, listed
from pixguard.records import NO_FINDING_ORDINAL, ClassInfo, Split, Task

_SPLITS: dict[Split, frozenset[str]] = {
    "train": frozenset({"train", "training", "trn", "tr"}),
    "val": frozenset({"val", "valid", "validation", "validate", "dev"}),
    "test": frozenset({"test", "testing", "tst", "ts", "eval", "evaluation", "holdout"}),
}
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
MAX_CLASSES = 10_000
"""More are no classes: each image has a number or a name of its own."""
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories that a name may not have: they drive terminals, or are no text."""
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Marks that turn the text that follows round."""
_SPLIT_ENDINGS = ("", "set", "data", "images", "imgs", "split")


def split_of(name: str) -> Split | None:
    """Return the split that a name stands for, however it is spelt: ``Training_Set``; or None."""
    plain = plain_name(name)
    for split, stems in _SPLITS.items():
        if any(plain == stem + ending for stem in stems for ending in _SPLIT_ENDINGS):
            return split
    return None


@dataclass(frozen=True, slots=True)
class Sample:
    """One image file, the names of its labels, the split that its owner put it in, its group."""

    path: str
    labels: tuple[str, ...]
    split: Split | None = None
    group: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """The images of a tree, in the order of their indices.

    ``root`` (with its slash) is where they begin in the tree. ``is_flat`` means that a file's name
    alone identifies it, whichever folder it lies in. ``other_modes`` as in
    :func:`pixguard.datasets.decode.inspect`. ``grouped_by`` says what images of one group have in
    common, such as ``patient``; empty where no groups are known.
    """

    samples: tuple[Sample, ...]
    task: Task
    class_names: tuple[str, ...]
    root: str = ""
    is_flat: bool = False
    other_modes: tuple[str, ...] = ()
    grouped_by: str = ""

    def short(self, path: str) -> str:
        """Return what identifies a file in the dataset, wherever that lies."""
        return path.rpartition("/")[2] if self.is_flat else path.removeprefix(self.root)


def class_names(location: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of classes in their order: numbers by value, else as text.

    Raises:
        DataError: two differ in case, white space or Unicode form alone, which is one class spelt
            twice; or a name is not text that can be printed; or there are more than
            :data:`MAX_CLASSES`.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    names = sorted(names)
    check_class_count(location, len(names))
    for name in names:
        if _BIDI.search(name) or any(unicodedata.category(c) in _UNPRINTABLE for c in name):
            raise DataError(
                f"{location} has a class whose name is not text in UTF-8 that can be printed: "
                f"{name!a}",
                "rename it",
            )
        folded = "".join(unicodedata.normalize("NFKC", name).casefold().split())
        alike[str(float(folded)) if _NUMBER.fullmatch(folded) else folded].append(name)
    twice = next((same for same in alike.values() if len(same) > 1), None)
    if twice:
        raise DataError(
            f"{location} has classes of one name, spelt differently: {', '.join(map(repr, twice))}",
            "give each class one name",
        )
    found = sorted(name for same in alike.values() for name in same)
    are_numbers = all(map(_NUMBER.fullmatch, found))
    return tuple(sorted(found, key=float) if are_numbers else found)


def check_class_count(location: Path, count: int) -> None:
    """Raise DataError where there are more classes than any dataset has."""
    if count > MAX_CLASSES:
        raise DataError(
            f"{location} has {count:,} different labels, more than {MAX_CLASSES:,}: they are no "
            "classes",
            "give each image the name of its class as its label",
        )


def plain_name(name: str) -> str:
    """Return the letters and digits of a name, case aside."""
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
    known = {plain_name(c.name): c.ordinal for c in entry.classes}
    unknown = [name for name in layout.class_names if plain_name(name) not in known]
    if unknown:
        raise DataError(
            f"{location} has labels that {entry.name} does not have: {listed(unknown)}; it has "
            f"{', '.join(c.name for c in entry.classes)}",
            "rename them, or choose another `dataset=...` name for classes of your own",
        )
    if entry.task == "multi-class" and layout.task == "multi-label":
        raise DataError(
            f"{location} has images with no label or several; {entry.name} has one an image",
            "give each image one label, or choose another `dataset=...` name",
        )
    return entry.task, entry.classes, {n: known[plain_name(n)] for n in layout.class_names}
