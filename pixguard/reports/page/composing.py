"""Composes a page from tables, figures and the gallery's images."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from pixguard.errors import PixguardError, UsageError
from pixguard.registry import suggestion
from pixguard.reports.evidence import Evidence
from pixguard.reports.figures.build import draw_figure
from pixguard.reports.figures.drawing import Drawing, NotRunError
from pixguard.reports.figures.request import FigureSpec, ImageChoices
from pixguard.reports.figures.specs import figure_specs, kind_of
from pixguard.reports.formats.html import slug
from pixguard.reports.page.gallery import Gallery
from pixguard.reports.page.images import collect_images, tell_or_raise
from pixguard.reports.page.tables import report_tables
from pixguard.reports.page.writing import PageFigure, page_folder, write_page
from pixguard.reports.request import paper_datasets
from pixguard.runner.session import Session
from pixguard.store import reader
from pixguard.store.engine import reading
from pixguard.store.gallery import count_attempts, sample_attempts
from pixguard.store.location import locate

GALLERY_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class PageChoices:
    """What a page shows.

    Attributes:
        dataset: the one dataset to show; None: all.
        model: id of the classifier to use, or its architecture; None: the newest that fits.
        size: side in pixels of the images; None: that of the chosen classifier.
        paper: put the published values beside the measured ones.
        gallery: attempts in the gallery, at most.
        rows: of a panel of images, at most.
        data_dirs: dataset name -> where its files are now; None stands for any other.
    """

    dataset: str | None = None
    model: int | str | None = None
    size: int | None = None
    paper: bool = False
    gallery: int = GALLERY_LIMIT
    rows: int = 4
    data_dirs: Mapping[str | None, Path] = field(default_factory=dict)


def compose(session: Session, folder: Path, choices: PageChoices) -> dict[str, Any]:
    """Write the page of the session's database; return what ``pixguard report --html`` tells.

    Raises:
        UsageError: the folder is something else, or a choice means nothing here.
        InterruptedRunError: a stop was requested; whatever stood at the folder still stands.
    """
    with reading(session.database) as engine, page_folder(folder) as new:
        _require_known(engine, choices)
        tables = report_tables(engine, choices.dataset, choices.model, choices.size, choices.paper)
        total = count_attempts(engine, choices.dataset)
        attempts = sample_attempts(engine, choices.gallery, choices.dataset)
        images = collect_images(session, engine, attempts, choices.data_dirs, new / "images")
        figures = page_figures(session, engine, choices)
        name = locate(session.database).title
        write_page(new, engine, name, tables, figures, Gallery(attempts, total, images))
    return {
        "page": str(folder / "index.html"),
        "tables": len(tables),
        "tables_with_data": sum(table.has_data for table in tables),
        "figures": len(figures),
        "attempts": total,
        "attempts_in_gallery": len(attempts),
        "restored_images": len(images.restored),
        "datasets_without_images": len(images.missing),
    }


def page_figures(session: Session, engine: Engine, choices: PageChoices) -> list[PageFigure]:
    """Return the figures that the database has data for, those of its own datasets included."""
    images = ImageChoices(session, choices.data_dirs, choices.rows)
    found: list[PageFigure] = []
    for spec, dataset in _wanted_figures(engine, choices):
        try:
            drawing = draw_figure(
                engine,
                spec,
                dataset=dataset,
                model=choices.model,
                size=choices.size,
                images=images,
            )
        except NotRunError:
            continue
        except PixguardError as error:
            tell_or_raise(session, f"figure {spec.number} is left out", error)
            continue
        found.append(_page_figure(drawing, len(found) + 1))
    return found


def _wanted_figures(
    engine: Engine, choices: PageChoices
) -> Iterator[tuple[FigureSpec, str | None]]:
    """Yield figures and the dataset to show (None: the paper's, or as the database decides).

    Figures that the paper lacks are wanted of every dataset, and so are the forms of its panels
    of every dataset that it lacks.
    """
    specs = [spec for spec in figure_specs().values() if kind_of(spec).on_page]
    known = sorted(Evidence(engine).datasets)
    is_open = choices.dataset is None and choices.model is None
    for spec in specs:
        every = is_open and isinstance(spec.number, str)
        for dataset in known if every else [choices.dataset]:
            yield spec, dataset
    panels = [spec for spec in reversed(specs) if kind_of(spec).needs_images and spec.denoised]
    forms = {spec.pixels: spec for spec in panels}
    for dataset in known if is_open else []:
        if dataset not in paper_datasets():
            for _, spec in sorted(forms.items()):
                yield spec, dataset


def _page_figure(drawing: Drawing, place: int) -> PageFigure:
    remarks = (*drawing.caption, *drawing.notes)
    name = f"figure-{place}-{slug(drawing.number)}"
    return PageFigure(name, drawing.heading, remarks, drawing.svg())


def _require_known(engine: Engine, choices: PageChoices) -> None:
    known = sorted({d.info.name for d in reader.datasets(engine)})
    for name, place in choices.data_dirs.items():
        if name is None and choices.dataset is None and len(known) > 1:
            raise UsageError(
                f"{place} does not say which dataset's files these are",
                f"`data_dir=NAME={place}`, with one of: {', '.join(known)}",
            )
        if name is not None and name not in known:
            raise UsageError(
                f"the database has no dataset {name!r}",
                suggestion(name, known),
            )
