"""``pixguard report --html``: composes the page from tables, figures and the gallery's images."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixguard.cli.common import open_session
from pixguard.cli.figures import FigureOptions, draw_images
from pixguard.errors import DataError, PixguardError, UsageError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from pixguard.reports.figures import Drawing, FigureSpec
    from pixguard.reports.page.writing import PageFigure
    from pixguard.runner.session import Session

GALLERY_LIMIT = 10_000


def write(
    folder: Path,
    database: str,
    options: Mapping[str, Any],
    *,
    limit: int,
    rows: int,
    moved: Mapping[str | None, Path],
    device: str,
) -> dict[str, Any]:
    """Write the page of a database; return what ``--json`` prints.

    Args:
        folder: becomes the page; a former page there is replaced, anything else refused.
        database: as after ``--db``.
        options: of :func:`pixguard.reports.build.build_tables`; where they name a dataset, the
            gallery shows no other.
        limit: attempts in the gallery at most.
        rows: of a panel of images.
        moved: as :func:`pixguard.cli.data_dirs.data_dirs` returns it.
        device: where restored images are computed.

    Raises:
        UsageError: the folder is something else, or an option means nothing here.
    """
    from pixguard.reports.page.writing import page_folder, require_place

    require_place(folder)
    from pixguard.reports.page.gallery import Gallery
    from pixguard.reports.page.tables import report_tables
    from pixguard.reports.page.writing import write_page
    from pixguard.runner.page_images import collect_images
    from pixguard.store.engine import reading
    from pixguard.store.gallery import count_attempts, sample_attempts
    from pixguard.store.location import locate

    with reading(database) as engine:
        with open_session(database, device) as session, page_folder(folder) as new:
            _require_known(engine, moved, options["dataset"])
            tables = report_tables(engine, options)
            total = count_attempts(engine, options["dataset"])
            attempts = sample_attempts(engine, limit, options["dataset"])
            images = collect_images(session, engine, attempts, moved, new / "images")
            chosen = FigureOptions(
                database,
                options["dataset"],
                options["model"],
                options["size"],
                moved,
                count=rows,
                image=None,
            )
            figures = page_figures(session, engine, chosen)
            name = Path(locate(database).name).name
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


def page_figures(
    session: "Session", engine: "Engine", options: FigureOptions
) -> "list[PageFigure]":
    """Return the figures that the database has data for, those of its own datasets included.

    Vulnerability maps are left out: each asks the classifier for every pixel of an image.
    """
    from pixguard.reports.figures import NotRunError, draw_figure

    found: list[PageFigure] = []
    for spec, dataset in _wanted_figures(engine, options):
        try:
            if spec.needs_images:
                chosen = replace(options, dataset=dataset)
                drawing = draw_images(session, engine, spec, chosen)
            else:
                drawing = draw_figure(
                    engine, spec, dataset=dataset, model=options.model, size=options.size
                )
        except NotRunError:
            continue
        except PixguardError as error:
            if error.kind not in (PixguardError.kind, UsageError.kind, DataError.kind):
                raise  # busy or interrupted; the others are about images and weights
            session.display.say(f"figure {spec.number} is left out: {error.message}")
            continue
        found.append(_page_figure(drawing, len(found) + 1))
    return found


def _wanted_figures(
    engine: "Engine", options: FigureOptions
) -> "Iterator[tuple[FigureSpec, str | None]]":
    """Yield figures and the dataset to show (None: the paper's, or as the database decides).

    Figures that the paper lacks are wanted of every dataset, and so are the forms of its panels
    of every dataset that it lacks.
    """
    from pixguard.reports.evidence import Evidence
    from pixguard.reports.figures import figure_specs
    from pixguard.reports.request import paper_datasets

    specs = [spec for spec in figure_specs().values() if spec.kind != "vulnerability"]
    known = sorted(Evidence(engine).datasets)
    is_open = options.dataset is None and options.model is None
    for spec in specs:
        every = is_open and isinstance(spec.number, str)
        for dataset in known if every else [options.dataset]:
            yield spec, dataset
    forms = {spec.pixels: spec for spec in reversed(specs) if spec.needs_images and spec.denoised}
    for dataset in known if is_open else []:
        if dataset not in paper_datasets():
            for _, spec in sorted(forms.items()):
                yield spec, dataset


def _page_figure(drawing: "Drawing", place: int) -> "PageFigure":
    from pixguard.reports.formats.html import slug
    from pixguard.reports.page.writing import PageFigure

    remarks = (*drawing.caption, *drawing.notes)
    name = f"figure-{place}-{slug(drawing.number)}"
    return PageFigure(name, drawing.heading, remarks, drawing.svg())


def _require_known(engine: "Engine", moved: Mapping[str | None, Path], dataset: str | None) -> None:
    from pixguard.store import reader

    known = sorted({d.info.name for d in reader.datasets(engine)})
    for name, place in moved.items():
        if name is None and dataset is None and len(known) > 1:
            raise UsageError(
                f"--data-dir {place} does not say which dataset's files these are",
                f"--data-dir NAME={place}, with one of: {', '.join(known)}",
            )
        if name is not None and name not in known:
            raise UsageError(
                f"the database has no dataset {name!r}",
                f"--data-dir with one of: {', '.join(known) or 'none'}",
            )
