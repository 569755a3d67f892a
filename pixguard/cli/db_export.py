"""``pixguard db export`` and ``pixguard db query``: results for other programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pixguard.cli.common import CommandGroup, open_session, print_result
from pixguard.cli.data_dirs import DATA_DIRS_HELP, data_dirs
from pixguard.cli.groups import DeviceOptions, OutputOptions
from pixguard.cli.options import command
from pixguard.cli.report_options import FormatOptions
from pixguard.config.settings import Settings, required, setting
from pixguard.errors import UsageError
from pixguard.runner.export.kinds import ImageFormat, TableFormat


@dataclass(frozen=True, slots=True)
class ExportOptions(Settings):
    """What goes where."""

    what: list[str] = required(
        "Folder to write; it must not be there yet. After the word truth: what is known of every "
        "one-pixel change, for others to score their attacks by.",
        argument=True,
        metavar="[truth] FOLDER",
    )
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


def chosen(words: Sequence[str]) -> tuple[bool, Path]:
    """Return whether the truth is wanted, and the folder.

    Raises:
        UsageError: there are other words before it.
    """
    *before, folder = words
    if before not in ([], ["truth"]):
        raise UsageError(
            f"what is exported is everything or the truth, not {before[0]!r}",
            "pixguard db export FOLDER; or pixguard db export truth FOLDER",
        )
    return bool(before), Path(folder)


@command
def export(what: ExportOptions, run: DeviceOptions, output: OutputOptions) -> None:
    """Write attempts, pixels, restorations, scores, detections and certificates as plain files.

    Or, as `truth FOLDER`: verdicts on all changes of one pixel, the classifiers, and a program that
    scores an attack by them.
    """
    truth, folder = chosen(what.what)
    if truth and what.hf:
        raise UsageError(
            "an export of the truth has the card of --hf in any case, and its images in files",
            "leave --hf out",
        )
    moved = data_dirs(what.data_dir or [])
    with open_session(output.database, run.device) as session:
        from pixguard.runner.export.truth import export_truth
        from pixguard.runner.export.writing import export_database

        write = export_truth if truth else partial(export_database, embedded=what.hf)
        result = write(session, folder, form=what.format, images=what.images, data_dirs=moved)
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
