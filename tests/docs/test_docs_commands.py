"""What the documents say of the command line is so, and they leave nothing of it out."""

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from docs.docs_pages import DOCS, PAGES, ROOT, WRITTEN, command_lines, spans, text

sys.path.append(str(ROOT / "scripts"))
import reference
from pixguard.cli.app import app

TREE = get_command(app)
COMMANDS = dict(reference.commands(TREE))
OPTIONS = {
    option
    for command in (TREE, *COMMANDS.values())
    for parameter in command.params
    for option in (*parameter.opts, *parameter.secondary_opts)
}
LINES = [
    pytest.param(line, id=f"{page.stem}: {line[:70]}")
    for page in WRITTEN
    for line in command_lines(page)
]


def resolved(words: list[str]) -> tuple[str, Any, list[str]]:
    """The name of the command that words call, the command, and the words that are left."""
    node, name = TREE, []
    while words and words[0] in getattr(node, "commands", {}):
        node = node.commands[words[0]]
        name.append(words.pop(0))
    return " ".join(name), node, words


def names_of(command: Any) -> set[str]:
    return {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}


def check_names(command: Any, words: list[str], line: str) -> None:
    """Every flag among words must be one of the command's."""
    wrong = {w.split("=")[0] for w in words if w.startswith("--")} - names_of(command)
    assert not wrong, f"{line}: no such option {sorted(wrong)}"


@pytest.mark.parametrize("page", sorted(reference.PAGES))
def test_a_generated_page_is_what_is_generated_now(page: str) -> None:
    assert text(page) == reference.PAGES[page](), "run scripts/docs"


def test_the_page_of_commands_leaves_nothing_out() -> None:
    page = text("cli.md")
    assert len(COMMANDS) > 20
    for name, command in COMMANDS.items():
        assert f"\n## pixguard {name}\n" in page
        section = page.split(f"\n## pixguard {name}\n")[1].split("\n## ")[0]
        for parameter in reference.parameters(command):
            assert f"{reference.option_names(parameter)} |" in section, (name, parameter.name)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_says_what_it_is(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    silent = [p.name for p in reference.parameters(command) if not p.help]
    assert not silent, f"pixguard {name} has options without help: {silent}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_a_page_that_people_write(name: str) -> None:
    words = (" ".join(page.read_text(encoding="utf-8").split()) for page in WRITTEN)
    assert any(f"pixguard {name}" in page for page in words)


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_in_the_documents_can_be_typed(line: str) -> None:
    words = shlex.split(line)[1:]
    for sign in (";", "|", "&&", ">"):
        words = words[: words.index(sign)] if sign in words else words
    name, command, rest = resolved(words)
    assert name in COMMANDS or (rest and rest[0].startswith("--")), f"{line}: no such command"
    check_names(command, rest, line)
    if "..." not in rest and name in COMMANDS:
        command.make_context(name, rest)  # reads every value, and runs nothing


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.stem)
def test_commands_and_options_in_prose_exist(page: Path) -> None:
    for span in spans(page):
        words = span.split()
        if words[0] == "pixguard" and len(words) > 1 and words[1] != "...":
            name, command, rest = resolved(words[1:])
            assert name or rest[0].startswith("--") or rest[0] == "COMMAND", f"`{span}`"
            check_names(command, rest, span)
        elif words[0] in TREE.commands and any(w.startswith("--") for w in words):
            _, command, rest = resolved(words)
            check_names(command, rest, span)
        elif words[0].startswith("--") and page.name != "CONTRIBUTING.md":
            assert words[0].split("=")[0] in OPTIONS, f"`{span}`"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("pixguard atack --dataset oct", AssertionError),
        ("pixguard denoise --dataset oct", AssertionError),
        ("pixguard attack --dataset oct --pixel 2", AssertionError),
        ("pixguard attack ... --dry", AssertionError),
        ("pixguard attack --dataset oct --pixels 0", typer.BadParameter),
        ("pixguard attack --dataset oct --evaluator sparse", typer.BadParameter),
        ("pixguard attack", typer.BadParameter),
    ],
)
def test_the_check_of_command_lines_finds_what_is_wrong(line: str, error: type) -> None:
    with pytest.raises(error):
        test_a_command_line_in_the_documents_can_be_typed(line)


def test_every_page_is_reached_from_another() -> None:
    linked = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for page in DOCS.glob("*.md"):
        assert f"({page.name}" in linked or f"(docs/{page.name}" in linked, page.name
