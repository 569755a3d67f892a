"""The pages of the documentation, and what stands in them."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
GENERATED = ("cli.md", "schema.md")

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
"""Every page."""
WRITTEN = [page for page in PAGES if page.name not in GENERATED]
"""Those that people write."""


def text(name: str) -> str:
    """A page of docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(page: Path, language: str, mark: str = "") -> list[str]:
    """The fenced code blocks of a page in a language; with ``mark``, those that bear that mark."""
    before = f"<!-- {mark} -->\n" if mark else ""
    found: list[str] = re.findall(
        rf"{before}```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
    )
    return found


def command_lines(page: Path) -> Iterator[str]:
    """Yield the lines of a page's code that call pixguard, without what a shell would take away."""
    lines = page.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    fenced = False
    for line in lines:
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            words = re.sub(r"\s#.*", "", line.strip()).removeprefix("$ ")
            if words.startswith("pixguard "):
                yield words


def spans(page: Path) -> list[str]:
    """The inline code of a page."""
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"`([^`]+)`", prose)
    return [" ".join(span.split()) for span in found]
