"""``pixguard.toml``: defaults of values, checked against the commands that there are."""

from pathlib import Path
from typing import Any

import typer

from pixguard.cli.common import parameter_name
from pixguard.cli.mistakes import KINDS
from pixguard.config import load_defaults
from pixguard.errors import UsageError
from pixguard.registry import unknown
from pixguard.words import shell_word


def apply_config_file(ctx: typer.Context, config: Path | None) -> None:
    """Make the values of ``pixguard.toml`` the defaults of every command's options."""
    if config is not None and not config.is_file():
        raise UsageError(f"the configuration file {config} does not exist", "check --config")
    file = config or Path("pixguard.toml")
    ctx.default_map = _checked(file, ctx.command, load_defaults(file), ())


def _checked(
    file: Path, command: Any, given: dict[str, Any], path: tuple[str, ...]
) -> dict[str, Any]:
    """Return the defaults of a command, or of the commands of a group, by parameter name.

    Raises:
        UsageError: there is no such command or option, an option stands where a command must, or
            it is one that may only be typed.
    """
    commands = getattr(command, "commands", None)
    table = f"[{'.'.join(path)}]"
    if commands is None:
        known = {parameter.name for parameter in command.params}
        old = {parameter_name(o): parameter_name(n) for o, n in command.renamed.items()}
        names = (key.replace("-", "_") for key in given)
        chosen = {old.get(n, n): value for n, value in zip(names, given.values(), strict=True)}
        for name in chosen.keys() - known:
            error = unknown("option", name, sorted(known))
            raise UsageError(
                f"{file} gives {table} the option {name}, which it does not have", error.hint
            )
        if refused := sorted(chosen.keys() & command.callback.typed_only):
            flag = f"--{refused[0].replace('_', '-')}"
            words = " ".join(path)
            raise UsageError(
                f"{file} gives {table} the option {refused[0]}, which no file may set: a file may "
                "come from someone else, and this says where to write, what to run or what to "
                "trust",
                f"remove it from {file}, and type it: pixguard {words} {flag} ...",
            )
        for parameter in command.params:
            _check_is_no_switch(file, " ".join(path), parameter, chosen.get(parameter.name))
        return chosen
    for name, value in given.items():
        if name not in commands:
            error = unknown("command", name, commands)
            place = f"below {table} in {file}" if path else f"in {file}"
            raise UsageError(f"{error.message}, as {place}", error.hint)
        if not isinstance(value, dict):
            raise UsageError(
                f"{file} gives {table} a value {name}, where a command must stand",
                f"[{'.'.join((*path, name))}] and its options below",
            )
    return {n: _checked(file, commands[n], v, (*path, n)) for n, v in given.items()}


def _check_is_no_switch(file: Path, command: str, parameter: Any, value: Any) -> None:
    """Raise where true or false is given to what is no switch: Python takes them for 1 and 0.

    Raises:
        UsageError: they are.
    """
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", bool)
    values = value if isinstance(value, list) else [value]
    if kind is not bool and any(isinstance(one, bool) for one in values):
        raise UsageError(
            f"--{parameter.name.replace('_', '-')} (as the configuration file gives it for "
            f"pixguard {command}) is {KINDS.get(kind, 'a word')}, not true or false",
            f"mend {shell_word(file)}",
        )
