"""Imports point one way, and the light modules stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "pixguard"

# The order in which data flows; a part may import itself and what stands before it. `store` and
# `reports` see results only as records.
FLOW = ["datasets", "classifiers", "inference", "attacks", "defences", "metrics"]
ALLOWED = {part: set(FLOW[: position + 1]) for position, part in enumerate(FLOW)}
ALLOWED["store"] = {"store"}
ALLOWED["reports"] = {"store", "reports"}
ALLOWED["runner"] = {*FLOW, "store", "runner"}
ALLOWED["cli"] = {*FLOW, "store", "reports", "runner", "cli"}
SHARED = {"config", "errors", "files", "progress", "provenance", "records", "training"}
HEAVY = ("torch", "torchvision", "sqlalchemy", "matplotlib", "medmnist", "numpy", "sklearn")


def imported_parts(path: Path) -> set[str]:
    parts = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        parts |= {n.split(".")[1] for n in names if n.startswith("pixguard.")}
    return parts


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_a_part_imports_only_what_comes_before_it(part: str) -> None:
    files = sorted((PACKAGE / part).rglob("*.py"))
    assert files
    for path in files:
        wrong = imported_parts(path) - ALLOWED[part] - SHARED
        assert not wrong, f"{path.relative_to(PACKAGE)} imports {sorted(wrong)}"


def test_the_command_line_starts_without_heavy_packages() -> None:
    code = f"import sys, pixguard.cli.app; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == []
