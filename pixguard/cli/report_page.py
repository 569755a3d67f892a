"""``pixguard report --html``: composes the page from tables, figures and the gallery's images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixguard.cli.common import open_session
from pixguard.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from pixguard.reports.figures import Drawing
    from pixguard.reports.page.writing import PageFigure
    from pixguard.reports.request import Layers

GALLERY_LIMIT = 10_000


def write(
    folder: Path,
    database: str,
    options: Mapping[str, Any],
    *,
    limit: int,
    data_dirs: Sequence[str],
    device: str,
) -> dict[str, Any]:
    """Write the page of a database; return what ``--json`` prints.

    Args:
        folder: becomes the page; a former page there is replaced, anything else refused.
        database: as after ``--db``.
        options: of :func:`pixguard.reports.build.build_tables`; where they name a dataset, the
            gallery shows no other.
        limit: attempts in the gallery at most.
        data_dirs: ``NAME=DIR`` for datasets whose files were moved.
        device: where restored images are computed.

    Raises:
        UsageError: the folder is something else, or an option means nothing here.
    """
    moved = _data_dirs(data_dirs)
    from pixguard.reports.page.writing import page_folder, require_place

    require_place(folder)
    from pixguard.reports.page.gallery import Gallery
    from pixguard.reports.page.tables import report_tables
    from pixguard.reports.page.writing import write_page
    from pixguard.runner.page_images import collect_images
    from pixguard.store.engine import open_engine
    from pixguard.store.gallery import count_attempts, sample_attempts
    from pixguard.store.location import locate

    engine = open_engine(database)
    try:
        with open_session(database, device) as session, page_folder(folder) as new:
            _require_known(engine, moved)
            tables = report_tables(engine, options, layers)
            total = count_attempts(engine, options["dataset"])
            attempts = sample_attempts(engine, limit, options["dataset"])
            images = collect_images(session, engine, attempts, moved, new / "images")
            figures = page_figures(engine, options)
            name = Path(locate(database).name).name
            write_page(new, engine, name, tables, figures, Gallery(attempts, total, images))
    finally:
        engine.dispose()
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


def layers(denoiser: str, channels: int, size: int) -> "Layers":
    """Return the layers of a denoiser, for the tables that list them."""
    from pixguard.runner.layers import layers_of_denoiser  # torch: only where a table needs it

    return layers_of_denoiser(denoiser, channels, size)


def page_figures(engine: "Engine", options: Mapping[str, Any]) -> "list[PageFigure]":
    """Return the figures that the database has data for: the paper's, and ours of each dataset."""
    from pixguard.reports.figures import NotRunError, draw_figure, figure_specs
    from pixguard.reports.inventory import Inventory

    known = sorted(Inventory(engine).datasets)
    chosen = {name: options[name] for name in ("dataset", "model", "size")}
    found: list[PageFigure] = []
    for spec in figure_specs().values():
        if spec.needs_images:
            continue
        ours = isinstance(spec.number, str) and not (chosen["dataset"] or chosen["model"])
        for shown in known if ours else [chosen["dataset"]]:
            try:
                drawing = draw_figure(engine, spec, **{**chosen, "dataset": shown})
            except NotRunError:
                continue
            found.append(_page_figure(drawing, len(found) + 1))
    return found


def _page_figure(drawing: "Drawing", place: int) -> "PageFigure":
    from pixguard.reports.formats.html import slug
    from pixguard.reports.page.writing import PageFigure

    remarks = (*drawing.caption, *drawing.notes)
    name = f"figure-{place}-{slug(drawing.number)}"
    return PageFigure(name, drawing.heading, remarks, drawing.svg())


def _data_dirs(words: Sequence[str]) -> dict[str, Path]:
    found = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not (name and equals and path):
            raise UsageError(
                f"--data-dir {word!r} does not say which dataset's files these are",
                "--data-dir NAME=DIR, as in --data-dir oct=/data/octmnist",
            )
        if not Path(path).exists():
            raise UsageError(f"{path} does not exist", "check --data-dir")
        found[name] = Path(path)
    return found


def _require_known(engine: "Engine", moved: dict[str, Path]) -> None:
    from pixguard.store import reader

    known = sorted({d.info.name for d in reader.datasets(engine)})
    for name in moved:
        if name not in known:
            raise UsageError(
                f"the database has no dataset {name!r}",
                f"--data-dir with one of: {', '.join(known) or 'none'}",
            )
