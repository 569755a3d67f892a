"""Everything that goes by a name is documented: where one is missing, a test fails."""

import re
from collections.abc import Iterable

import pytest

from docs.docs_pages import text
from pixguard.attacks import ATTACKS
from pixguard.config.settings import declarations
from pixguard.datasets.registry import SOURCES
from pixguard.defences import noise
from pixguard.defences.certificates.registry import CERTIFICATES
from pixguard.defences.denoisers.registry import DENOISERS
from pixguard.defences.denoisers.variants import TABLE_4, TABLE_5
from pixguard.defences.detectors.registry import DETECTORS
from pixguard.metrics import METRICS
from pixguard.reports.figures.specs import figure_specs
from pixguard.reports.specs import table_specs
from pixguard.store.tables import VIEWS, Base

VARIANTS = [variant.name for variant in (*TABLE_4, *TABLE_5) if variant.name]
NAMES: list[tuple[str, str, Iterable[object]]] = [
    ("attacks.md", "attack", ATTACKS.names),
    ("python.md", "class of an attack", [entry.class_name for entry in ATTACKS]),
    ("defences.md", "denoiser", DENOISERS.names),
    ("defences.md", "detector", DETECTORS.names),
    ("defences.md", "kind of noise", noise.NOISES),
    ("defences.md", "variant", VARIANTS),
    ("defences.md", "metric", METRICS.names),
    ("datasets.md", "source", SOURCES.names),
    ("certificates.md", "certificate", CERTIFICATES.names),
    ("reports.md", "table", [number for number in table_specs() if isinstance(number, str)]),
    ("reports.md", "figure", [number for number in figure_specs() if isinstance(number, str)]),
    ("database.md", "table of the database", Base.metadata.tables),
    ("schema.md", "table of the database", Base.metadata.tables),
    ("database.md", "view", [view.name for view in VIEWS]),
    ("schema.md", "view", [view.name for view in VIEWS]),
]


@pytest.mark.parametrize(
    ("page", "kind", "name"),
    [pytest.param(p, k, str(n), id=f"{p}: {k} {n}") for p, k, names in NAMES for n in names],
)
def test_everything_that_has_a_name_is_documented(page: str, kind: str, name: str) -> None:
    assert f"`{name}`" in text(page), f"docs/{page} says nothing of the {kind} {name}"


@pytest.mark.parametrize("specs", [table_specs, figure_specs], ids=["tables", "figures"])
def test_every_number_of_the_paper_is_in_the_page_of_reports(specs) -> None:
    rows = re.findall(r"^\| ([\d, ]+) \|", text("reports.md"), re.MULTILINE)
    listed = {int(number) for row in rows for number in row.split(",")}
    assert {number for number in specs() if isinstance(number, int)} <= listed


def test_every_option_of_a_method_is_in_the_page_of_commands() -> None:
    page = text("cli.md")
    for entry in (*ATTACKS, *DENOISERS, *DETECTORS):
        for option in declarations(entry.options) if entry.options else ():
            assert f"| `--{option.replace('_', '-')}` |" in page, f"{entry.name}: {option}"
