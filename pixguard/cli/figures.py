"""The figures of ``pixguard report``: which files, and what is said of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pixguard.cli.common import print_json
from pixguard.cli.speech import say
from pixguard.errors import PixguardError, UsageError
from pixguard.files import write_atomically
from pixguard.words import printable

if TYPE_CHECKING:
    from pixguard.reports.figures.drawing import Drawing

FORMATS = (".png", ".svg", ".pdf")


def report_figures(
    names: Sequence[int | str],
    draw: "Callable[[int | str], Drawing]",
    out: Path | None,
    *,
    json: bool,
    sql: bool,
) -> None:
    """Draw figures and write them; of several, those that were not run are told at the end.

    Raises:
        NotRunError: the database holds nothing for the one figure that was asked for.
        UsageError: there is no such figure, or ``out`` cannot hold them.
    """
    from pixguard.reports.figures.drawing import NotRunError
    from pixguard.reports.figures.specs import figure_spec, kind_of

    specs = [figure_spec(name) for name in names]
    paths = [_paths(spec.number, out, len(specs)) for spec in specs]
    results: list[dict[str, Any]] = []
    missing: list[NotRunError] = []
    for spec, files in zip(specs, paths, strict=True):
        if sql and kind_of(spec).needs_images:
            raise UsageError(
                f"figure {spec.number} is made from images: no query fills it",
                "--sql with --table, or with a figure that needs no images",
            )
        try:
            drawing = draw(spec.number)
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
            typer.echo(f"{printable(drawing.text)}\n")
        results.append(_result(drawing, files))
    if json:
        print_json({"figures": results})
    for error in missing:
        typer.echo(printable(f"pixguard: {error.message}\n  next: {error.hint}"), err=True)
    if missing:
        raise typer.Exit(PixguardError.exit_code)


def _paths(number: int | str, out: Path | None, count: int) -> list[Path]:
    """Return the files of a figure: the one that was named, or all formats in a folder."""
    name = f"figure-{number}"
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
            "--out FILE.png, FILE.svg, FILE.pdf, or a folder for all three",
        )
    return [out / f"{name}{suffix}" for suffix in FORMATS]


def _write(drawing: "Drawing", files: Sequence[Path]) -> None:
    for path in files:
        write_atomically(path, drawing.encoded(path.suffix))
        say(f"wrote {path}")


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
