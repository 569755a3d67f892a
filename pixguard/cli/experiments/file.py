"""The file of an experiment: which tables may stand in it, and the shipped ones.

A table is a command and its keys are that command's options, as in ``pixguard.toml``. So nothing is
declared here twice; what a value may be, the command says (:mod:`pixguard.cli.experiments.words`).
"""

import itertools
import math
import tomllib
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from pixguard.config import TrainingRequest
from pixguard.config.settings import declarations
from pixguard.errors import UsageError
from pixguard.registry import suggestion

PLANS = files("pixguard.cli.experiments") / "plans"
ENDING = ".toml"
MOST_VARIANTS = 1000
"""Steps that one table may stand for, by its lists."""

DATA = frozenset(
    (declared.flag or name).lstrip("-").replace("-", "_")
    for name, declared in declarations(TrainingRequest).items()
)
"""The options that say which images: of a study, and so of all its commands."""
OF_A_DATASET = (
    "data fetch",
    "train",
    "attack",
    "denoise train",
    "denoise apply",
    "score",
    "detect train",
    "detect apply",
    "certify train",
    "certify apply",
    "denoise validate",
    "denoise ablation",
    "denoise depth",
)
"""The commands of a study, in the order in which they are given."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a file: the command that it is of, its keys, and where it stands."""

    command: str
    options: Mapping[str, Any]
    place: str

    def variants(self, many: Container[str]) -> Iterator[tuple["Table", str]]:
        """Yield a table for each value of its lists, and what tells it from the others.

        A list of an option in ``many``, which takes several values, stays as it is.
        """
        lists = {k: v for k, v in self.options.items() if isinstance(v, list) and k not in many}
        if (count := math.prod(map(len, lists.values()))) > MOST_VARIANTS:
            raise UsageError(
                f"{self.place} stands for {count:,} steps, and may for {MOST_VARIANTS:,}",
                f"shorter lists of {', '.join(lists)}",
            )
        for values in itertools.product(*lists.values()):
            chosen = dict(zip(lists, values, strict=True))
            told = "-".join(map(str, values))
            yield Table(self.command, {**self.options, **chosen}, self.place), told


@dataclass(frozen=True, slots=True)
class Study:
    """One dataset: its options, and the tables of its commands."""

    data: Table
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Experiment:
    """A file, read: its name, its studies, and the tables of its reports.

    ``file_s`` is when it was written last, in seconds since 1970.
    """

    name: str
    title: str
    studies: tuple[Study, ...]
    reports: tuple[Table, ...]
    file_s: float


def shipped() -> list[str]:
    """Return the names of the experiments that pixguard brings."""
    return sorted(f.name.removesuffix(ENDING) for f in PLANS.iterdir() if f.name.endswith(ENDING))


def read_experiment(named: str) -> Experiment:
    """Read a shipped experiment, or a file.

    Raises:
        UsageError: there is no such experiment, or the file is not one; it says where and what may
            stand there.
    """
    if named in shipped():
        with as_file(PLANS / f"{named}{ENDING}") as path:
            return _experiment(named, named, path.read_text(encoding="utf-8"), _written_s(path))
    path = Path(named)
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise UsageError(f"cannot read {path}: it is no file", "name a file")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(
            f"there is no experiment {named!r}, and no such file",
            f"{suggestion(named, shipped())}; or FILE.toml",
        ) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8: {error}", f"mend {path}") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", "name a file") from error
    return _experiment(path.stem, str(path), text, _written_s(path))


def _written_s(path: Path) -> float:
    return path.stat().st_mtime


def _experiment(name: str, file: str, text: str, file_s: float) -> Experiment:
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not valid TOML: {error}", f"mend {file}") from error
    except RecursionError:
        raise UsageError(f"{file} is not valid TOML: nested too deeply", f"mend {file}") from None
    _check_keys(file, given, ("title", "study", "report"))
    title = given.get("title", "")
    if not isinstance(title, str):
        raise UsageError(f"{file}: title is {title!r}, and must be text", 'title = "..."')
    studies = [
        _study(f"{file}, [[study]] {number}", one)
        for number, one in _tables(file, "study", given.get("study", []))
    ]
    if not studies:
        raise UsageError(f"{file} has no study", "[[study]], and below it dataset = NAME")
    reports = [
        _table("report", one, f"{file}, [[report]] {number}")
        for number, one in _tables(file, "report", given.get("report", []))
    ]
    return Experiment(name, title, tuple(studies), tuple(reports), file_s)


def _study(place: str, given: Mapping[str, Any]) -> Study:
    named = given.get("dataset")
    names = named if isinstance(named, list) else [named]
    if not names or not all(isinstance(one, str) and one for one in names):
        raise UsageError(f"{place} has no dataset", 'dataset = "oct", for example')
    place = f"{place} ({given['dataset']})"
    groups = {name.partition(" ")[0] for name in OF_A_DATASET}
    _check_keys(place, given, [*sorted({"name", *DATA}), *sorted(groups)])
    found: dict[str, Any] = {}
    for name in OF_A_DATASET:
        group, _, own = name.partition(" ")
        value = given.get(group, {} if own else [])
        if own and not isinstance(value, dict):
            raise UsageError(
                f"{place}: {group} must be a table of commands",
                f"[[study.{group}.{own}]], and its options below",
            )
        if own:
            allowed = [n.partition(" ")[2] for n in OF_A_DATASET if n.startswith(f"{group} ")]
            _check_keys(f"{place}, {group}", value, allowed)
        found[name] = value.get(own, []) if own else value
    tables = [
        _table(name, one, f"{place}, [[study.{name.replace(' ', '.')}]] {number}")
        for name, value in found.items()
        for number, one in _tables(place, name, value)
    ]
    tables.sort(key=_turn)
    data = {key: value for key, value in given.items() if key not in groups}
    return Study(_table("", data, place), tuple(tables))


def _turn(table: Table) -> float:
    """Return when a command has its turn: an attack on a defence once that is trained."""
    for defence, made in (("through", "denoise train"), ("undetected_by", "detect train")):
        if table.command == "attack" and defence in table.options:
            return OF_A_DATASET.index(made) + 0.5
    return OF_A_DATASET.index(table.command)


def _tables(place: str, name: str, value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the tables of an array of tables, from 1 on; one table stands for an array of it."""
    several = [value] if isinstance(value, dict) else value
    if not isinstance(several, list) or not all(isinstance(one, dict) for one in several):
        raise UsageError(
            f"{place}: {name} is {value!r}, where a table must stand",
            f"[[{name.replace(' ', '.')}]], and its options below",
        )
    yield from enumerate(several, 1)


def _table(command: str, given: Mapping[str, Any], place: str) -> Table:
    """Return a table, its keys as parameters are called.

    Raises:
        UsageError: a list is empty, or a text has characters that drive a terminal or a shell.
    """
    for key, value in given.items():
        values = value if isinstance(value, list) else [value]
        if not values:
            raise UsageError(f"{place}: {key} is an empty list", f"a value, or no {key}")
        for one in values:
            if isinstance(one, str) and not one.isprintable():
                raise UsageError(
                    f"{place}: {key} has characters that cannot be printed", f"mend {key}"
                )
    options = {key.replace("-", "_"): value for key, value in given.items()}
    return Table(command, options, place)


def _check_keys(place: str, given: Mapping[str, Any], allowed: Collection[str]) -> None:
    for key in given:
        if key.replace("-", "_") not in allowed:
            raise UsageError(
                f"{place} has {key!r}, which means nothing there",
                suggestion(key, (a.replace("_", "-") for a in allowed)),
            )
