"""Imports point down the house's floors, without a circle, and the light modules stay light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "pixguard"

FLOORS = [
    "words",
    "errors",
    "records",
    "files",
    "progress",
    "shards",
    "provenance",
    "registry",
    "statistics",
    "config",
    "metrics",
    "store",
    "results",
    "datasets",
    "models",
    "classifiers",
    "inference",
    "defences",
    "attacks",
    "runner",
    "reports",
    "cli",
]
"""From the ground up: a part may import itself and what stands before it."""
HEAVY = ("torch", "torchvision", "sqlalchemy", "matplotlib", "medmnist", "numpy", "sklearn")


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(module: str) -> Iterator[str]:
    """Yield the modules of the package that one imports, late imports and those for types too."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def part(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("floor", FLOORS)
def test_a_part_imports_only_what_stands_below_it(floor: str) -> None:
    below = set(FLOORS[: FLOORS.index(floor) + 1])
    own = [m for m in MODULES if m.startswith("pixguard.") and part(m) == floor]
    assert own
    for module in own:
        wrong = {i for i in imports(module) if i != "pixguard" and part(i) not in below}
        assert not wrong, f"{module} imports {sorted(wrong)}"


def test_every_module_stands_on_a_floor() -> None:
    parts = {part(m) for m in MODULES if m.startswith("pixguard.")}
    assert parts - {"__main__"} == set(FLOORS)


def test_no_imports_go_round_in_a_circle() -> None:
    graph = {m: {i for i in imports(m) if i != m} for m in MODULES if m != "pixguard"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_the_command_line_starts_without_heavy_packages() -> None:
    code = f"import sys, pixguard.cli.app; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == []
