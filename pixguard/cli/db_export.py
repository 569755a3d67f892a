"""``pixguard db export`` and ``pixguard db query``: results for other programs."""

from dataclasses import dataclass
from pathlib import Path

from pixguard.cli.common import CommandGroup, open_session, print_result
from pixguard.cli.data_dirs import DATA_DIRS_HELP, data_dirs
from pixguard.cli.groups import DeviceOptions, OutputOptions
from pixguard.cli.options import command
from pixguard.cli.report_options import FormatOptions
from pixguard.config.settings import Settings, required, setting
from pixguard.runner.export.kinds import ImageFormat, TableFormat


@dataclass(frozen=True, slots=True)
class ExportOptions(Settings):
    """What goes where."""

    folder: Path = required("Folder to write; it must not be there yet.", argument=True)
    format: TableFormat = setting("parquet", "Of the tables. parquet needs pixguard[parquet].")
    images: ImageFormat | None = setting(
        None, "Also the clean, attacked and restored images: exact arrays, or a file each."
    )
    hf: bool = setting(
        False, "As Hugging Face datasets loads it: a card, and images (png) inside Parquet."
    )
    data_dir: list[str] | None = setting(None, DATA_DIRS_HELP, in_file=True)


@dataclass(frozen=True, slots=True)
class QueryOptions(Settings):
    """What is asked."""

    sql: str = required("One SELECT, in SQLite's SQL (or the server's).", argument=True)


@command
def export(what: ExportOptions, run: DeviceOptions, output: OutputOptions) -> None:
    """Write attempts, pixels, restorations, scores, detections and certificates as plain files."""
    moved = data_dirs(what.data_dir or [])
    with open_session(output.database, run.device) as session:
        from pixguard.runner.export.writing import export_database

        result = export_database(
            session,
            what.folder,
            form=what.format,
            images=what.images,
            embedded=what.hf,
            data_dirs=moved,
        )
    print_result(result, output.json)


@command
def query(asked: QueryOptions, output: FormatOptions) -> None:
    """Answer a query of yours, which can only read; also while an attack writes."""
    from pixguard.reports.asked import asked_table
    from pixguard.store.asking import ask
    from pixguard.store.engine import reading

    with reading(output.database) as engine:
        names, rows = ask(engine, asked.sql)
    output.put(output.rendered([asked_table(asked.sql, names, rows)]))


def add_to(app: CommandGroup) -> None:
    """Add the commands to ``pixguard db``."""
    app.command()(export)
    app.command()(query)
