"""The examples of the documents run; links resolve; the README is short."""

import re
import shlex
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from docs.docs_pages import DOCS, PAGES, ROOT, WRITTEN, blocks
from pixguard.cli.app import app
from pixguard.store import maintenance

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning"),
    pytest.mark.usefixtures("in_an_empty_folder"),
]

EXAMPLE = "pixguard.db.example"


def run_blocks(page: Path) -> dict[str, Any]:
    """Run the blocks of a page that are marked so, one after the other, as one program."""
    names: dict[str, Any] = {}
    with torch.random.fork_rng():
        for block in blocks(page, "python", mark="runs"):
            exec(compile(block, page.name, "exec"), names)
    return names


def test_every_python_block_is_run() -> None:
    for page in WRITTEN:
        if page.name != "CONTRIBUTING.md":
            assert blocks(page, "python") == blocks(page, "python", mark="runs"), page.name


def test_the_page_of_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(ROOT / EXAMPLE, EXAMPLE)
    maintenance.upgrade(EXAMPLE)
    names = run_blocks(DOCS / "python.md")
    result, model, labels = names["result"], names["model"].eval(), names["labels"][:8]
    assert result.success.any()
    with torch.inference_mode():
        fooled = model(result.images / 255).argmax(1) != labels
    assert torch.equal(fooled & result.attacked, result.success)
    printed = capsys.readouterr().out
    count = f"{int(result.success.sum())} of {int(result.attacked.sum())} images fooled"
    assert printed.startswith(count)
    assert printed.count("left for the true class") == int(result.success.sum())


def test_a_classifier_of_ones_own_is_added_as_the_page_says() -> None:
    page = DOCS / "classifiers.md"
    run_blocks(page)
    (commands,) = blocks(page, "sh")
    printed = []
    for line in commands.splitlines():
        result = CliRunner().invoke(app, shlex.split(line)[1:])
        assert result.exit_code == 0, result.output
        printed.append(result.stdout)
    with sqlite3.connect("pixguard.db") as database:
        ((attempts, fooled),) = database.execute("SELECT COUNT(*), SUM(success) FROM attempt")
        models = database.execute("SELECT architecture, epochs FROM model").fetchall()
    assert attempts == 10 and int(fooled) > 0
    assert models == [("my-model", 0)]
    assert "mine" in printed[2] and "my-model" in printed[2]


def test_the_queries_of_the_page_of_the_database_have_answers() -> None:
    shutil.copy(ROOT / EXAMPLE, "pixguard.db")
    maintenance.upgrade("pixguard.db")
    queries = blocks(DOCS / "database.md", "sql")
    assert len(queries) >= 3
    with sqlite3.connect("pixguard.db") as database:
        for query in queries:
            assert database.execute(query).fetchall(), query


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {slug(title) for title in titles}, f"{page.name}: {link}"


def slug(title: str) -> str:
    """The anchor of a heading, as Markdown renderers make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_the_readme_is_short() -> None:
    assert 6_000 <= (ROOT / "README.md").stat().st_size <= 8_000


def test_the_readme_says_that_no_licence_is_granted() -> None:
    assert "No licence is granted yet" in (ROOT / "README.md").read_text(encoding="utf-8")
