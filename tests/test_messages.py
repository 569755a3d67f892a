"""The library speaks of settings as Python names them; only the command line knows of flags."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "pixguard"
FLAG = re.compile(r"(?<![\w`-])--[a-z]")
PARTS = (
    "store",
    "datasets",
    "models",
    "classifiers",
    "inference",
    "defences",
    "attacks",
    "runner",
)
COMMAND_LINES = {"session.py", "plans.py"}
"""Files that take a command line apart."""


def texts(path: Path) -> Iterator[str]:
    """Yield the string literals of a module, f-strings as a whole, docstrings left out."""
    tree = ast.parse(path.read_text())
    left: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            left.add(node.value)
        if isinstance(node, ast.JoinedStr):
            left.update(node.values)
            yield "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in left:
            yield node.value


@pytest.mark.parametrize("part", PARTS)
def test_messages_name_no_flag_but_in_a_command_line(part: str) -> None:
    for path in (PACKAGE / part).rglob("*.py"):
        if path.name in COMMAND_LINES:
            continue
        for text in texts(path):
            # A part of a command line begins with the space before it, or with its beginning.
            whole = "pixguard " in text or text.startswith((" --", "{} --"))
            assert whole or not FLAG.search(text), f"{path.name}: {text}"
