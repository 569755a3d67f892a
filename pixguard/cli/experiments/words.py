"""From a table of a file to the command line that it stands for, checked as the command does."""

import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args, get_origin

import typer

from pixguard.cli.experiments.file import DATA, Table
from pixguard.cli.mistakes import told_of
from pixguard.cli.options import own_options
from pixguard.errors import PixguardError, UsageError
from pixguard.metrics import METRICS
from pixguard.registry import suggestion

PLANNED = frozenset(
    "resume fresh_seed dry_run detach db json quiet verbose log_file device name html out list "
    "sql".split()
)
"""What the plan says itself, and no file."""


@dataclass(frozen=True, slots=True)
class Words:
    """A command line without ``pixguard``, and what the command makes of it, by group."""

    line: tuple[str, ...]
    groups: Mapping[str, Any]


class Commands:
    """The commands of pixguard, as they are called below the one that is running.

    Args:
        ctx: of the command that is running: defaults come from the same file and variables.
    """

    def __init__(self, ctx: typer.Context) -> None:
        self._root: Any = ctx.find_root()

    def _node(self, command: str) -> Any:
        node = self._root.command
        for word in command.split():
            node = node.commands[word]
        return node

    def parameters(self, command: str) -> dict[str, Any]:
        """Return the parameters of a command by name."""
        return {p.name: p for p in self._node(command).params}

    def many(self, command: str) -> set[str]:
        """Return the options of a command that take several values, and ``of``."""
        found = self.parameters(command).items()
        return {"of", *(name for name, p in found if get_origin(_kind(p)) is list)}

    def words(self, table: Table, before: Mapping[str, Any], after: Mapping[str, Any]) -> Words:
        """Return the command line of a table, between what the plan says of it.

        Raises:
            UsageError: the command has no such option, a file may not say it, or the command would
                refuse its value; it says where in the file.
        """
        known = self.parameters(table.command)
        elsewhere = PLANNED | DATA | set(before)
        if table.command == "report":
            elsewhere -= {"dataset", "size"}
        refused = elsewhere | self._node(table.command).callback.typed_only
        for name in table.options:
            flag = name.replace("_", "-")
            if name not in known:
                free = [n.replace("_", "-") for n in known.keys() - refused]
                raise UsageError(
                    f"{table.place} has {flag}, which is no option of pixguard {table.command}",
                    suggestion(flag, sorted(free)),
                )
            if name in refused:
                raise UsageError(
                    f"{table.place} has {flag}, which no experiment may set: it is said by the "
                    "study, by the plan or by whoever runs it",
                    f"remove {flag}",
                )
        line = [*table.command.split()]
        for said in (before, table.options, after):
            for name, value in said.items():
                if name in known and value is not None:
                    line += _option(table.place, known[name], value)
        return Words(tuple(line), self._groups(table, line))

    def _groups(self, table: Table, line: list[str]) -> Mapping[str, Any]:
        """Return what the command would make of a line; refuse what it would refuse."""
        try:
            ctx, words = self._root, list(line)
            node = self._root.command
            while hasattr(node, "commands"):
                name = words.pop(0)
                node = node.commands[name]
                ctx = node.make_context(name, list(words), parent=ctx)
            groups: dict[str, Any] = node.callback.build(dict(ctx.params))
            settings: Any = groups.get("settings")
            if node.callback.own is not None:
                name = getattr(settings, "attack", None) or settings.name
                options = own_options(ctx, node.callback.own, name, groups["own"])
                groups["settings"] = replace(settings, options=options)
            _check_names(table.command, groups)
        except Exception as error:
            if not isinstance(error, PixguardError) and not hasattr(error, "format_message"):
                raise
            told = told_of(error)
            raise UsageError(f"{table.place}: {told.message}", told.hint) from None
        return groups


def _kind(parameter: Any) -> Any:
    """Return the Python type of a parameter's value, without None."""
    kind = parameter.type_descriptor.annotation
    if get_origin(kind) in (typing.Union, type(int | None)):
        kind = next(part for part in get_args(kind) if part is not type(None))
    return kind


def _option(place: str, parameter: Any, value: Any) -> list[str]:
    """Return an option as it is typed.

    Raises:
        UsageError: the value is of a type that no command line has.
    """
    flag = parameter.opts[0]
    is_switch = _kind(parameter) is bool
    values = value if isinstance(value, list) else [value]
    if any(isinstance(one, bool) != is_switch for one in values) or not all(
        isinstance(one, bool | int | str) or (isinstance(one, float) and math.isfinite(one))
        for one in values
    ):
        wanted = "true or false" if is_switch else "a number or text"
        raise UsageError(f"{place}: {flag[2:]} is {value!r}, and must be {wanted}", "mend it")
    if is_switch:
        return [flag] if value else []
    if parameter.name in ("table", "figure"):
        values = [",".join(map(str, values))]
    # A value that begins with a dash must not be taken for an option.
    return [
        w for t in map(str, values) for w in ([f"{flag}={t}"] if t.startswith("-") else [flag, t])
    ]


def _check_names(command: str, groups: Mapping[str, Any]) -> None:
    """Refuse names that only the work itself would notice.

    Raises:
        UsageError: there is no such architecture, metric, table, figure or denoiser.
    """
    data = groups.get("data")
    if data is not None and data.source is None and data.data_dir is None:
        from pixguard.datasets.catalogue import is_named, unknown_dataset

        if not is_named(data.name):
            raise unknown_dataset(data.name, [])
    check = _CHECKS.get(command)
    if check is not None:
        check(groups)


def _check_architecture(groups: Mapping[str, Any]) -> None:
    from pixguard.classifiers.builders import canonical_name

    canonical_name(groups["settings"].architecture)


def _check_metrics(groups: Mapping[str, Any]) -> None:
    for name in groups["metrics"].metric or []:
        METRICS[name]


def _check_reports(groups: Mapping[str, Any]) -> None:
    from pixguard.cli.report_options import listed_names
    from pixguard.reports.figures.specs import figure_spec
    from pixguard.reports.specs import table_spec

    for name in listed_names(groups["which"].table or []):
        table_spec(name)
    for name in listed_names(groups["which"].figure or []):
        figure_spec(name)


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "train": _check_architecture,
    "certify train": _check_architecture,
    "score": _check_metrics,
    "report": _check_reports,
}
