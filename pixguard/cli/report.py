"""``pixguard report``: the paper's tables and figures and further ones, from the database."""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import typer

from pixguard.cli.common import open_session, print_result
from pixguard.cli.data_dirs import DATA_DIRS_HELP, data_dirs
from pixguard.cli.groups import DEFAULT_DATABASE, DeviceOptions, OutputOptions
from pixguard.cli.options import command
from pixguard.cli.speech import say
from pixguard.cli.wording import with_database
from pixguard.config.data import parse_size
from pixguard.config.settings import Settings, setting
from pixguard.errors import UsageError
from pixguard.files import write_atomically
from pixguard.reports.formats import ENDINGS, Format
from pixguard.reports.selection import Selection

if TYPE_CHECKING:
    from pixguard.reports.figures.drawing import Drawing
    from pixguard.reports.report_table import ReportTable


@dataclass(frozen=True, slots=True)
class WhichReports(Settings):
    """What is reported."""

    panel: ClassVar[str] = "Reports"

    table: list[str] | None = setting(
        None,
        "Number of a table of the paper, or a name that --list tells; repeat, or join by commas: "
        "32,33,truth.",
        short="-t",
        names="table",
    )
    figure: list[str] | None = setting(
        None,
        "Number of a figure of the paper, or a name that --list tells; repeat, or join by commas: "
        "16,success. Writes figure-N.png, or see --out.",
        short="-f",
        names="figure",
    )
    list_tables: bool = setting(
        False,
        "List the tables and figures, and for which there is data; with --dataset, of that one.",
        flag="--list",
    )
    everything: bool = setting(
        False, "Every table, those without data last and in short.", flag="--all"
    )
    audit: bool = setting(False, "What contradicts itself in the published tables.")
    html: Path | None = setting(
        None, "Write a page with all tables, figures and a gallery to this folder."
    )


@dataclass(frozen=True, slots=True)
class OfWhat(Settings):
    """Of which of the database's results."""

    panel: ClassVar[str] = "Data"

    dataset: str | None = setting(
        None, "Show this dataset in place of the paper's.", short="-d", names="dataset"
    )
    model: str = setting(
        "latest",
        "Classifier: an id, a name, an architecture, or latest (the newest). Several, as "
        "1,4,7, make blocks of one table.",
        short="-m",
        names="classifier",
    )
    size: int | None = setting(
        None,
        "Side of the images, or native: each as large as its file. Default: that of the "
        "classifier.",
        parser=parse_size,
        metavar="<pixels>|native",
    )
    data_dir: list[str] | None = setting(None, DATA_DIRS_HELP, in_file=True)
    gallery: int = setting(
        10_000, "With --html: attempts in the gallery at most.", low=0, unit="attempts"
    )
    costs: Path | None = setting(
        None,
        "With --table severity: what a flip costs, a CSV file of label,direction,cost with the "
        "direction missed or false, and * for any other label. Default: 1.",
        in_file=True,
    )
    count: int = setting(4, "Rows of a panel of images.", low=1, high=50, unit="rows")
    image: int | None = setting(
        None,
        "Index of the image for --figure vulnerability. Default: the first right.",
        low=0,
    )

    def chosen_models(self, database: str) -> list[int | str | None]:
        """Return the classifiers' ids or architectures; None for the newest, an id for a name."""
        from pixguard.store import reader
        from pixguard.store.engine import is_there, reading

        asked = [None if n == "latest" else n for n in listed_names([self.model])] or [None]
        if not any(isinstance(name, str) for name in asked) or not is_there(database):
            return [*asked]
        with reading(database) as engine:
            models = reader.models(engine, kind="classifier")
        ids: dict[int | str | None, int] = {
            m.record.name: m.id
            for m in models
            if m.record.name not in (None, m.record.architecture)
        }
        return [ids.get(name, name) for name in asked]

    def chosen_model(self, database: str) -> int | str | None:
        """Return the one classifier of a figure or a page.

        Raises:
            UsageError: several were named.
        """
        models = self.chosen_models(database)
        if len(models) > 1:
            raise UsageError(
                "figures and the page are about one classifier",
                f"--model {models[0]}; --table takes several",
            )
        return models[0]


@dataclass(frozen=True)
class ReportOutput(OutputOptions):
    """How reports are shown, and where they go."""

    paper: bool = setting(False, "Put the published values beside the measured ones.")
    sql: bool = setting(False, "Print the queries instead, ready for any SQL client.")
    format: Format | None = setting(
        None, "Output format. Default: what the ending of --out says, else table."
    )
    out: Path | None = setting(
        None,
        "Write to this file instead of stdout; with --all, to a file for each table in this "
        "folder where the name has no ending. Figures: FILE.png, FILE.svg, FILE.pdf, or a folder "
        "for all three.",
        short="-o",
    )

    @property
    def chosen_format(self) -> Format:
        """What is said, else what the name of the file says."""
        if self.json:
            return "json"
        endings = {f".{ending}": name for name, ending in ENDINGS.items()}
        by_name = endings.get(self.out.suffix.lower(), "table") if self.out else "table"
        return self.format or by_name


@command
def report(
    ctx: typer.Context,
    which: WhichReports,
    of: OfWhat,
    selection: Selection,
    output: ReportOutput,
    run: DeviceOptions,
) -> None:
    """Print tables of the paper, and beyond it, regenerated by SQL from this database."""
    others = which.list_tables or which.everything or which.audit
    if selection and (which.html or not (which.table or which.figure or which.everything)):
        raise UsageError(
            f"{selection.text} selects attempts of tables and figures, and none is named",
            "--table, --figure or --all with it; --html and --list hold all attempts",
        )
    if which.html is not None:
        if which.table or which.figure or others or output.sql or output.out:
            raise UsageError(
                "--html writes a folder with every table and figure, their SQL and their files",
                "--html DIR without --table, --figure, --list, --all, --audit, --sql and --out",
            )
        _write_page(which.html, of, output, run.device)
    elif which.figure:
        if which.table or others:
            raise UsageError(
                "tables and figures were asked for at once",
                "pixguard report twice: --table for the tables, --figure for the figures",
            )
        _draw(listed_names(which.figure), of, selection, output)
    elif which.table or others:
        _print_tables(ctx, which, of, selection, output)
    else:
        raise UsageError(
            "no table was named", "pixguard report --table 32, --figure 9, --all or --list"
        )


def _write_page(folder: Path, of: OfWhat, output: ReportOutput, device: str) -> None:
    from pixguard.reports.page.writing import require_place

    require_place(folder)
    moved = data_dirs(of.data_dir or [])
    with open_session(output.database, device) as session:
        from pixguard.reports.page.composing import PageChoices, compose

        choices = PageChoices(
            of.dataset,
            of.chosen_model(output.database),
            of.size,
            output.paper,
            of.gallery,
            of.count,
            moved,
        )
        result = compose(session, folder, choices)
    print_result(result, output.json)


def _draw(names: list[int | str], of: OfWhat, selection: Selection, output: ReportOutput) -> None:
    from pixguard.cli.figures import report_figures
    from pixguard.reports.figures.build import draw_figure
    from pixguard.reports.figures.request import ImageChoices
    from pixguard.reports.figures.specs import figure_spec, kind_of
    from pixguard.store.engine import reading

    moved = data_dirs(of.data_dir or [])
    chosen: dict[str, Any] = {
        "dataset": of.dataset,
        "model": of.chosen_model(output.database),
        "size": of.size,
        "selection": selection,
    }
    with reading(output.database) as engine:

        def draw(name: int | str) -> "Drawing":
            spec = figure_spec(name)
            if not kind_of(spec).needs_images:
                return draw_figure(engine, spec, **chosen)
            with open_session(output.database, "auto") as session:
                images = ImageChoices(session, moved, of.count, of.image)
                return draw_figure(engine, spec, images=images, **chosen)

        report_figures(names, draw, output.out, json=output.json, sql=output.sql)


