"""The pages of docs/ that are made from the code: the commands and the schema.

``scripts/docs`` writes them; a test compares them with what is made now.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from sqlalchemy import CheckConstraint, Column, Table, UniqueConstraint
from typer.main import get_command

from pixguard.cli.app import app
from pixguard.store.tables import VIEWS, Base

DOCS = Path(__file__).resolve().parent.parent / "docs"
BUILT_IN = {"help", "install_completion", "show_completion"}
"""Options that Typer gives by itself."""
WITHOUT_A_PANEL = "Options"

CLI_INTRODUCTION = """\
# Commands

Made by `scripts/docs` from the commands themselves: edit their help, not this page.

Every option can be given as a flag, as an environment variable (`--pixels` of `attack` is
`PIXGUARD_ATTACK_PIXELS`, `--stride` of `certify train` is `PIXGUARD_CERTIFY_TRAIN_STRIDE`), or in
`pixguard.toml` in the working folder:

```toml
[attack]
pixels = 2

[denoise.train]
epochs = 20
```

A flag wins over a variable, a variable over the file. As a folder's file may be someone else's, it
sets values only: not where something is written (`--out`, `--db`, ...), nor what runs (`--builder`,
`--weights`) or is trusted. `pixguard COMMAND --help` shows the same as this page. What was called
otherwise once still goes by its old name: `--batch-size` of `attack` by batch, `--out` by output
and to.

Progress and messages go to stderr: on a terminal as bars, elsewhere as a plain line every 15
seconds. `--quiet` leaves them out, `--verbose` adds when each came, `--log-file FILE` keeps them.
`pixguard --install-completion` lets the shell complete commands, options, and the names of
datasets, models, tables and figures.

Exit codes: 0 done, 1 failure, 2 wrong usage, 3 some attempts failed, 4 the database has another
schema, 5 the database is busy, 130 interrupted. With `--json`, results and errors are JSON.
"""


def commands(node: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, as ``("denoise train", command)``."""
    node = node or get_command(app)
    for name, child in getattr(node, "commands", {}).items():
        if hasattr(child, "commands"):
            yield from commands(child, (*path, name))
        else:
            yield " ".join((*path, name)), child


def parameters(command: Any) -> list[Any]:
    """Return the options and arguments of a command, without those that every command has."""
    return [p for p in command.params if p.name not in BUILT_IN]


def cli_page() -> str:
    """Return docs/cli.md: every command with its options, by panel."""
    root = get_command(app)
    found = list(commands(root))
    parts = [CLI_INTRODUCTION]
    rows = [
        [f"[`pixguard {name}`](#pixguard-{name.replace(' ', '-')})", _first_line(command.help)]
        for name, command in found
    ]
    parts.append(_table(["command", "what it does"], rows))
    parts.append("## pixguard\n\nOptions that stand before the command.\n\n" + _panels(root))
    parts += [_command(name, command) for name, command in found]
    return "\n".join(parts)


def _command(name: str, command: Any) -> str:
    arguments = [p for p in parameters(command) if p.param_type_name == "argument"]
    words = [f"<{p.name}>" if p.required else f"[<{p.name}>]" for p in arguments]
    usage = " ".join(["pixguard", name, *words, "[options]"])
    about = _prose(command.help or "")
    return f"## pixguard {name}\n\n{about}\n\n    {usage}\n\n{_panels(command)}"


def _panels(command: Any) -> str:
    panels: dict[str, list[list[str]]] = {}
    for parameter in parameters(command):
        if parameter.param_type_name == "argument":
            title = "Arguments"
        else:
            title = parameter.rich_help_panel or WITHOUT_A_PANEL
        panels.setdefault(title, []).append(_row(parameter))
    header = ["option", "value", "default", "what it is"]
    return "\n".join(f"**{title}**\n\n{_table(header, rows)}" for title, rows in panels.items())


def _row(parameter: Any) -> list[str]:
    help_text = _cell(parameter.help or "")
    if parameter.envvar:
        help_text += f" Variable: `{parameter.envvar}`."
    return [option_names(parameter), value(parameter), _default(parameter), help_text]


def option_names(parameter: Any) -> str:
    """Return a parameter as it is typed: ``--size``, or ``<name>`` for one that goes by place."""
    if parameter.param_type_name == "argument":
        return f"`<{parameter.name}>`"
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def value(parameter: Any) -> str:
    """Return what an option takes, in words; nothing for a switch."""
    # Typer keeps the Python type here, whichever Click it was built upon.
    kind = parameter.type_descriptor.annotation
    several = get_origin(kind) is list
    kind = get_args(kind)[0] if several else kind
    if kind is bool:
        return ""
    if get_origin(kind) is Literal:
        text = ", ".join(f"`{choice}`" for choice in get_args(kind))
    else:
        text = _unit(parameter.metavar) or {int: "integer", float: "number", Path: "path"}.get(
            kind, "text"
        )
    text += _bounds(parameter.min, parameter.max)
    return f"{text}; may be repeated" if several else text


def _unit(metavar: str | None) -> str:
    return re.sub(r"[<>]", "", metavar or "").replace("|", " or ")


def _bounds(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    if high is None:
        return f", at least {low:g}"
    return f", at most {high:g}" if low is None else f", {low:g} to {high:g}"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    if default is None or default is False or default == "":
        return ""
    return "on" if default is True else f"`{default}`"


def _first_line(text: str | None) -> str:
    return _prose(text or "").split("\n\n")[0]


def _cell(text: str) -> str:
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text).replace("|", "\\|")


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


SCHEMA_INTRODUCTION = """\
# Schema

Made by `scripts/docs` from the models and views in `pixguard/store/tables/`: edit those, not
this page. How to ask the database is in [database.md](database.md).

Every table is STRICT on SQLite. Times are INTEGER milliseconds since 1970 (UTC), structured values
are JSON text, booleans are 0 or 1, a label set is its code: ordinals of classes joined by commas,
empty for none. References never cascade.
"""


def schema_page() -> str:
    """Return docs/schema.md: every view with its query, every table with its columns and rules."""
    about = {m.local_table.name: m.class_.__doc__ or "" for m in Base.registry.mappers}
    tables = [Base.metadata.tables[name] for name in sorted(Base.metadata.tables)]
    rows = [[f"[`{t.name}`](#{t.name})", _first_line(about[t.name])] for t in tables]
    views = [[f"[`{view.name}`](#{view.name})", _prose(view.about)] for view in VIEWS]
    parts = [
        SCHEMA_INTRODUCTION,
        _table(["view", "what it shows"], views),
        _table(["table", "what a row is"], rows),
    ]
    parts += [f"## {v.name}\n\nA view. {_prose(v.about)}\n\n```sql\n{v.sql}\n```\n" for v in VIEWS]
    parts += [f"## {t.name}\n\n{_prose(about[t.name])}\n\n{_columns(t)}" for t in tables]
    return "\n".join(parts)


def _columns(table: Table) -> str:
    rows = [[f"`{c.name}`", str(c.type), _remark(c)] for c in table.columns]
    lines = _table(["column", "type", ""], rows)
    rules = []
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            rules.append(f"- unique: {', '.join(f'`{c.name}`' for c in constraint.columns)}")
        elif isinstance(constraint, CheckConstraint):
            rules.append(f"- `{constraint.sqltext}`")
    return "\n".join([lines, *sorted(rules), ""]) if rules else lines


def _remark(column: "Column[Any]") -> str:
    words = ["key"] if column.primary_key else []
    words += [f"of [`{key.column.table.name}`](#{key.column.table.name})" for key in _keys(column)]
    words += ["may be NULL"] if column.nullable else []
    return ", ".join(words)


def _keys(column: "Column[Any]") -> list[Any]:
    return sorted(column.foreign_keys, key=lambda key: key.target_fullname)


def _prose(docstring: str) -> str:
    """Return a docstring as Markdown: its roles and double backticks as plain code."""
    plain = re.sub(r":\w+:`([^`]+)`", r"`\1`", inspect.cleandoc(docstring))
    return _cell(plain.replace("``", "`"))


PAGES: Mapping[str, Callable[[], str]] = {"cli.md": cli_page, "schema.md": schema_page}
"""What makes each page."""


def main() -> None:
    """Write the pages."""
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
