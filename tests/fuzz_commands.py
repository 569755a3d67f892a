"""Command lines and configuration files that the fuzz run has the command line parse."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from typer.main import get_command
from typer.testing import CliRunner

from fuzz_files import EDITS, WORDS, mutated
from pixguard.cli.app import app

ROOT = get_command(app)


@contextmanager
def commands_do_nothing() -> Iterator[list[tuple[str, ...]]]:
    """Let every command parse what was typed, and do nothing; yield how they are called."""
    cells, paths = [], []

    def walk(command: Any, path: tuple[str, ...]) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*path, name))
        if not hasattr(command, "commands"):
            run = command.callback.__wrapped__
            paths.append(path)
            cells.append(run.__closure__[run.__code__.co_freevars.index("function")])

    walk(ROOT, ())
    before = [cell.cell_contents for cell in cells]
    for cell in cells:
        cell.cell_contents = lambda **_: None
    try:
        yield paths
    finally:
        for cell, function in zip(cells, before, strict=True):
            cell.cell_contents = function


def run_line(arguments: list[str]) -> bool:
    with commands_do_nothing():
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code in (0, 1, 2), result.output
    assert "Traceback" not in result.output, result.output
    assert "pixguard --debug" not in result.output, result.output
    assert not isinstance(result.exception, Exception), result.exception
    return result.exit_code == 0


def run_config(value: tuple[bytes, list[str]], folder: Path) -> bool:
    content, command = value
    (folder / "pixguard.toml").write_bytes(content)
    return run_line(["--config", str(folder / "pixguard.toml"), *command])


def run_arguments(value: list[str], folder: Path) -> bool:
    return run_line(value)


def _flags(path: tuple[str, ...]) -> list[str]:
    command: Any = ROOT
    for name in path:
        command = command.commands[name]
    return [
        flag
        for parameter in command.params
        for flag in (*parameter.opts, *parameter.secondary_opts)
        if flag.startswith("-") and flag not in ("--log-file", "--help", "-h")
    ]


with commands_do_nothing() as PATHS:
    FLAGS = {path: _flags(path) for path in PATHS}

USUAL: tuple[list[str], ...] = ([], ["--dataset", "oct"], ["pets"], ["--json"])
# Without some of them, most commands lack something.
TYPED = st.one_of(WORDS, st.sampled_from(("oct", "pets", "1", "28", "native", "paper", "0.5")))


@st.composite
def lines(draw: Any) -> list[str]:
    """A command line: a command that there is, with options that it has, and others."""
    path = draw(st.sampled_from(sorted(FLAGS)))
    flags = st.sampled_from([*FLAGS[path], "--unknown"])
    joined = st.builds(lambda flag, value: f"{flag}={value}", flags, TYPED)
    words = draw(st.lists(st.one_of(flags, TYPED, joined), max_size=8))
    # What cannot be in an argument of a process: NUL; and what is no text comes as surrogates.
    usual = draw(st.sampled_from(USUAL))
    return [*path, *usual, *(w for w in words if "\0" not in w and not w.startswith("--log"))]


VALUES = st.one_of(
    st.integers(-(1 << 70), 1 << 70), st.floats(), st.booleans(), WORDS, st.just("1979-05-27"),
    st.lists(st.integers(-3, 3), max_size=3),
)  # fmt: skip


@st.composite
def configs(draw: Any) -> tuple[bytes, list[str]]:
    """A TOML file of options that a command has, mutated or not, and that command."""
    path = draw(st.sampled_from(sorted(FLAGS)))
    names = st.sampled_from([f.lstrip("-") for f in FLAGS[path] if f.startswith("--")] or ["x"])
    text = f"[{'.'.join(path)}]\n"
    for name, value in draw(st.dictionaries(names | names | WORDS, VALUES, max_size=5)).items():
        bare = name.replace("-", "").isalnum() and name.isascii()
        is_json = isinstance(value, bool | list) or (isinstance(value, str) and value[:2] != "19")
        written = json.dumps(value) if is_json else value
        text += f"{name if bare else json.dumps(name)} = {written}\n"
    edits = draw(st.one_of(st.just([]), EDITS))
    return mutated(text.encode("utf-8", "surrogatepass"), edits), [
        *path,
        *draw(st.sampled_from(USUAL)),
    ]
