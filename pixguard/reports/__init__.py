"""Reports, above the runner: the paper's tables and figures and further ones, from a database.

From Python: :func:`table`, :func:`figure` and :func:`write_page`; whatever they need is imported
when they are called.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixguard.reports.figures.drawing import Drawing
    from pixguard.reports.report_table import ReportTable

__all__ = ["figure", "table", "write_page"]


def table(
    database: str,
    number: int | str,
    *,
    dataset: str | None = None,
    model: int | str | Sequence[int] | None = None,
    size: int | None = None,
    paper: bool = False,
    attack: str | Sequence[str] | None = None,
    seed: int | None = None,
    pixels: int | None = None,
    costs: Path | None = None,
) -> "ReportTable":
    """Return a table, regenerated from a database.

    Args:
        database: path of the SQLite file, or URL.
        number: the paper's, or the name of a table that it lacks.
        dataset: shown in place of the paper's dataset, or of its four.
        model: id of the classifier to use, or its architecture; by default the newest that fits.
            Several ids make a block of rows for each.
        size: side in pixels of the images; by default that of the chosen classifier.
        paper: put the published values beside the measured ones.
        attack: of attempts only those of this attack, or of these.
        seed: only those with this seed.
        pixels: only those that change this many pixels.
        costs: a CSV file with the cost of each flip of a label, for the table severity.

    Raises:
        UsageError: there is no such table; the database knows no such dataset, classifier or
            attempt; the table is not made of attempts, or not about one classifier.
    """
    from pixguard.reports.build import build_table
    from pixguard.reports.costs import read_costs
    from pixguard.reports.selection import selection
    from pixguard.reports.specs import table_spec
    from pixguard.store.engine import reading

    with reading(database) as engine:
        return build_table(
            engine,
            table_spec(number),
            dataset=dataset,
            model=model,
            size=size,
            paper=paper,
            selection=selection(attack, seed, pixels),
            costs=None if costs is None else read_costs(costs),
        )


def figure(
    database: str,
    number: int | str,
    *,
    dataset: str | None = None,
    model: int | str | None = None,
    size: int | None = None,
    data_dirs: Mapping[str | None, Path] | None = None,
    count: int = 4,
    image: int | None = None,
    attack: str | Sequence[str] | None = None,
    seed: int | None = None,
    pixels: int | None = None,
) -> "Drawing":
    """Return a figure, drawn from a database and, where it shows images, from the datasets.

    Args:
        database: path of the SQLite file, or URL.
        number: the paper's, or the name of a figure that it lacks.
        dataset: shown in place of the paper's dataset, or of the one the database would decide.
        model: id of the classifier to use, or its architecture; by default the newest that fits.
        size: side in pixels of the images; by default that of the chosen classifier.
        data_dirs: dataset name -> where its files are now; None stands for any other.
        count: rows of a panel of images, at most.
        image: index of the image to map; None: the first that the classifier gets right.
        attack: as in :func:`table`.
        seed: likewise.
        pixels: likewise.

    Raises:
        NotRunError: the database holds nothing that the figure could show.
        UsageError: there is no such figure; the database knows no such dataset, classifier or
            attempt; the figure is not made of attempts.
        PixguardError: the images or the weights are not there.
    """
    from pixguard.reports.figures.build import draw_figure
    from pixguard.reports.figures.request import ImageChoices
    from pixguard.reports.figures.specs import figure_spec, kind_of
    from pixguard.reports.selection import selection
    from pixguard.store.engine import reading

    spec, images = figure_spec(number), None
    if kind_of(spec).needs_images:
        from pixguard.runner.session import Session

        images = ImageChoices(Session.of(database), data_dirs or {}, count, image)
    with reading(database) as engine:
        return draw_figure(
            engine,
            spec,
            dataset=dataset,
            model=model,
            size=size,
            images=images,
            selection=selection(attack, seed, pixels),
        )


def write_page(database: str, folder: Path, **choices: Any) -> dict[str, Any]:
    """Write a page with all tables, figures and a gallery; and return what it holds.

    Args:
        database: path of the SQLite file, or URL.
        folder: becomes the page; a former page there is replaced, anything else refused.
        choices: of :class:`pixguard.reports.page.composing.PageChoices`.
    """
    from pixguard.reports.page.composing import PageChoices, compose
    from pixguard.runner.session import Session

    return compose(Session.of(database), folder, PageChoices(**choices))
