"""What stands beside the code: one version, and what a release needs."""

import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

import pixguard

ROOT = Path(__file__).resolve().parent.parent


def test_the_version_is_the_same_everywhere() -> None:
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited is not None and cited[1] == pixguard.__version__
    assert version("pixguard") == pixguard.__version__
    assert f"## {pixguard.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_nothing_lies_about_in_the_root() -> None:
    """What tests or runs leave there is soon committed by mistake."""
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert {path.partition("/")[0] for path in found.splitlines()} <= {
        *(".ci", ".gitignore", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "README.md"),
        *("constraints.txt", "docs", "migrations"),
        *("pixguard", "pixguard.db.example", "pyproject.toml", "scripts", "tests"),
    }


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "pixguard" / "py.typed").is_file()
