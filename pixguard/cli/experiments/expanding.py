"""From an experiment to its steps: command lines in order, and what each needs."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pixguard.cli.experiments.file import Experiment, Study, Table
from pixguard.cli.experiments.words import Commands, Words
from pixguard.config.training import TORCHVISION
from pixguard.datasets.joined import first_missing
from pixguard.errors import UsageError
from pixguard.registry import suggestion

VOTE = "certify train"
OF_A_CLASSIFIER = {"attack", "denoise apply", "score", "detect apply"}
"""Commands that are given once a classifier of the study."""
AFTER: Mapping[str, tuple[str, ...]] = {
    "train": ("data fetch",),
    "denoise train": ("data fetch",),
    "detect train": ("data fetch",),
    "certify train": ("data fetch",),
    "denoise apply": ("attack",),
    "score": ("denoise apply",),
    "detect apply": ("detect train", "attack"),
}
"""Of these commands of the same dataset and classifier, one at least must have been done."""
TOLD = (
    "model",
    "attack",
    "which",
    "success",
    "seed",
    "pixels",
    "target",
    "attack_at",
    "through",
    "undetected_by",
    "queries",
    "denoiser",
    "normal",
    "stride",
)
"""Options that tell steps of one command apart."""
FORMATS = {"md": "md", "csv": "csv", "json": "json", "latex": "tex", "html": "html"}


@dataclass(frozen=True, slots=True)
class Step:
    """A command line.

    Attributes:
        number: from 1 on, in the order of work.
        command: its name: ``denoise train``.
        about: what it works on, in a few words.
        words: the command line without ``pixguard``, and what the command makes of it.
        needs: of each group of numbers, one at least must be done before.
        writes: the file or folder that it makes; None where all goes to the database.
    """

    number: int
    command: str
    about: str
    words: Words
    needs: tuple[frozenset[int], ...] = ()
    writes: Path | None = None

    @property
    def title(self) -> str:
        """Command and what it works on."""
        return f"{self.command} {self.about}"

    @property
    def missing(self) -> Path | None:
        """The file that it reads images or first weights from, where that is not there."""
        images = getattr(self.words.groups.get("data"), "data_dir", None)
        weights = getattr(self.words.groups.get("settings"), "pretrained", None)
        read = [images, None if weights in (None, TORCHVISION) else Path(weights)]
        absent = (first_missing(path) for path in read if path is not None)
        return next((path for path in absent if path is not None), None)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a plan works: the database, the folder of data, that of reports, the device."""

    database: str
    data: Path | None
    out: Path
    device: str | None = None