def _print_tables(
    ctx: typer.Context,
    which: WhichReports,
    of: OfWhat,
    selection: Selection,
    output: ReportOutput,
) -> None:
    from pixguard.reports.build import with_data_first

    names = listed_names(which.table or [])
    tables: list[ReportTable] = []
    if names or which.list_tables or which.everything:
        asked = None if which.everything else names
        built = _build(asked, which.list_tables, of, selection, output)
        tables = [_with_database(table, ctx, output.database) for table in built]
    if which.audit:
        from pixguard.reports.audit import audit_tables

        tables += audit_tables()
    out = output.out
    if which.everything and out is not None and not out.suffix:
        as_sql = output.sql and not output.json
        ending = "sql" if as_sql else ENDINGS[output.chosen_format]
        for one in tables:
            write_atomically(out / f"table-{one.number}.{ending}", _text([one], output).encode())
        say(f"wrote {len(tables)} tables to {out}")
        return
    text = _text(with_data_first(tables) if which.everything else tables, output)
    if out is None:
        typer.echo(text, nl=False)
        return
    write_atomically(out, text.encode())
    say(f"wrote {out}")


def _with_database(table: "ReportTable", ctx: typer.Context, database: str) -> "ReportTable":
    """Return a table whose commands work on the database that it was made from."""
    from pixguard.reports.report_table import with_commands

    if database == os.environ.get("PIXGUARD_DB", DEFAULT_DATABASE):
        return table
    root = ctx.find_root().command
    return with_commands(table, lambda words: with_database(words, root, database))


def _build(
    names: list[int | str] | None,
    list_them: bool,
    of: OfWhat,
    selection: Selection,
    output: ReportOutput,
) -> "list[ReportTable]":
    """Return tables; ``names`` None: all of them that what is asked for applies to."""
    from pixguard.reports import build
    from pixguard.reports.costs import read_costs
    from pixguard.reports.figures.listing import list_figures
    from pixguard.reports.listing import lists_for, names_alone
    from pixguard.reports.specs import table_spec, table_specs
    from pixguard.store.engine import is_there, reading
    from pixguard.store.location import locate

    if of.costs is not None and "severity" not in (names or ["severity"]):
        raise UsageError("--costs is for the table severity", "pixguard report --table severity")
    models = of.chosen_models(output.database)
    if names is None:
        fitting = table_specs().values()
        specs = [s for s in fitting if not build.refused(s, selection, len(models))]
    else:
        specs = [table_spec(name) for name in names]
    options: dict[str, Any] = {"dataset": of.dataset, "size": of.size, "selection": selection}
    options["costs"] = read_costs(of.costs) if of.costs is not None else None
    options["model"] = models if len(models) > 1 else models[0]
    if names == [] and not is_there(output.database):
        return names_alone(locate(output.database).name)
    with reading(output.database) as engine:
        tables = list(build.build_tables(engine, specs, paper=output.paper, **options))
        if list_them and of.dataset is not None:
            tables = [*lists_for(engine, of.dataset), *tables]
        elif list_them:
            tables = [build.list_tables(engine), list_figures(engine), *tables]
        return tables


def _text(tables: "Sequence[ReportTable]", output: ReportOutput) -> str:
    from pixguard.reports.render import render, render_sql

    if output.sql and not output.json:
        return render_sql(tables)
    to_terminal = output.out is None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return render(
        tables,
        output.chosen_format,
        width=shutil.get_terminal_size().columns if to_terminal else 80,
        color=to_terminal and "NO_COLOR" not in os.environ,
    )


def listed_names(asked: list[str]) -> list[int | str]:
    """Return numbers and names from ``["32,33", "truth"]``, each once, in the order asked for."""
    words = [word.strip() for text in asked for word in text.split(",") if word.strip()]
    return list(dict.fromkeys(int(word) if word.isdecimal() else word for word in words))
