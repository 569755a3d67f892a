"""The figures of ``pixguard report``: which files, drawn from what, said where."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pixguard.cli.common import open_session, print_json
from pixguard.cli.data_dirs import data_dir_of
from pixguard.config import DatasetRequest
from pixguard.errors import PixguardError, UsageError
from pixguard.files import write_atomically

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from pixguard.reports.figures import Drawing, FigureSpec
    from pixguard.runner.session import Session

FORMATS = (".png", ".svg")


@dataclass(frozen=True, slots=True)
class FigureOptions:
    """What the user said about figures.

    ``model`` is an id, an architecture, or None; ``moved`` as :func:`data_dirs` returns it.
    """

    database: str
    dataset: str | None
    model: int | str | None
    size: int | None
    moved: Mapping[str | None, Path]
    count: int
    image: int | None


def report_figures(
    names: Sequence[int | str], options: FigureOptions, out: Path | None, *, json: bool, sql: bool
) -> None:
    """Draw figures and write them; of several, those that were not run are told at the end.

    Raises:
        NotRunError: the database holds nothing for the one figure that was asked for.
        UsageError: there is no such figure, or ``out`` cannot hold them.
    """
    from pixguard.reports.figures import NotRunError, figure_spec

    specs = [figure_spec(name) for name in names]
    paths = [_paths(spec, out, len(specs)) for spec in specs]
    results: list[dict[str, Any]] = []
    missing: list[NotRunError] = []
    with _engine(options.database) as engine:
        for spec, files in zip(specs, paths, strict=True):
            try:
                drawing = _draw(engine, spec, options, sql)
            except NotRunError as nothing:
                if len(specs) == 1:
                    raise
                missing.append(nothing)
                results.append({"figure": spec.number, "not_run": nothing.hint})
                continue
            if sql and not json:
                typer.echo(_sql(drawing), nl=False)
                continue
            _write(drawing, files)
            if not json:
                typer.echo(f"{drawing.text}\n")
            results.append(_result(drawing, files))
    if json:
        print_json(results[0] if len(results) == 1 else results)
    for error in missing:
        typer.echo(f"pixguard: {error.message}\n  next: {error.hint}", err=True)
    if missing:
        raise typer.Exit(PixguardError.exit_code)


@contextmanager
def _engine(database: str) -> "Iterator[Engine]":
    from pixguard.store.engine import reading

    with reading(database) as engine:
        yield engine


def _paths(spec: "FigureSpec", out: Path | None, count: int) -> list[Path]:
    """Return the files of a figure: the one that was named, or both formats in a folder."""
    name = f"figure-{spec.number}"
    if out is None:
        return [Path(f"{name}.png")]
    if out.suffix.lower() in FORMATS:
        if count > 1:
            raise UsageError(
                f"{out} is one file, and {count} figures were asked for", "--out FOLDER"
            )
        return [out]
    if out.suffix and not out.is_dir():
        raise UsageError(
            f"a figure cannot be written as {out.suffix!r}",
            "--out FILE.png, FILE.svg, or a folder for both",
        )
    return [out / f"{name}{suffix}" for suffix in FORMATS]


def _draw(engine: "Engine", spec: "FigureSpec", options: FigureOptions, sql: bool) -> "Drawing":
    from pixguard.reports.figures import draw_figure

    if not spec.needs_images:
        return draw_figure(
            engine, spec, dataset=options.dataset, model=options.model, size=options.size
        )
    if sql:
        raise UsageError(
            f"figure {spec.number} is made from images: no query fills it",
            "--sql with --table, or with a figure that needs no images",
        )
    with open_session(options.database, "auto") as session:
        return draw_images(session, engine, spec, options)


def draw_images(
    session: "Session", engine: "Engine", spec: "FigureSpec", options: FigureOptions
) -> "Drawing":
    """Let the runner collect the images of a figure, and draw them.

    Raises:
        NotRunError: the database holds nothing that the figure could show.
        PixguardError: the images or the weights are not there.
    """
    from pixguard.reports.figures import draw_map, draw_panel, image_subject

    wanted, shown = image_subject(
        engine, spec, dataset=options.dataset, model=options.model, size=options.size
    )
    from pixguard.runner.gallery import collect
    from pixguard.runner.subject import open_subject
    from pixguard.runner.vulnerability import map_vulnerability

    moved = data_dir_of(options.moved, shown.dataset)
    asked = DatasetRequest(shown.dataset, shown.source, shown.size, moved)
    subject = open_subject(session, asked, str(shown.classifier_id))
    if spec.kind == "vulnerability":
        return draw_map(wanted, shown, map_vulnerability(session, subject, options.image))
    assert shown.attack is not None
    attack_id, seed = shown.attack.attack_id, shown.attack.seed
    rows = collect(session, subject, attack_id=attack_id, seed=seed, count=options.count)
    return draw_panel(wanted, shown, rows)


def _write(drawing: "Drawing", files: Sequence[Path]) -> None:
    for path in files:
        content = drawing.svg() if path.suffix.lower() == ".svg" else drawing.png()
        write_atomically(path, content)
        typer.echo(f"wrote {path}", err=True)


def _result(drawing: "Drawing", files: Sequence[Path]) -> dict[str, Any]:
    return {
        "figure": drawing.number,
        "title": drawing.title,
        "caption": list(drawing.caption),
        "notes": list(drawing.notes),
        "queries": [
            {"name": q.name, "sql": q.sql, "parameters": dict(q.parameters)}
            for q in drawing.queries
        ],
        "files": [str(path) for path in files],
    }


def _sql(drawing: "Drawing") -> str:
    from pixguard.reports.querying import literal_sql

    return "\n".join([f"-- {drawing.heading}\n", *map(literal_sql, drawing.queries)])