@dataclass
class Expansion:
    """Makes the steps of an experiment.

    Raises:
        UsageError: the experiment asks for something that a command refuses, or contradicts itself.
    """

    commands: Commands
    place: Place
    steps: list[Step] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)
    _images: dict[tuple[Any, ...], tuple[Any, ...]] = field(default_factory=dict)

    def of(self, experiment: Experiment) -> list[Step]:
        """Return the steps in order."""
        for study in experiment.studies:
            for data, _ in study.data.variants(()):
                self._study(replace(study, data=data))
        done = frozenset(step.number for step in self.steps)
        for number, table in enumerate(experiment.reports, 1):
            self._report(table, number, done)
        return self.steps

    def _study(self, study: Study) -> None:
        data = dict(study.data.options)
        name = str(data.pop("name", data["dataset"]))
        if "data_dir" in data:
            roots = str(data["data_dir"]).split(os.pathsep)
            files = [str(self._file(study.data.place, root)) for root in roots]
            data["data_dir"] = os.pathsep.join(files)
        self._tell_apart(study.data.place, data)
        size = data.get("size")
        base = name if size is None else f"{name}-{size}"
        first = len(self.steps)
        classifiers = self._named(study, base, "train")
        votes = self._named(study, base, VOTE)
        for table in study.tables:
            own = {VOTE: votes, "train": classifiers}.get(table.command)
            if own is not None:
                for one, called in own:
                    if one.place == table.place:
                        self._add(one, {**data, "name": called}, called, first)
                continue
            targets: list[str | None] = [None]
            if table.command in OF_A_CLASSIFIER:
                targets = [*_chosen(table, base, [called for _, called in classifiers])]
            elif table.command == "certify apply":
                targets = [*_chosen(table, base, [called for _, called in votes])]
            options = {k: v for k, v in table.options.items() if k != "of"}
            for target in targets:
                many = self.commands.many(table.command)
                for one, _ in replace(table, options=options).variants(many):
                    planned = data if target is None else {**data, "model": target}
                    self._add(one, planned, target or base, first)

    def _tell_apart(self, place: str, data: Mapping[str, Any]) -> None:
        """Refuse images that commands could not tell from those of another study.

        Raises:
            UsageError: they have one name, source and size, and are of other files, or split
                otherwise without a word on it.
        """
        key = tuple(data.get(name) for name in ("dataset", "source", "size"))
        file, *split = (data.get(name) for name in ("data_dir", "split", "group"))
        other, *others = self._images.setdefault(key, (file, *split))
        said = any(None not in (a, b) and a != b for a, b in zip(split, others, strict=True))
        if file != other or not (said or split == others):
            raise UsageError(
                f"{place}: another study has {data['dataset']} of this size, of other files or "
                "split otherwise",
                "size, or in both group (or split), tells them apart; or an experiment each",
            )

    def _named(self, study: Study, base: str, command: str) -> list[tuple[Table, str]]:
        """Return the classifiers that a study trains, with what each is called.

        Raises:
            UsageError: two have one name.
        """
        found = []
        model = self.commands.parameters(command)["model"].default
        for table in study.tables:
            if table.command != command:
                continue
            options = dict(table.options)
            given = options.pop("name", None)
            for one, told in replace(table, options=options).variants(()):
                own = str(one.options.get("model", model))
                short = f"{given}-{told}" if given and told else str(given or own)
                called = f"{base}-{short if given or command != VOTE else f'vote-{own}'}"
                if called in self._names:
                    raise UsageError(
                        f"{table.place}: two classifiers would be called {called}",
                        'name = "..." tells them apart, of the classifier or of the study',
                    )
                self._names.add(called)
                found.append((one, called))
        return found

    def _file(self, place: str, named: object) -> Path:
        """Return a file of the folder of data.

        Raises:
            UsageError: it is outside of that folder: a file may be someone else's, and reads
                nothing but what it is given.
        """
        path = PurePosixPath(str(named))
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise UsageError(
                f"{place} names {str(named)!r}, which is not inside of the folder of data",
                "its name in the folder that --data-dir tells",
            )
        return (self.place.data or Path()) / path

    def _add(self, table: Table, planned: Mapping[str, Any], about: str, first: int) -> None:
        """Add a step of a study whose steps begin at ``first``."""
        weights = table.options.get("pretrained", TORCHVISION)
        if weights != TORCHVISION:
            file = str(self._file(table.place, weights))
            table = replace(table, options={**table.options, "pretrained": file})
        words = self.commands.words(table, planned, self._always(table.command))
        options = table.options if table.command not in ("train", VOTE) else {}
        told = [f"{k.replace('_', '-')} {_text(options[k])}" for k in TOLD if k in options]
        title = " ".join([about, *told])
        step = Step(len(self.steps) + 1, table.command, title, words)
        needs = _needs(step, planned.get("model"), self.steps[first:])
        self.steps.append(replace(step, needs=tuple(needs)))

    def _always(self, command: str) -> dict[str, Any]:
        """Return the options of every step; attacks alone are shared among several devices."""
        device = self.place.device
        if device is not None and command != "attack":
            device = device.partition(",")[0]
        return {"device": device, "db": self.place.database, "resume": True}

    def _report(self, table: Table, number: int, done: frozenset[int]) -> None:
        """Add a step that writes tables, figures or the page into the folder of reports."""
        options = dict(table.options)
        name = str(options.pop("name", f"report-{number}"))
        if not name.replace("-", "").replace("_", "").isalnum():
            raise UsageError(
                f"{table.place}: name is {name!r}, and becomes the name of a file",
                "letters, digits, - and _",
            )
        page = options.pop("page", False)
        if not isinstance(page, bool):
            told = f"page is {page!r}, and must be true or false"
            raise UsageError(f"{table.place}: {told}", "page = true")
        if "costs" in options:
            options["costs"] = str(self._file(table.place, options["costs"]))
        if page:
            out, said = self.place.out / name, {"html": str(self.place.out / name)}
        else:
            if "figure" in options or options.get("all"):
                out = self.place.out / name
            else:
                ending = FORMATS.get(str(options.setdefault("format", "md")), "txt")
                out = self.place.out / f"{name}.{ending}"
            said = {"out": str(out)}
        said |= self._always("report")
        words = self.commands.words(replace(table, options=options), {}, said)
        if any(step.writes == out for step in self.steps):
            raise UsageError(f"{table.place}: two reports would be {out}", 'name = "..."')
        step = Step(len(self.steps) + 1, "report", name, words)
        self.steps.append(replace(step, needs=(done,) if done else (), writes=out))


def _needs(step: Step, model: object, study: list[Step]) -> Iterator[frozenset[int]]:
    """Yield the groups of steps of a study of which a step needs one each."""

    def those(command: str, **fitting: object) -> frozenset[int]:
        found = []
        for one in study:
            called = one.words.groups.get("called")
            known = {
                "called": called and called.name,
                "model": getattr(one.words.groups.get("classifier"), "model", None),
                "denoiser": getattr(one.words.groups.get("settings"), "name", None),
            }
            if one.command == command and all(known[k] in (v, None) for k, v in fitting.items()):
                found.append(one.number)
        return frozenset(found)

    groups = [those(command, model=model) for command in AFTER.get(step.command, ())]
    if step.command in OF_A_CLASSIFIER:
        groups.append(those("train", called=model))
    if step.command == "certify apply":
        groups.append(those(VOTE, called=model))
    through, watch = (
        getattr(step.words.groups.get("classifier"), name, None)
        for name in ("through", "undetected_by")
    )
    if watch is not None:
        groups.append(those("detect train", denoiser=watch))
    restoring = getattr(step.words.groups.get("restoring"), "denoiser", None) or []
    for name in [*restoring, *([through] if through else [])]:
        groups.append(those("denoise train", denoiser=name))
    yield from (group for group in groups if group)


def _chosen(table: Table, base: str, called: list[str]) -> list[str]:
    """Return the classifiers that a table is of: all of its study, or those that ``of`` names.

    Raises:
        UsageError: there is none, or none of that name.
    """
    asked = table.options.get("of")
    if not called:
        raise UsageError(
            f"{table.place} has no classifier in its study",
            "[[study.train]], and for certificates [[study.certify.train]]",
        )
    if asked is None:
        return called
    short = {name.removeprefix(f"{base}-"): name for name in called}
    for name in asked if isinstance(asked, list) else [asked]:
        if name not in short:
            raise UsageError(
                f"{table.place}: of names {name!r}, which is no classifier of this study",
                suggestion(name, short),
            )
    return [short[name] for name in (asked if isinstance(asked, list) else [asked])]


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
