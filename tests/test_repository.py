"""What stands beside the code: one version, and what a release needs."""

import re
from importlib.metadata import version
from pathlib import Path

import pixguard

ROOT = Path(__file__).resolve().parent.parent


def test_the_version_is_the_same_everywhere() -> None:
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited is not None and cited[1] == pixguard.__version__
    assert version("pixguard") == pixguard.__version__
    assert f"## {pixguard.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "pixguard" / "py.typed").is_file()
